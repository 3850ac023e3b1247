"""Seven methods on one domain, from one start and on the same batches: how each of them trains.

A domain gives data, a network, its types, loss, metrics and a dial of symmetry breaking. Every method trains the same
drawn network, made equivariant at the scale of its draw, by the same number of steps of Adam on the same batches. λ⊥ is
chosen on the validation set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.adaptive import score_test
from equiproj.layers import assign_all, typed_parameters
from equiproj.regularisers import project_initial_

N_LOOKS, N_PROBES, N_LANCZOS_STEPS = 2, 4, 6  # of the score test; its estimates of a trace vary with the latter two

Batch = tuple[Tensor, Tensor]  # inputs and targets, of one length
Predict = Callable[[Tensor], Tensor]


class Data(NamedTuple):
    """What a seed and a position of the dial give."""

    train: Batch
    validation: Batch
    test: Batch


@dataclass(frozen=True)
class Domain:
    """One example. All functions are of a module, so that other processes find them.

    Args:
        name: of its files, NAME.csv and NAME.png.
        title: as in the table over all domains.
        dial: what breaks the symmetry, with its unit.
        dials: its positions; 0 breaks nothing.
        metrics: names with units, to +1 where more is better and −1 where less is; the first one is the headline.
        data: (dial, seed) → Data.
        network: draws a network from torch's global generator.
        loss: (output, target) → mean over the batch; on the validation set it chooses λ⊥.
        scores: (predict, batch) → the metrics, in their order.
        augment: moves inputs and targets of a batch by random elements of the group.
        average: the network averaged over the group, or over a finite part of it.
        declaration: keywords of `typed_parameters` that say how the network's features turn.
        n_steps: steps of Adam.
        batch_size: samples in a step, drawn without replacement; all of them where there are no more.
        learning_rate: the first one; it falls to zero as a cosine.
        weights: grid of λ⊥ for the squared Frobenius penalty.
        proximal_weights: grid of λ⊥ for the proximal step.
        broken: whether positions other than 0 break the group that the methods are told.
        first_seed: of the table; above all whose test scores were looked at while settings were chosen.
    """

    name: str
    title: str
    dial: str
    dials: tuple[float, ...]
    metrics: dict[str, int]
    data: Callable[[float, int], Data]
    network: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    scores: Callable[[Predict, Batch], tuple[float, ...]]
    augment: Callable[[Batch, torch.Generator], Batch]
    average: Callable[[nn.Module], Predict]
    declaration: Callable[[], dict[str, Any]]
    n_steps: int
    batch_size: int
    learning_rate: float
    weights: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    proximal_weights: tuple[float, ...] = (0.01, 0.1, 1.0)
    broken: bool = True
    first_seed: int = 0


@dataclass(frozen=True)
class Addition:
    """What a method adds to a plain step: to its batch, its loss, its gradients and its weights, in this order."""

    batch: Callable[[Batch], Batch] = lambda batch: batch
    loss: Callable[[], Tensor | float] = lambda: 0.0
    gradients: Callable[[], None] = lambda: None
    weights: Callable[[torch.optim.Optimizer], None] = lambda optimiser: None


class Trained(NamedTuple):
    """A network at its end, the loss on the validation set, λ⊥, and how many trainings it took."""

    network: nn.Module
    validation: float
    weight: float
    trainings: int


@dataclass(frozen=True)
class Unit:
    """One position of the dial and one seed: what a process works on."""

    domain: Domain
    dial: float
    seed: int

    def start(self) -> nn.Module:
        """The network that every method begins with."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.domain.network()
        return project_initial_(network, **self.domain.declaration())

    def train(self, data: Data, add: Callable[[nn.Module], Addition], weight: float = 0.0) -> Trained:
        """One training from the start, with what a method adds."""
        domain, network = self.domain, self.start()
        added = add(network)
        optimiser = torch.optim.Adam(network.parameters(), lr=domain.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, domain.n_steps)
        for chosen in self._batches(len(data.train[0])):
            inputs, targets = added.batch((data.train[0][chosen], data.train[1][chosen]))
            loss = domain.loss(network(inputs), targets) + added.loss()
            optimiser.zero_grad()
            loss.backward()
            added.gradients()
            optimiser.step()
            added.weights(optimiser)
            schedule.step()
        validation = self.loss_of(network.eval(), data.validation)
        return Trained(network, validation, weight, 1)

    @torch.no_grad()
    def loss_of(self, predict: Predict, batch: Batch) -> float:
        """The loss without anything added."""
        return self.domain.loss(predict(batch[0]), batch[1]).item()

    def augmented(self, network: nn.Module) -> Addition:
        """Every sample of a batch is moved by a random element."""
        generator = torch.Generator().manual_seed(self.seed)
        return Addition(batch=lambda batch: self.domain.augment(batch, generator))

    def strict(self, network: nn.Module) -> Addition:
        """Gradients and weights are projected in every step: the iterates of W = P(V), V trained."""
        typed = typed_parameters(network, include_bias=True, **self.domain.declaration())

        def gradients() -> None:
            for entry in typed:
                gradient = entry.read_gradient()
                gradient.copy_(entry.project(gradient))

        @torch.no_grad()
        def weights(optimiser: torch.optim.Optimizer) -> None:
            assign_all([(entry, entry.projector(entry.read())) for entry in typed])

        return Addition(gradients=gradients, weights=weights)

    def penalised(self, weight: Any, network: nn.Module) -> Addition:
        """λ⊥ ‖W − P(W)‖² in the loss, summed over weights and biases."""
        return Addition(loss=self._penalty(network, weight))

    def proximal(self, weight: float, network: nn.Module) -> Addition:
        """The proximal step of λ⊥ ‖W − P(W)‖ after each of Adam's."""
        penalty = ProximalPenalty(network, weight_perpendicular=weight, include_bias=True, **self.domain.declaration())
        return Addition(weights=penalty.step)

    def _penalty(self, network: nn.Module, weight: Any) -> ProjectionPenalty:
        return ProjectionPenalty(
            network, weight_perpendicular=weight, power=2, include_bias=True, **self.domain.declaration()
        )

    def _batches(self, n_samples: int) -> Iterator[Tensor]:
        generator, size = torch.Generator().manual_seed(self.seed), self.domain.batch_size
        for _ in range(self.domain.n_steps):
            yield (
                torch.arange(n_samples) if size >= n_samples else torch.randperm(n_samples, generator=generator)[:size]
            )


