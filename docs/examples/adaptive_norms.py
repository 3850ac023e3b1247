"""The problem of adaptive.py where the norm is chosen: a symmetry that is broken in three ways."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from adaptive_data import FIRST_SEED, N_GRID, Sample, each, squared_error
from torch import Tensor, nn

from equiproj.adaptive import choose_norm, score_test
from equiproj.groups import CyclicGroup
from equiproj.projections import LinearProjector
from equiproj.representations import regular

# --- a linear map on 12 pixels whose symmetry is broken in three ways -------------------------------------------------

N_PIXELS, N_NORM, NOISE_NORM = 12, 100, 1.0
N_ITERATIONS = 80
N_DRAWS = 99  # of gradients that a dense breaking would make
TWELVE = regular(CyclicGroup(N_PIXELS))
CIRCULANT = LinearProjector(TWELVE, TWELVE)
NORMS = ("frobenius", "nuclear", "entrywise:1")


def broken_part(kind: str, generator: torch.Generator) -> Tensor:
    """A part outside the symmetry, of length 1: dense, one outer product, or three single entries."""
    drawn = torch.randn(N_PIXELS, N_PIXELS, generator=generator)
    if kind == "low rank":
        drawn = torch.outer(drawn[0], drawn[1])
    if kind == "sparse":
        kept = torch.randperm(N_PIXELS**2, generator=generator)[:3]
        drawn = torch.zeros(N_PIXELS**2).index_fill(0, kept, 1).reshape_as(drawn) * drawn.sign()
    rest = drawn - CIRCULANT(drawn)
    return rest / rest.norm()


def shrunk(matrices: Tensor, threshold: Tensor, norm: str) -> Tensor:
    """The proximal point of threshold · norm, or of threshold/2 · ‖·‖² for the Frobenius norm."""
    if norm == "frobenius":
        return matrices / (1 + threshold)
    if norm == "entrywise:1":
        return matrices.sign() * (matrices.abs() - threshold).clamp_min(0)
    left, sigma, right = torch.linalg.svd(matrices, full_matrices=False)
    return left @ ((sigma - threshold[..., 0]).clamp_min(0).unsqueeze(-1) * right)


def penalised(gram: Tensor, moment: Tensor, weights: Tensor, norm: str) -> Tensor:
    """Argmin tr(W G Wᵀ) − 2 tr(W Mᵀ) + λ ‖W − P(W)‖ (squared for Frobenius), by ADMM; (seeds, weights, rows, columns).

    W − P(W) is split off: one linear system for W, whose matrix all λ share, and a proximal step of the norm.
    """
    n_seeds, n = len(gram), N_PIXELS**2
    eye = torch.eye(n)
    rest_of = eye - CIRCULANT(eye.reshape(n, N_PIXELS, N_PIXELS)).reshape(n, n)
    curvature = 2 * torch.einsum("ab,sij->saibj", torch.eye(N_PIXELS), gram).reshape(n_seeds, n, n)
    inverse = torch.linalg.inv(curvature + 2 * rest_of)
    split = torch.zeros(n_seeds, len(weights[0]), N_PIXELS, N_PIXELS)
    dual = torch.zeros_like(split)
    threshold = (weights / 2)[..., None, None] * (2 if norm == "frobenius" else 1)
    for _ in range(N_ITERATIONS):
        right = 2 * moment.flatten(1).unsqueeze(1) + 2 * (split - dual).flatten(2) @ rest_of
        found = (right @ inverse).reshape_as(split)
        rest = found - CIRCULANT(found)
        split = shrunk(rest + dual, threshold, norm)
        dual = dual + rest - split
    return found


def norm_risks(kind: str, strength: float, n_seeds: int) -> Iterator[tuple[int, str, float]]:
    """Excess risk ‖W − W₀‖² of each norm tuned on validation data, of the norm chosen, and with its weight."""
    generators = [torch.Generator().manual_seed(FIRST_SEED + seed) for seed in range(n_seeds)]
    saved = NOISE_NORM**2 * (N_PIXELS**2 - N_PIXELS) / N_NORM
    truth = torch.stack(
        [
            CIRCULANT(torch.randn(N_PIXELS, N_PIXELS, generator=g)) + (strength * saved) ** 0.5 * broken_part(kind, g)
            for g in generators
        ]
    )

    def sample(n: int) -> tuple[Tensor, Tensor]:
        inputs, noise = torch.stack([torch.randn(2, n, N_PIXELS, generator=g) for g in generators]).unbind(1)
        return inputs, inputs @ truth.mT + NOISE_NORM * noise

    data = Sample(*sample(N_NORM), *sample(N_NORM // 2))
    gram, moment = data.inputs.mT @ data.inputs / N_NORM, data.targets.mT @ data.inputs / N_NORM
    grid = torch.logspace(-3, 2, N_GRID).expand(n_seeds, -1)
    risks, tuned = {}, {}
    for norm in NORMS:
        found = penalised(gram, moment, grid, norm)
        risks[norm] = (found - truth[:, None]).square().sum((2, 3))
        errors = data.inputs_valid[:, None] @ found.mT - data.targets_valid[:, None]
        tuned[norm] = risks[norm][torch.arange(n_seeds), errors.square().mean((2, 3)).argmin(1)]
        yield from each(norm, tuned[norm])
    strict = penalised(gram, moment, torch.full((n_seeds, 1), 1e6), "frobenius")[:, 0]
    yield from each("strict", (strict - truth).square().sum((1, 2)))
    yield from each("plain", (torch.linalg.solve(gram, moment.mT).mT - truth).square().sum((1, 2)))
    for seed in range(n_seeds):
        layer = nn.Linear(N_PIXELS, N_PIXELS, bias=False)
        layer.weight.data = CIRCULANT(strict[seed])
        batch = data.inputs[seed], data.targets[seed]
        choice = choose_norm(
            score_test(layer, loss=squared_error, batches=[batch], layers={"": (TWELVE, TWELVE)}, n_draws=N_DRAWS)
        )
        yield seed, "norm chosen", float(tuned[choice.norm][seed])
        yield seed, f"chose {choice.norm}", 1.0
        weight = torch.tensor([[choice.weights["weight"]]])
        alone = penalised(gram[seed : seed + 1], moment[seed : seed + 1], weight, choice.norm)[0, 0]
        yield seed, "norm and weight chosen", float((alone - truth[seed]).square().sum())
