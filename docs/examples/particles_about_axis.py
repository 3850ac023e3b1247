"""Charged particles in a uniform field, with the symmetry it leaves: `particles.py` under the turns about z, SO(2).

The data and the drawn network are those of `particles.py`; the group that every method is told differs, and with it the
start, which is equivariant to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import harness
import numpy as np
import particles
import torch
from methods import Batch, Predict
from torch import nn

from equiproj.groups import SO2, CyclicGroup

N_TURNS = 12  # of the average, which stand for all


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Every system is turned about z."""
    turns = np.stack([SO2().spatial_matrix(angle, 3) for angle in SO2().sample(len(batch[0]), generator)])
    return particles.rotated(batch, torch.from_numpy(turns).float())


def average(network: nn.Module) -> Predict:
    """Over 12 turns about z, which stand for all."""
    return particles.averaged(network, CyclicGroup(N_TURNS))


def declaration() -> dict[str, Any]:
    """Under the turns about z."""
    return {"layers": particles.types(SO2())}


DOMAIN = replace(
    particles.DOMAIN,
    name="particles_about_axis",
    title="N-body, SO(2)",
    dials=(0.0, 0.3),
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