def tuned(unit: Unit, data: Data, method: Callable[..., Addition], grid: tuple[float, ...]) -> Trained:
    """The best on the validation set, with the trainings of the whole grid."""
    found = [unit.train(data, partial(method, weight), weight) for weight in grid]
    best = min(found, key=lambda trained: trained.validation)
    return best._replace(trainings=len(found))


def adaptive(unit: Unit, data: Data, strict: Trained) -> Trained:
    """The penalty with a λ⊥ of each weight from the score test; no validation data, no grid.

    Two looks: at the strict network, and at the one that was trained with what the first look gave.
    """
    domain, trained = unit.domain, strict
    for _ in range(N_LOOKS):
        found = score_test(
            trained.network,
            loss=domain.loss,
            batches=[data.train],
            n_probes=N_PROBES,
            n_steps=N_LANCZOS_STEPS,
            seed=unit.seed,
            include_bias=True,
            **domain.declaration(),
        )
        trained = unit.train(data, partial(unit.penalised, found.weights), median(found.weights.values()))
    return trained._replace(trainings=1 + N_LOOKS)


def trained_methods(unit: Unit, data: Data) -> Iterator[tuple[str, Trained, Predict]]:
    """Every method with what it predicts by."""
    plain = unit.train(data, lambda network: Addition())
    yield "plain", plain, plain.network
    augmented = unit.train(data, unit.augmented)
    yield "augmentation", augmented, augmented.network
    averaged = unit.domain.average(plain.network)
    yield "test-time average", plain._replace(validation=unit.loss_of(averaged, data.validation)), averaged
    strict = unit.train(data, unit.strict)
    yield "strict", strict, strict.network
    penalised = tuned(unit, data, unit.penalised, unit.domain.weights)
    yield "penalty, tuned", penalised, penalised.network
    adapted = adaptive(unit, data, strict)
    yield "penalty, adaptive", adapted, adapted.network
    proximal = tuned(unit, data, unit.proximal, unit.domain.proximal_weights)
    yield "proximal", proximal, proximal.network
