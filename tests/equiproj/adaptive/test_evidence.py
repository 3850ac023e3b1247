"""Quadrature of spectra, and the evidence in closed form."""

import pytest
import torch

from equiproj.adaptive.evidence import STRICT, greatest_evidence
from equiproj.adaptive.lanczos import SpectralMeasure, spectral_measure


def matrix(n: int, rank: int) -> torch.Tensor:
    factor = torch.randn(n, rank, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return factor @ factor.T


@pytest.mark.parametrize("function", [torch.log1p, lambda h: 1 / (1 + h), torch.square])
def test_exact_with_as_many_steps_as_there_are_eigenvalues(function):
    h = matrix(12, 5)  # five, and zero
    values, vectors = torch.linalg.eigh(h)
    start = torch.randn(1, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = ((start[0] @ vectors).square() * function(values.clamp_min(0))).sum()
    for n_steps in (6, 12, 40):
        found = spectral_measure(lambda v: v @ h, start, n_steps).integral(function)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_traces_from_all_unit_vectors():
    h = matrix(12, 12)
    found = spectral_measure(lambda v: v @ h, 12**0.5 * torch.eye(12, dtype=torch.float64), 12)
    torch.testing.assert_close(found.integral(torch.log), torch.logdet(h), rtol=1e-6, atol=0)
    torch.testing.assert_close(torch.tensor(found.total()), torch.tensor(12.0))


def test_a_vector_of_zeros_has_no_spectrum():
    found = spectral_measure(lambda v: 2 * v, torch.zeros(1, 3), 3)
    assert found.total() == 0
    assert bool(found.nodes.isfinite().all())


def white(dimension: float, curvature: float) -> SpectralMeasure:
    return SpectralMeasure(torch.tensor([[curvature]]).double(), torch.tensor([[dimension]]).double())


@pytest.mark.parametrize(("size", "noise"), [(2.0, 1.0), (1.1, 1.0), (30.0, 1.0)])
def test_one_curvature_and_many_numbers_give_half_the_curvature_times_noise_over_excess(size, noise):
    dimension, curvature, n = 50.0, 3.0, 1000
    found = greatest_evidence(
        white(size, curvature),
        white(dimension, curvature),
        dispersion=n * noise / (dimension * curvature),
        n_examples=n,
        n_outputs=10**6,
    )
    assert found.weight == pytest.approx(curvature / 2 * noise / (size - noise), rel=1e-3)


@pytest.mark.parametrize("size", [0.0, 0.5, 0.999])
def test_no_excess_is_strict(size):
    found = greatest_evidence(white(size, 3.0), white(50.0, 3.0), dispersion=1000 / 150, n_examples=1000, n_outputs=1)
    assert found.weight == pytest.approx(STRICT * 3.0)
    assert found.tau_squared == 0
