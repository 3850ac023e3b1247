"""Thick slices: 3-D patches whose cube symmetry is broken to that of a square prism (arXiv 2601.05028, section 4.4).

Patches of 8³ voxels hold soft ellipsoids, rods and plates of every orientation, so that nothing in them tells x, y
and z apart. They are seen through slices of t voxels along z, with noise; what is wanted is the middle
of the patch as it was. At t = 1 the task commutes with the 24 turns of the cube; thicker slices leave the 8 turns of
a square prism about z (D_4).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import harness
import numpy as np
import torch
from methods import Batch, Data, Domain, Predict
from torch import Tensor, nn
from torch.nn.functional import silu

from equiproj.baselines import GroupAveraged, random_group_transform
from equiproj.groups import SO3, CubeGroup, FiniteGroup
from equiproj.groups.grids import pixel_coordinates
from equiproj.layers import LayerTypes
from equiproj.representations import regular, trivial

N_VOXELS = 8  # along each axis
N_MIDDLE = 2  # of the block that is wanted
N_BODIES = 3  # in a patch
ROD, PLATE, BALL = (1.0, 1.0, 4.0), (4.0, 4.0, 1.0), (1.6, 1.6, 1.6)  # half axes in voxels
FARTHEST = 2.5  # of the centre of a body from the middle of the patch, per axis, in voxels
STEEPNESS = 3.0  # of an edge: the larger, the sharper
NOISE = 0.1  # of a voxel, where a body has 1 and air 0
N_TRAIN, N_VALIDATION, N_TEST = 256, 256, 1024
N_CHANNELS = 48  # two regular fields of the cube, six of the prism


def drawn_bodies(n_patches: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Centres (n, bodies, 3), uniform rotations (n, bodies, 3, 3) and half axes (n, bodies, 3), in float64."""
    shape = (n_patches, N_BODIES)
    centres = FARTHEST * (2 * torch.rand(*shape, 3, generator=generator, dtype=torch.float64) - 1)
    rotations = torch.from_numpy(np.stack(SO3().sample(n_patches * N_BODIES, generator))).unflatten(0, shape)
    kinds = torch.randint(3, shape, generator=generator)
    return centres, rotations, torch.tensor([ROD, PLATE, BALL], dtype=torch.float64)[kinds]


def rendered(centres: Tensor, rotations: Tensor, half_axes: Tensor) -> Tensor:
    """Patches (n, 1, z, y, x): 1 inside a body, 0 outside, with an edge where (x − c)ᵀ R diag(1/a²) Rᵀ (x − c) is 1.

    Args:
        centres: (n, bodies, 3) in voxels, as (x, y, z) about the middle of the patch.
        rotations: (n, bodies, 3, 3), whose columns are the axes of a body.
        half_axes: (n, bodies, 3) in voxels.
    """
    points = torch.from_numpy(pixel_coordinates((N_VOXELS,) * 3)).T
    along_axes = torch.einsum("pbvi,pbij->pbvj", points - centres.unsqueeze(2), rotations)
    square = (along_axes / half_axes.unsqueeze(2)).square().sum(dim=-1)
    inside = torch.sigmoid(STEEPNESS * (1 - square)).amax(dim=1)
    return inside.unflatten(-1, (1, N_VOXELS, N_VOXELS, N_VOXELS))


def through_slices(patches: Tensor, thickness: float) -> Tensor:
    """The mean over a slice of that many voxels about every voxel along z, with air above and below the patch.

    Slices overlap where they are thicker than 1: one is reconstructed at every voxel, as in CT. Voxels at the two
    faces of a slice count by the part of them that lies inside.

    Args:
        patches: (n, 1, z, y, x).
        thickness: t in voxels, at least 1.
    """
    reach = int(np.ceil((thickness - 1) / 2))
    offsets = torch.arange(-reach, reach + 1, dtype=patches.dtype)
    profile = ((thickness + 1) / 2 - offsets.abs()).clamp(0, 1) / thickness
    return nn.functional.conv3d(patches, profile.reshape(1, 1, -1, 1, 1), padding=(reach, 0, 0))


def middle(patches: Tensor) -> Tensor:
    """The block of N_MIDDLE voxels along each axis in the middle."""
    inner = slice((N_VOXELS - N_MIDDLE) // 2, (N_VOXELS + N_MIDDLE) // 2)
    return patches[..., inner, inner, inner]


def drawn(n_patches: int, thickness: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is seen, (n, 1, 8, 8, 8), and the middle of what was there, (n, 1, 2, 2, 2), in float32."""
    patches = rendered(*drawn_bodies(n_patches, generator))
    seen = through_slices(patches, thickness)
    noise = NOISE * torch.randn(seen.shape, generator=generator, dtype=seen.dtype)
    return (seen + noise).float(), middle(patches).float()


class Restoration(nn.Module):
    """Two convolutions without padding that leave the middle of a patch, and a mixture of their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, N_CHANNELS, 5)
        self.second = nn.Conv3d(N_CHANNELS, N_CHANNELS, 3)
        self.last = nn.Conv3d(N_CHANNELS, 1, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """(n, 1, 8, 8, 8) to (n, 1, 2, 2, 2): the seen middle, corrected."""
        hidden = silu(self.second(silu(self.first(seen))))
        return middle(seen) + self.last(hidden)


def types(group: FiniteGroup) -> LayerTypes:
    """Hidden channels are regular fields: of the cube, or three times as many of the prism."""
    hidden = N_CHANNELS // group.order * regular(group)
    return {"first": (trivial(group), hidden), "second": (hidden, hidden), "last": (hidden, trivial(group))}


def data(excess: float, seed: int) -> Data:
    """Patches through slices of 1 + excess voxels; the same bodies and noise at every thickness."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return Data(*(drawn(n, 1 + excess, generator) for n in (N_TRAIN, N_VALIDATION, N_TEST)))


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean square error."""
    return nn.functional.mse_loss(output, target)


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Root mean square error in thousandths of the contrast between a body and air."""
    return (1000 * loss(predict(batch[0]), batch[1]).sqrt().item(),)


def augmented(batch: Batch, generator: torch.Generator, group: FiniteGroup) -> Batch:
    """Every sample is turned by an element of its own."""
    return random_group_transform(*batch, group=group, generator=generator)


def declared(group: FiniteGroup) -> dict[str, Any]:
    """How features turn."""
    return {"layers": types(group)}


def told(group: FiniteGroup) -> dict[str, Any]:
    """What an example that is told this group gives to its `Domain`; the average is over all of it."""
    return {
        "augment": partial(augmented, group=group),
        "average": partial(GroupAveraged, group=group),
        "declaration": partial(declared, group),
    }


DOMAIN = Domain(
    name="patches",
    title="3-D patches, cube",
    dial="slice thickness beyond one voxel [voxels]",
    dials=(0.0, 3.0),
    metrics={"test RMSE [1/1000]": -1},
    data=data,
    network=Restoration,
    loss=loss,
    scores=scores,
    **told(CubeGroup()),
    n_steps=200,
    batch_size=16,
    learning_rate=2e-3,
    weights=(0.001, 0.01, 0.1),
    proximal_weights=(0.03, 0.1, 0.3),
    first_seed=10,
)


def main(argv: list[str] | None = None) -> None:
    """Compare the methods."""
    harness.main(DOMAIN, __doc__, argv)


if __name__ == "__main__":
    main()
