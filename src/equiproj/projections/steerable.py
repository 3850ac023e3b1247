"""Kernels equivariant to continuous turns: harmonics times rings, sampled on the pixel grid (section 4.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from equiproj.groups import O2, SO3, Group
from equiproj.groups.grids import pixel_coordinates
from equiproj.representations import (
    Representation,
    band_limit,
    circular_harmonics,
    equivariant_maps,
    irreps,
    spherical_harmonics,
    tensor_product,
)

_RING_WIDTH = 0.6  # standard deviation of a ring in pixels: neighbours one pixel apart overlap without gaps
_INDEPENDENT = 1e-6  # relative singular value below which sampling made a kernel a copy of others


@lru_cache(maxsize=512)
def sampled_kernels(psi_in: Representation, psi_out: Representation, kernel_shape: tuple[int, ...]) -> np.ndarray:
    """Orthonormal kernels κ(x) = R(|x|) C Y(x/|x|) between two irreps (equation 4.10).

    C intertwines ψ_in ⊗ harmonics with ψ_out; rings R lie one pixel apart; a ring of radius r carries degrees up
    to 2r, the finest its pixels resolve.

    Args:
        psi_in: irrep on the input channels.
        psi_out: irrep on the output channels.
        kernel_shape: equal sizes, two axes for SO2 and O2, three for SO3.

    Returns:
        Array ``(n_kernels, d_out, d_in, n_pixels)``.

    Raises:
        ValueError: if the kernel is not square, or has the wrong number of axes for the group.

    Examples:
        >>> from equiproj.groups import SO2
        >>> sampled_kernels(irreps(SO2(), 1)[0], irreps(SO2(), 1)[1], (3, 3)).shape
        (2, 2, 1, 9)
    """
    group = psi_in.group
    _check_shape(group, kernel_shape)
    points = pixel_coordinates(kernel_shape)
    radius = np.linalg.norm(points, axis=0)
    largest = (kernel_shape[0] - 1) / 2
    size = (psi_out.dim, psi_in.dim, radius.size)
    sampled = [np.zeros((0, *size))]
    for ring in np.arange(largest % 1, largest + 0.5):
        profile = np.exp(-((radius - ring) ** 2) / (2 * _RING_WIDTH**2))
        for harmonic in irreps(group, int(2 * ring)):
            maps = equivariant_maps(tensor_product(psi_in, harmonic), psi_out)
            maps = maps.reshape(len(maps), psi_out.dim, psi_in.dim, harmonic.dim)
            sampled.append(np.einsum("nabh,hp->nabp", maps, _angular(harmonic, points, radius) * profile))
    return _orthonormal(np.concatenate(sampled)).reshape(-1, *size)


def _check_shape(group: Group, kernel_shape: tuple[int, ...]) -> None:
    n_axes = group.standard_axes
    if len(kernel_shape) != n_axes or len(set(kernel_shape)) > 1:
        raise ValueError(f"expected a kernel with {n_axes} equal axes for {group}, found {kernel_shape}")


def _angular(harmonic: Representation, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The functions of direction that turn by this irrep; zero at the centre unless constant."""
    centre = radius == 0
    directions = np.where(centre, np.eye(len(points))[-1][:, None], points)
    degree = band_limit(harmonic)
    if isinstance(harmonic.group, SO3):
        values = spherical_harmonics(directions, degree)
    else:
        values = circular_harmonics(directions, degree)
    if degree == 0 and isinstance(harmonic.group, O2) and harmonic != irreps(harmonic.group, 0)[0]:
        return np.zeros_like(values)  # no function of direction alone changes sign in every mirror
    return np.where(centre, 0.0, values) if degree else values


def _orthonormal(kernels: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of the first axis."""
    if not len(kernels):
        return kernels
    _, singular, right = np.linalg.svd(kernels.reshape(len(kernels), -1), full_matrices=False)
    return right[singular > _INDEPENDENT * max(singular[0], _INDEPENDENT)]
