"""The two rings of `rings.py` under all methods of the harness: SO(2), broken by a perturbed radius.

The same data, layers and nonlinearity; few points, so that a symmetry has something to add.
"""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import harness
import rings
import torch
from methods import Batch, Data, Domain, Predict
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

N_TRAIN, N_VALIDATION, N_TEST = 20, 20, 1000
N_TURNS = 16  # of a test-time average


def data(dial: float, seed: int) -> Data:
    """Points of their own for each part."""
    generator = torch.Generator().manual_seed(seed)
    return Data(*(rings.noisy_rings(n, dial, generator) for n in (N_TRAIN, N_VALIDATION, N_TEST)))


class RingClassifier(nn.Module):
    """The network of `rings.py` as a module; its biases act on invariants alone."""

    def __init__(self) -> None:
        super().__init__()
        drawn = rings.initial_parameters([int(torch.randint(2**31, ()))])
        names = [name for name in drawn if name.startswith("weight")]
        self.layers = nn.ModuleList(nn.Linear(*drawn[name].shape[:0:-1], bias=False) for name in names)
        for layer, name in zip(self.layers, names, strict=True):
            layer.weight.data = drawn[name][0]
        self.biases = nn.ParameterList(drawn[name][0] for name in drawn if name not in names)

    def forward(self, points: Tensor) -> Tensor:
        """Logits of the outer ring, (points,)."""
        parameters = {f"weight{i}": layer.weight.unsqueeze(0) for i, layer in enumerate(self.layers)}
        parameters |= {f"bias{i}": bias.unsqueeze(0) for i, bias in enumerate(self.biases)}
        return rings.logits(parameters, points.unsqueeze(0)).squeeze(0)


def declaration() -> dict[str, Any]:
    """Types of the layers: the plane, irreps, irreps, one invariant logit."""
    return {"layers": {f"layers.{i}": pair for i, pair in enumerate(itertools.pairwise(rings.representations()))}}


def turned(points: Tensor, angles: Tensor) -> Tensor:
    """Points (…, 2) turned anticlockwise, each by its angle (…)."""
    x, y = points.unbind(-1)
    return torch.stack((angles.cos() * x - angles.sin() * y, angles.sin() * x + angles.cos() * y), dim=-1)


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Share of points whose ring is named rightly."""
    return (100 * ((predict(batch[0]) > 0) == batch[1].bool()).double().mean().item(),)


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Points turned by any angle, rings kept."""
    return turned(batch[0], 2 * math.pi * torch.rand(len(batch[0]), generator=generator)), batch[1]


def average(module: nn.Module) -> Predict:
    """Mean logits over evenly spaced turns, which stand for the whole circle."""
    angles = torch.arange(N_TURNS) * (2 * math.pi / N_TURNS)
    return lambda points: torch.stack([module(turned(points, angle)) for angle in angles]).mean(dim=0)


DOMAIN = Domain(
    name="rings_methods",
    title="rings, SO(2)",
    dial="perturbation of the radius σ",
    dials=(0.0, 0.5, 1.0),
    metrics={"test accuracy [%]": 1},
    data=data,
    network=RingClassifier,
    loss=binary_cross_entropy_with_logits,
    scores=scores,
    augment=augment,
    average=average,
    declaration=declaration,
    n_steps=150,
    batch_size=N_TRAIN,
    learning_rate=3e-2,
    weights=(1e-2, 1e-1, 1.0),
    proximal_weights=(0.1, 1.0),
    first_seed=10,
)

main = partial(harness.main, DOMAIN, __doc__)

if __name__ == "__main__":
    main()
