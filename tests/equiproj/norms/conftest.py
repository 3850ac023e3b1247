"""Slow definitions of the norms in numpy float64, written without this package, as fixtures."""

from collections.abc import Callable

import numpy as np
import pytest
import torch


def definition(matrix: np.ndarray, name: str) -> float:
    kind, _, orders = name.partition(":")
    p = [float(order) for order in orders.split(",")] if orders else []
    sigma = np.linalg.svd(matrix, compute_uv=False)
    if kind == "mixed":
        return p_norm(np.array([p_norm(column, p[0]) for column in matrix.T]), p[1])
    return {
        "frobenius": lambda: np.linalg.norm(matrix, "fro"),
        "spectral": lambda: np.linalg.norm(matrix, 2),
        "nuclear": lambda: np.linalg.norm(matrix, "nuc"),
        "schatten": lambda: p_norm(sigma, p[0]),
        "entrywise": lambda: p_norm(matrix.ravel(), p[0]),
        "induced": lambda: np.linalg.norm(matrix, p[0]),
    }[kind]()


def p_norm(vector: np.ndarray, p: float) -> float:
    return float(np.abs(vector).max() if p == np.inf else (np.abs(vector) ** p).sum() ** (1 / p))


NORMS = [
    "frobenius",
    "spectral",
    "nuclear",
    "schatten:1",
    "schatten:2",
    "schatten:3.5",
    "schatten:inf",
    "entrywise:1",
    "entrywise:1.5",
    "entrywise:2",
    "entrywise:7",
    "entrywise:inf",
    "induced:1",
    "induced:inf",
    "mixed:1,2",
    "mixed:2,1",
    "mixed:2,inf",
    "mixed:inf,1",
    "mixed:inf,inf",
    "mixed:3,1.5",
]


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> str:
    """Every norm in turn."""
    return request.param


@pytest.fixture
def brute_force_norm() -> Callable[[torch.Tensor, str], float]:
    """The definition of a norm, of one matrix."""
    return lambda matrix, name: definition(matrix.detach().double().numpy(), name)
