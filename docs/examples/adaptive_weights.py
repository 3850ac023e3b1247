"""The problems of adaptive.py where the weight of the penalty is chosen: a linear map, and a small network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from adaptive_data import FIRST_SEED, N_GRID, Sample, each, joined, squared_error
from torch import Tensor, nn

from equiproj.adaptive import ScoreRow, score_test
from equiproj.groups import CyclicGroup
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import regular, trivial

# --- a linear map on images of 9 × 9 pixels ---------------------------------------------------------------------------

IMAGE = 9
N_LINEAR, NOISE_LINEAR = 200, 0.5


def linear_problem(share: float, seed: int) -> tuple[Tensor, Sample, Tensor]:
    """A kernel of length 1 with that share outside the symmetry, data, and the matrix of P."""
    group, n = CyclicGroup(4), IMAGE**2
    project = ConvProjector(trivial(group), trivial(group), (IMAGE, IMAGE))
    matrix = project(torch.eye(n).reshape(n, 1, 1, IMAGE, IMAGE)).reshape(n, n)
    generator = torch.Generator().manual_seed(FIRST_SEED + seed)
    inside, outside = torch.randn(2, n, generator=generator)
    inside, outside = matrix @ inside, outside - matrix @ outside
    truth = (1 - share**2) ** 0.5 * inside / inside.norm() + share * outside / outside.norm()
    data = [torch.randn(size, n, generator=generator) for size in (N_LINEAR, N_LINEAR // 2)]
    noisy = [x @ truth + NOISE_LINEAR * torch.randn(len(x), generator=generator) for x in data]
    return truth, Sample(data[0], noisy[0], data[1], noisy[1]), matrix


class LinearFits:
    """The strict fit of a sample, and the penalised one for every λ."""

    def __init__(self, sample: Sample, matrix: Tensor) -> None:
        n, self.perpendicular, self.sample = len(sample.inputs), torch.eye(IMAGE**2) - matrix, sample
        self.gram, self.moment = sample.inputs.T @ sample.inputs / n, sample.inputs.T @ sample.targets / n
        self.strict = torch.linalg.pinv(matrix @ self.gram @ matrix, hermitian=True) @ (matrix @ self.moment)

    def fit(self, weight: float) -> Tensor:
        """Argmin of the mean squared error and λ ‖w − P(w)‖²."""
        return torch.linalg.solve(self.gram + weight * self.perpendicular, self.moment)

    def looks(self, seed: int) -> tuple[ScoreRow, ScoreRow]:
        """The score test at the strict fit, and at the one that it asks for."""
        first = look(self.strict, self.sample, seed)
        return first, look(self.fit(first.weight), self.sample, seed)


def linear_risks(share: float, seed: int) -> Iterator[tuple[str, float]]:
    """Excess risk ‖w − w₀‖² of each method."""
    truth, sample, matrix = linear_problem(share, seed)
    fits, whole = LinearFits(sample, matrix), LinearFits(joined(sample, 0), matrix)

    def risk(found: Tensor) -> float:
        return float((found - truth).square().sum())

    grid = [float(weight) for weight in np.logspace(-4, 3, N_GRID)]
    tried = [fits.fit(weight) for weight in grid]
    valid = [float((sample.inputs_valid @ found - sample.targets_valid).square().mean()) for found in tried]
    best = int(np.argmin(valid))
    first, second = fits.looks(seed)
    by_moments = 0.5 * first.curvature * first.noise / first.excess if first.excess > 0 else first.weight
    yield "plain", risk(fits.fit(0.0))
    yield "strict", risk(fits.strict)
    yield "grid", risk(tried[best])
    yield "best of grid", min(map(risk, tried))
    yield "moments", risk(fits.fit(by_moments))
    yield "adaptive, one look", risk(fits.fit(first.weight))
    yield "adaptive", risk(fits.fit(second.weight))
    yield "grid, all data", risk(whole.fit(grid[best]))
    yield "adaptive, all data", risk(whole.fit(whole.looks(seed)[1].weight))


def look(kernel: Tensor, sample: Sample, seed: int) -> ScoreRow:
    """The score test at a kernel, on the training data."""
    layer = nn.Conv2d(1, 1, IMAGE, bias=False)
    layer.weight.data = kernel.reshape(1, 1, IMAGE, IMAGE)
    batch = sample.inputs.reshape(-1, 1, IMAGE, IMAGE), sample.targets.reshape(-1, 1, 1, 1)
    (row,) = score_test(layer, CyclicGroup(4), loss=squared_error, batches=[batch], seed=seed).rows
    return row


# --- a small network on features of C_4 -------------------------------------------------------------------------------

N_NETWORK, NOISE_NETWORK, N_TEST = 200, 0.5, 1000
N_STEPS, LEARNING_RATE = 600, 0.02
FOUR = CyclicGroup(4)
RHO_IN, RHO_HIDDEN, RHO_OUT = 2 * regular(FOUR), 2 * regular(FOUR), regular(FOUR)
LAYERS = {"0": (RHO_IN, RHO_HIDDEN), "2": (RHO_HIDDEN, RHO_OUT)}
PROJECTORS = {f"{name}.weight": LinearProjector(*rhos) for name, rhos in LAYERS.items()}
Weights = dict[str, Tensor]


def network() -> nn.Sequential:
    """Two layers; without biases, weights alone decide about the symmetry."""
    return nn.Sequential(
        nn.Linear(RHO_IN.dim, RHO_HIDDEN.dim, bias=False), nn.Tanh(), nn.Linear(RHO_HIDDEN.dim, RHO_OUT.dim, bias=False)
    )


def drawn_weights(share: float, generator: torch.Generator, gain: float) -> Weights:
    """Weights with that share of their squared length outside the symmetry, N(0, gain²/fan-in) on average."""
    found = {}
    for name, project in PROJECTORS.items():
        inside, outside = torch.randn(2, *project.weight_shape, generator=generator)
        inside, outside = project(inside), outside - project(outside)
        size = gain * project.weight_shape[0] ** 0.5
        mixed = (1 - share**2) ** 0.5 * inside / inside.norm() + share * outside / outside.norm()
        found[name] = size * mixed
    return found


def outputs(weights: Weights, inputs: Tensor) -> Tensor:
    """Of one network, or of a stack of them (networks, examples, 4)."""
    return torch.tanh(inputs @ weights["0.weight"].mT) @ weights["2.weight"].mT


def trained(start: Weights, penalty: Weights, sample: Sample) -> Weights:
    """Adam on the mean squared error and Σ λ ‖W − P(W)‖², a stack of networks (m, …) at once; λ = ∞ keeps W = P(W).

    W = P(V) + s (V − P(V)) with s² = 1 / (1 + 2 λ): in V the penalised loss is as well conditioned for a large λ as for
    none, where Adam in W ended in worse minima the larger λ was.
    """
    scales = {name: (1 + 2 * weight).rsqrt()[:, None, None] for name, weight in penalty.items()}
    held = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimiser = torch.optim.Adam(held.values(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, N_STEPS)
    for _ in range(N_STEPS):
        rests = {name: value - PROJECTORS[name](value) for name, value in held.items()}
        used = {name: value - (1 - scales[name]) * rests[name] for name, value in held.items()}
        loss = (outputs(used, sample.inputs) - sample.targets).square().sum(2).mean(1).sum()
        for name, rest in rests.items():  # λ s² = (1 − s²) / 2
            loss = loss + (0.5 * (1 - scales[name].square()) * rest.square()).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return {
        name: value.detach() - (1 - scales[name]) * (value - PROJECTORS[name](value)).detach()
        for name, value in held.items()
    }


def network_risks(share: float, n_seeds: int) -> Iterator[tuple[int, str, float]]:
    """Excess risk E (f − f₀)² of each method, networks of all seeds trained side by side from the strict ones."""
    generators = [torch.Generator().manual_seed(FIRST_SEED + seed) for seed in range(n_seeds)]
    teachers = stacked([drawn_weights(share, g, 1.5) for g in generators])
    starts = stacked([drawn_weights(0.5, g, 0.5) for g in generators])

    def sample(n: int) -> tuple[Tensor, Tensor]:
        inputs = torch.stack([torch.randn(n, RHO_IN.dim, generator=g) for g in generators])
        noise = torch.stack([torch.randn(n, RHO_OUT.dim, generator=g) for g in generators])
        return inputs, outputs(teachers, inputs) + NOISE_NETWORK * noise

    sizes = (N_NETWORK, N_NETWORK // 2)
    data = Sample(*sample(sizes[0]), *sample(sizes[1]))
    inputs_test, _ = sample(N_TEST)
    clean = outputs(teachers, inputs_test)

    def of_runs(weights: list[list[float]] | Weights, begun: Weights, sample: Sample) -> Weights:
        """Train (seed, λ) → network; weights as one list for each seed, or by layer."""
        by_layer = weights if isinstance(weights, dict) else dict.fromkeys(PROJECTORS, torch.tensor(weights))
        n_each = next(iter(by_layer.values())).shape[1]
        repeated = Sample(*(part.repeat_interleave(n_each, 0) for part in sample))
        first = {name: value.repeat_interleave(n_each, 0) for name, value in begun.items()}
        return trained(first, {name: value.flatten() for name, value in by_layer.items()}, repeated)

    def looks(strict: Weights, sample: Sample) -> Iterator[Weights]:
        """Networks after each look at the training data, from the strict ones on."""
        present = strict
        for _ in range(2):
            asked = [asked_weights(present, sample, seed) for seed in range(n_seeds)]
            by_layer = {name: torch.tensor([[w[name]] for w in asked]) for name in PROJECTORS}
            present = of_runs(by_layer, strict, sample)
            yield present

    def risks(found: Weights) -> Tensor:
        n_each = len(found["0.weight"]) // n_seeds
        repeated = (part.repeat_interleave(n_each, 0) for part in (inputs_test, clean))
        inputs, expected = repeated
        return (outputs(found, inputs) - expected).square().mean((1, 2)).reshape(n_seeds, n_each)

    # all methods go on from the strict network: otherwise a grid also picks the best minimum of 29
    never = [[float("inf")]] * n_seeds
    strict = of_runs(never, starts, data)
    grid = torch.logspace(-5, 2, N_GRID)
    found = of_runs([[*grid.tolist(), 0.0]] * n_seeds, strict, data)
    n_each = N_GRID + 1
    inputs, targets = (part.repeat_interleave(n_each, 0) for part in (data.inputs_valid, data.targets_valid))
    errors = (outputs(found, inputs) - targets).square().mean((1, 2)).reshape(n_seeds, n_each)
    best, all_risks = errors[:, :N_GRID].argmin(1), risks(found)
    first, second = looks(strict, data)
    whole = joined(data, 1)
    strict_whole = of_runs(never, starts, whole)
    yield from each("strict", risks(strict)[:, 0])
    yield from each("plain", all_risks[:, N_GRID])
    yield from each("grid", all_risks[torch.arange(n_seeds), best])
    yield from each("best of grid", all_risks[:, :N_GRID].amin(1))
    yield from each("adaptive, one look", risks(first)[:, 0])
    yield from each("adaptive", risks(second)[:, 0])
    yield from each("grid, all data", risks(of_runs(grid[best][:, None].tolist(), strict_whole, whole))[:, 0])
    *_, last = looks(strict_whole, whole)
    yield from each("adaptive, all data", risks(last)[:, 0])


def asked_weights(present: Weights, data: Sample, seed: int) -> dict[str, float]:
    """λ⊥ of each layer, from the training data of a seed and its networks of now."""
    module = network()
    module.load_state_dict({name: value[seed] for name, value in present.items()})
    batch = data.inputs[seed], data.targets[seed]
    return score_test(module, loss=squared_error, batches=[batch], layers=LAYERS, chunk_size=300).weights


def stacked(networks: list[Weights]) -> Weights:
    """Networks along a first axis."""
    return {name: torch.stack([each[name] for each in networks]) for name in networks[0]}
