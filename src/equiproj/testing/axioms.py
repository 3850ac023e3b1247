"""The axioms of groups and norms as assertions: what somebody's own ones have to fulfil."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.testing.asserts import close


def assert_group(group: FiniteGroup, n_axes: int | None = None) -> None:
    """The axioms of a finite group; with ``n_axes``, also that it moves space orthogonally, M(gh) = M(g) M(h).

    Raises:
        AssertionError: naming the law and the elements.

    Example:
        >>> from equiproj.groups import DihedralGroup
        >>> assert_group(DihedralGroup(4), n_axes=2)
    """
    elements, unit = group.elements, group.identity
    if len(set(elements)) != len(elements):
        raise AssertionError(f"{group}: expected different elements, found one twice")
    for g in elements:
        if group.multiply(unit, g) != g or group.multiply(g, unit) != g:
            raise AssertionError(f"{group}: 1g = g = g1: not so at g = {g}")
        if group.multiply(group.inverse(g), g) != unit:
            raise AssertionError(f"{group}: g⁻¹g = 1: not so at g = {g}")
        for s in elements:
            if group.multiply(s, g) not in elements:
                raise AssertionError(f"{group}: sg is an element: not so at s = {s}, g = {g}")
            if any(
                group.multiply(group.multiply(s, g), k) != group.multiply(s, group.multiply(g, k))
                for k in group.generators
            ):
                raise AssertionError(f"{group}: (sg)k = s(gk): not so at s = {s}, g = {g}")
    if n_axes is not None:
        _assert_acts_on_space(group, n_axes)


def _assert_acts_on_space(group: FiniteGroup, n_axes: int) -> None:
    moves = {g: torch.as_tensor(group.spatial_matrix(g, n_axes)).double() for g in group.elements}
    for g, move in moves.items():
        close(move @ move.T, torch.eye(n_axes).double(), 1e-10, f"{group}: M(g) is orthogonal at g = {g}")
        for s in group.elements:
            close(moves[group.multiply(s, g)], moves[s] @ move, 1e-10, f"{group}: M(sg) = M(s)M(g) at s = {s}, g = {g}")


def assert_norm(function: Callable[[Tensor], Tensor], seed: int = 0, tolerance: float = 1e-6) -> None:
    """‖cA‖ = |c| ‖A‖, ‖A + B‖ ≤ ‖A‖ + ‖B‖, and ‖A‖ > 0 for A ≠ 0, on random matrices of several shapes.

    The matrices are dense, of rank one, of one entry, and of a hundredth in size; batches are as their members.

    Args:
        function: maps matrices (..., rows, columns) to their norms (...).
        seed: of the matrices.
        tolerance: largest allowed relative deviation, in double precision.

    Raises:
        AssertionError: naming the law and the deviation.

    Example:
        >>> assert_norm(torch.linalg.matrix_norm)
        >>> assert_norm(lambda matrix: matrix.square().sum((-2, -1)))
        Traceback (most recent call last):
        ...
        AssertionError: ‖cA‖ = |c|‖A‖ with c = -2.5: expected a deviation of at most 1e-06, found 1.5
    """
    generator = torch.Generator().manual_seed(seed)
    for rows, columns in ((1, 1), (3, 5), (8, 4)):
        first, second = (_sample_matrices(rows, columns, generator) for _ in range(2))
        norms = function(first)
        if norms.shape != first.shape[:-2]:
            found = tuple(norms.shape)
            raise AssertionError(
                f"expected one norm for each matrix of a batch {tuple(first.shape)}, found shape {found}"
            )
        if not (norms.isfinite() & (norms > 0)).all():
            raise AssertionError("‖A‖ > 0 for A ≠ 0: expected positive finite norms, found others")
        alone = torch.stack([function(matrix) for matrix in first])
        close(alone / norms, torch.ones_like(norms), tolerance, "the norm of a batch is that of each matrix")
        for factor in (-2.5, 1e-3):
            ratio = function(factor * first) / (abs(factor) * norms)
            close(ratio, torch.ones_like(norms), tolerance, f"‖cA‖ = |c|‖A‖ with c = {factor:g}")
        both = norms + function(second)
        excess = ((function(first + second) - both) / both).clamp(min=0)
        close(excess, torch.zeros_like(excess), tolerance, "‖A + B‖ ≤ ‖A‖ + ‖B‖")


def _sample_matrices(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Dense, small, rank-one and one-entry matrices, the last ones with every entry in turn."""
    dense = torch.randn(16, rows, columns, generator=generator, dtype=torch.float64)
    left, right = (torch.randn(16, n, generator=generator, dtype=torch.float64) for n in (rows, columns))
    single = torch.eye(rows * columns, dtype=torch.float64).reshape(-1, rows, columns)
    matrices = torch.cat([dense, 0.01 * dense, left[:, :, None] * right[:, None, :], single])
    return matrices[torch.randperm(len(matrices), generator=generator)]
