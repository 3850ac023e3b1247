"""Kernels equivariant to turns off the pixel grid: harmonics times rings, sampled on the grid (section 4.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from equiproj.groups import O2, O3, SO2, SO3, FiniteGroup, Group
from equiproj.groups.grids import pixel_coordinates
from equiproj.projections.sampling import Sampling
from equiproj.representations import (
    Representation,
    circular_harmonics,
    equivariant_maps,
    from_matrices,
    irrep,
    spherical_harmonics,
    tensor_product,
    trivial,
    wigner_matrix,
)

_INDEPENDENT = 1e-6  # relative singular value below which sampling made a kernel a copy of others


@lru_cache(maxsize=512)
def sampled_kernels(
    psi_in: Representation, psi_out: Representation, kernel_shape: tuple[int, ...], sampling: Sampling
) -> np.ndarray:
    """Orthonormal kernels κ(x) = R(|x|) C Y(x/|x|) between two irreps (equation 4.10).

    C intertwines ψ_in ⊗ harmonics with ψ_out for every element of the group; the rings R are those of the sampling.
    Kernels with a depth axis, which the turns of the plane leave alone, have such a kernel in each of their slices.

    Args:
        psi_in: irrep on the input channels.
        psi_out: irrep on the output channels.
        kernel_shape: sizes in pixels, equal along the axes that the group turns.
        sampling: rings, frequencies and mask.

    Returns:
        Array ``(n_kernels, d_out, d_in, n_pixels)``.

    Raises:
        ValueError: if the group turns axes of different sizes, or has no action on that many axes.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import irreps
        >>> trivial_irrep, planar, *_ = irreps(CyclicGroup(8))
        >>> sampled_kernels(trivial_irrep, planar, (3, 3), Sampling()).shape
        (2, 2, 1, 9)
    """
    group = psi_in.group
    turned = turned_shape(group, kernel_shape)
    points = pixel_coordinates(turned)
    radius = np.linalg.norm(points, axis=0)
    size = (psi_out.dim, psi_in.dim, radius.size)
    sampled = [np.zeros((0, *size))]
    for ring, profile in sampling.profiles(turned[0], radius):
        for degree in range(ring.max_frequency + 1):
            harmonic = _harmonic(group, degree)
            maps = equivariant_maps(tensor_product(psi_in, harmonic), psi_out)
            maps = maps.reshape(len(maps), psi_out.dim, psi_in.dim, harmonic.dim)
            sampled.append(np.einsum("nabh,hp->nabp", maps, _angular(degree, points, radius) * profile))
    kernels = _orthonormal(np.concatenate(sampled)).reshape(-1, *size)
    n_slices = int(np.prod(kernel_shape[: len(kernel_shape) - len(turned)]))
    return np.einsum("nabp,ds->dnabsp", kernels, np.eye(n_slices)).reshape(-1, *size[:2], n_slices * size[2])


def turned_shape(group: Group, kernel_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of the last axes, which the group turns; a first one of depth is left out for groups of the plane.

    Raises:
        ValueError: if those sizes differ, or the group has no action on that many axes.

    Examples:
        >>> turned_shape(SO2(), (7, 3, 3))
        (3, 3)
    """
    n_axes = group.standard_axes or 2
    turned = kernel_shape[-n_axes:]
    if len(kernel_shape) not in (n_axes, 3) or len(set(turned)) > 1:
        fits = kernel_shape[:-n_axes] + n_axes * (max(turned),)
        raise ValueError(
            f"expected a kernel with {n_axes} equal axes for {group}, found {kernel_shape}: {group} fits {fits}; "
            "groups that keep axes, such as CyclicGroup(2), DihedralGroup(1) and DihedralGroup(2), fit unequal ones"
        )
    return turned


def _harmonic(group: Group, degree: int) -> Representation:
    """How the harmonics of one frequency, or degree, turn under the group."""
    match group:
        case SO2() | SO3():
            return irrep(group, degree)
        case O2():
            return irrep(group, (degree, 0) if degree else 0)
        case O3():  # the inversion multiplies harmonics by (−1)^l
            return irrep(group, (degree, (-1) ** degree) if degree else 0)
        case FiniteGroup():
            return _restricted(group, degree) if degree else trivial(group)
    raise ValueError(f"expected a group of turns or mirror images, found {group}")


@lru_cache(maxsize=512)
def _restricted(group: FiniteGroup, degree: int) -> Representation:
    """The same for the elements of a finite group; degree at least 1."""
    if group.standard_axes == 3:
        turns = {g: wigner_matrix(group.spatial_matrix(g, 3), degree) for g in group.elements}
    else:
        # at these angles the two harmonics are (1, 0) and (0, 1): where they go are the columns of the matrix
        angles = np.array([0, np.pi / 2]) / degree
        points = np.stack([np.cos(angles), np.sin(angles)])
        turns = {g: circular_harmonics(group.spatial_matrix(g, 2) @ points, degree) for g in group.elements}
    return from_matrices(group, {g: torch.from_numpy(turn) for g, turn in turns.items()})


def _angular(degree: int, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The harmonics of a degree at each pixel; zero at the centre unless constant."""
    centre = radius == 0
    directions = np.where(centre, np.eye(len(points))[-1][:, None], points)
    harmonics = spherical_harmonics if len(points) == 3 else circular_harmonics
    values = harmonics(directions, degree)
    return np.where(centre, 0.0, values) if degree else values


def _orthonormal(kernels: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of the first axis."""
    if not len(kernels):
        return kernels
    _, singular, right = np.linalg.svd(kernels.reshape(len(kernels), -1), full_matrices=False)
    return right[singular > _INDEPENDENT * max(singular[0], _INDEPENDENT)]
