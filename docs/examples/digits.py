"""Handwritten digits of scikit-learn, turned or upright: how far the symmetry of quarter turns holds is a dial.

A share s of all images stays upright, the others are turned by 0, 90, 180 or 270 degrees with equal chances, while
training, validating and testing alike. At s = 0 the data are symmetric under C_4, at s = 1 no image is turned.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import harness
import torch
from methods import Batch, Data, Domain, Predict
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from equiproj.baselines import GroupAveraged, random_group_transform
from equiproj.groups import CyclicGroup
from equiproj.representations import grid, regular, tensor_product, trivial

GROUP = CyclicGroup(4)
N_TRAIN, N_VALIDATION = 200, 200  # of 1,797 images; the others are tested
FIELDS = (4, 8)  # regular fields of the two hidden layers


@lru_cache(maxsize=1)
def digits() -> Batch:
    """All images, (1797, 1, 8, 8) from 0 to 1, and their digits."""
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16, torch.tensor(labels)


def turned(images: Tensor, upright: float, generator: torch.Generator) -> Tensor:
    """Each image turned by a random quarter turn, unless it belongs to the share that stays upright."""
    moved = random_group_transform(images, group=GROUP, generator=generator)[0]
    stays = torch.rand(len(images), generator=generator) < upright
    return torch.where(stays.reshape(-1, 1, 1, 1), images, moved)


def data(dial: float, seed: int) -> Data:
    """The images in an order of their own for each seed, cut in three."""
    images, labels = digits()
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    images, labels = turned(images[order], dial, generator), labels[order]
    sizes = (N_TRAIN, N_VALIDATION, len(images) - N_TRAIN - N_VALIDATION)
    return Data(*zip(images.split(sizes), labels.split(sizes), strict=True))


def network() -> nn.Module:
    """Two convolutions and a linear layer; all between them commutes with quarter turns."""
    first, second = (GROUP.order * n for n in FIELDS)
    return nn.Sequential(
        *(nn.Conv2d(1, first, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(4 * second, 10)),
    )


def declaration() -> dict[str, Any]:
    """Types of the layers: images, regular fields, regular fields on 2 × 2 pixels, ten invariant logits."""
    image, (first, second) = trivial(GROUP), (n * regular(GROUP) for n in FIELDS)
    pixels = tensor_product(second, grid(GROUP, (2, 2)))
    return {"layers": {"0": (image, first), "3": (first, second), "7": (pixels, 10 * image)}}


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Share of digits that are named rightly."""
    return (100 * (predict(batch[0]).argmax(dim=1) == batch[1]).double().mean().item(),)


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Images turned, digits kept."""
    return random_group_transform(batch[0], group=GROUP, generator=generator)[0], batch[1]


def average(module: nn.Module) -> Predict:
    """Mean logits over the four turns of an image."""
    return GroupAveraged(module, GROUP)


DOMAIN = Domain(
    name="digits",
    title="digits, C_4",
    dial="share of images that stay upright",
    dials=(0.0, 0.5, 1.0),
    metrics={"test accuracy [%]": 1},
    data=data,
    network=network,
    loss=cross_entropy,
    scores=scores,
    augment=augment,
    average=average,
    declaration=declaration,
    n_steps=300,
    batch_size=32,
    learning_rate=1e-2,
    weights=(1e-3, 3e-2, 1.0),
    proximal_weights=(0.01, 1.0),
    first_seed=10,
)

main = partial(harness.main, DOMAIN, __doc__)

if __name__ == "__main__":
    main()
