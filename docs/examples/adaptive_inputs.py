"""The problem of adaptive.py where inputs are smooth: the Frobenius norm against the norm weighted by the inputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from adaptive_data import FIRST_SEED, N_GRID, Sample, squared_error
from adaptive_norms import CIRCULANT, N_PIXELS, TWELVE
from torch import Tensor, nn

from equiproj.adaptive import input_covariances, score_test

N_INPUT, NOISE_INPUT = 100, 1.0
STRENGTH = 1.0  # broken symmetry in units of the variance that strict equivariance saves


def smooth_covariance() -> Tensor:
    """Of stationary inputs, which C_12 leaves alone: power falls from 1 to 0.003 with the frequency; trace 12."""
    frequencies = torch.fft.fftfreq(N_PIXELS, d=1 / N_PIXELS)
    first = torch.fft.ifft(1 / (1 + (frequencies / 1.5).square()) ** 2).real
    places = torch.arange(N_PIXELS)
    covariance = first[(places[:, None] - places) % N_PIXELS]
    return covariance / covariance.diagonal().mean()


def power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(1e-12) ** exponent) @ vectors.mT


def quadratic_fit(gram: Tensor, moment: Tensor, weight: float, metric: Tensor) -> Tensor:
    """Argmin tr(W G Wᵀ) − 2 tr(W Mᵀ) + λ tr(R S Rᵀ), R = W − P(W), for a metric S that the group leaves alone."""
    n = N_PIXELS**2
    eye = torch.eye(n, dtype=gram.dtype)
    rest_of = eye - CIRCULANT(eye.reshape(n, N_PIXELS, N_PIXELS)).reshape(n, n)
    identity = torch.eye(N_PIXELS, dtype=gram.dtype)
    system = torch.kron(identity, gram) + weight * rest_of @ torch.kron(identity, metric) @ rest_of
    return torch.linalg.solve(system, moment.flatten()).reshape(N_PIXELS, N_PIXELS)


def input_risks(kind: str, seed: int) -> Iterator[tuple[str, float]]:
    """Excess risk E |(W − W₀) x|² of each norm tuned on validation data; `even` in entries, or in `outputs`."""
    generator = torch.Generator().manual_seed(FIRST_SEED + seed)
    covariance = smooth_covariance().double()
    inside, outside = torch.randn(2, N_PIXELS, N_PIXELS, generator=generator).double()
    outside = outside - CIRCULANT(outside)
    if kind == "outputs":
        outside = outside @ power(covariance, -0.5)
    saved = NOISE_INPUT**2 * (N_PIXELS**2 - N_PIXELS) / N_INPUT
    truth = CIRCULANT(inside) + (STRENGTH * saved / risk(outside, covariance)) ** 0.5 * outside
    data = []
    for n in (N_INPUT, N_INPUT // 2):
        inputs = torch.randn(n, N_PIXELS, generator=generator).double() @ power(covariance, 0.5)
        data += [inputs, inputs @ truth.mT + NOISE_INPUT * torch.randn(n, N_PIXELS, generator=generator)]
    sample = Sample(*data)
    gram, moment = sample.inputs.mT @ sample.inputs / N_INPUT, sample.targets.mT @ sample.inputs / N_INPUT
    layer = nn.Linear(N_PIXELS, N_PIXELS, bias=False).double()
    measured = input_covariances(layer, batches=[sample.inputs], layers={"": (TWELVE, TWELVE)})["weight"]
    metrics = {"frobenius": torch.eye(N_PIXELS).double(), "input-weighted": measured}
    tuned = {}
    for norm, metric in metrics.items():
        grid = torch.logspace(-3, 3, N_GRID).tolist()
        fits = [quadratic_fit(gram, moment, weight, metric) for weight in grid]
        errors = [float((sample.inputs_valid @ w.mT - sample.targets_valid).square().mean()) for w in fits]
        tuned[norm] = risk(fits[errors.index(min(errors))] - truth, covariance)
        yield norm, tuned[norm]
    strict = quadratic_fit(gram, moment, 1e7, metrics["frobenius"])
    layer.weight.data = CIRCULANT(strict)
    given = {"loss": squared_error, "batches": [(sample.inputs, sample.targets)], "layers": {"": (TWELVE, TWELVE)}}
    tests = {
        "frobenius": score_test(layer, **given),
        "input-weighted": score_test(layer, covariances={"weight": measured}, **given),
    }
    chosen = max(tests, key=lambda norm: tests[norm].log_evidence)
    alone = quadratic_fit(gram, moment, tests[chosen].weights["weight"], metrics[chosen])
    yield "norm chosen", tuned[chosen]
    yield f"chose {chosen}", 1.0
    yield "norm and weight chosen", risk(alone - truth, covariance)
    yield "strict", risk(strict - truth, covariance)
    yield "plain", risk(quadratic_fit(gram, moment, 0.0, metrics["frobenius"]) - truth, covariance)


def risk(difference: Tensor, covariance: Tensor) -> float:
    """E |D x|²."""
    return float(((difference @ covariance) * difference).sum())
