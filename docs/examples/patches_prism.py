"""Thick slices, with the symmetry that they leave: the patches of `patches.py` under the turns of a square prism (D_4).

The data, the network and its start are those of `patches.py`; what differs is the group that every method is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import harness
import patches
import torch
from methods import Batch, Predict
from torch import nn

from equiproj.baselines import GroupAveraged, random_group_transform
from equiproj.groups import SquarePrismGroup


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Every sample is turned like a square prism about z."""
    return random_group_transform(*batch, group=SquarePrismGroup(), generator=generator)


def average(network: nn.Module) -> Predict:
    """Over the 8 turns."""
    return GroupAveraged(network, SquarePrismGroup())


def declaration() -> dict[str, Any]:
    """Under the prism."""
    return {"layers": patches.types(SquarePrismGroup())}


DOMAIN = replace(
    patches.DOMAIN,
    name="patches_prism",
    title="3-D patches, D_4",
    augment=augment,
    average=average,
    declaration=declaration,
    broken=False,
)


def main(argv: list[str] | None = None) -> None:
    """Compare the methods."""
    harness.main(DOMAIN, __doc__, argv)


if __name__ == "__main__":
    main()
