"""Thick slices with steerable features: the patches of `patches.py` under all rotations, SO(3).

Hidden features are scalars, vectors and traceless symmetric tensors (degrees 0, 1 and 2), kernels of 5³ and 3³ voxels
are spherical harmonics times rings, and the nonlinearity gates fields by their lengths. On voxels the turns of the cube
alone are exact; data, augmentation and average are those of `patches.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import harness
import patches
import torch
from torch import Tensor, nn

from equiproj.groups import SO3
from equiproj.representations import irrep, trivial

N_FIELDS = (5, 3, 2)  # of degree 0, 1 and 2: 5 + 3·3 + 2·5 channels, and a scalar for each of the other fields
N_CHANNELS = sum(n * (2 * degree + 1) for degree, n in enumerate(N_FIELDS))


class SteerableRestoration(nn.Module):
    """`patches.Restoration` with gated fields in place of rectified channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, N_CHANNELS, 5)
        self.second = nn.Conv3d(N_CHANNELS, N_CHANNELS, 3)
        self.last = nn.Conv3d(N_CHANNELS, 1, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """(n, 1, 8, 8, 8) to (n, 1, 2, 2, 2): the seen middle, corrected."""
        return patches.middle(seen) + self.last(gated(self.second(gated(self.first(seen)))))


def gated(hidden: Tensor) -> Tensor:
    """S' = silu(s + |f|) and f' = sigmoid(s') f, field by field, on (n, channels, z, y, x)."""
    scalars, *fields = hidden.split([n * (2 * degree + 1) for degree, n in enumerate(N_FIELDS)], dim=1)
    fields = [field.unflatten(1, (n, -1)) for field, n in zip(fields, N_FIELDS[1:], strict=True)]
    # The offset keeps the derivative of the square root finite at zero.
    lengths = [(field.square().sum(dim=2) + 1e-12).sqrt() for field in fields]
    scalars = nn.functional.silu(scalars + torch.cat(lengths, dim=1))
    gates = torch.sigmoid(scalars).unsqueeze(2).split(N_FIELDS[1:], dim=1)
    return torch.cat([scalars, *((gate * field).flatten(1, 2) for gate, field in zip(gates, fields, strict=True))], 1)


def declaration() -> dict[str, Any]:
    """Under all rotations."""
    image = trivial(SO3())
    hidden = N_FIELDS[0] * image + N_FIELDS[1] * irrep(SO3(), 1) + N_FIELDS[2] * irrep(SO3(), 2)
    return {"layers": {"first": (image, hidden), "second": (hidden, hidden), "last": (hidden, image)}}


DOMAIN = replace(
    patches.DOMAIN,
    name="patches_steerable",
    title="3-D patches, SO(3)",
    network=SteerableRestoration,
    declaration=declaration,
)


def main(argv: list[str] | None = None) -> None:
    """Compare the methods."""
    harness.main(DOMAIN, __doc__, argv)


if __name__ == "__main__":
    main()
