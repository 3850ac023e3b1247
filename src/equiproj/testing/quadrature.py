"""Exact Haar averages of band-limited functions on continuous groups: an oracle for the spectral route."""

from __future__ import annotations

import numpy as np

from equiproj.groups import O2, O3, SO2, SO3, FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.groups.planar import in_space, turn_matrix


def haar_quadrature(group: Group, band_limit: int) -> list[tuple[float, Element]]:
    """Weights and elements that integrate products of matrix entries exactly.

    Finite groups: every element. Circles: equally spaced angles. SO(3): equally spaced Euler angles about z and
    Gauss–Legendre nodes in cos β. Exact for frequencies or degrees up to ``band_limit``; the average of
    ρ_out(g) W ρ_in(g)ᵀ needs the sum of both band limits.

    Args:
        group: finite, SO2, O2, SO3 or O3.
        band_limit: largest frequency or degree of the integrand; finite groups ignore it.

    Raises:
        ValueError: if no quadrature is known for the group.

    Examples:
        >>> nodes = haar_quadrature(SO2(), 3)
        >>> bool(abs(sum(w * np.exp(3j * angle) for w, angle in nodes)) < 1e-12)
        True
    """
    angles = (2 * np.pi * np.arange(band_limit + 1) / (band_limit + 1)).tolist()
    match group:
        case FiniteGroup():
            return [(1 / group.order, g) for g in group.elements]
        case SO2():
            return [(1 / len(angles), angle) for angle in angles]
        case O2():
            return [(0.5 / len(angles), (angle, mirrored)) for angle in angles for mirrored in (False, True)]
        case SO3():
            return _euler_quadrature(angles, *np.polynomial.legendre.leggauss(band_limit // 2 + 1))
        case O3():
            return [(weight / 2, sign * g) for weight, g in haar_quadrature(SO3(), band_limit) for sign in (1, -1)]
    raise ValueError(f"expected a finite group, SO2, O2, SO3 or O3, found {group}")


def _euler_quadrature(angles: list[float], cosines: np.ndarray, weights: np.ndarray) -> list[tuple[float, Element]]:
    """Turns about z, y and z again; the weights of the nodes in [−1, 1] add to two."""
    turns = [in_space(turn_matrix(angle), 3) for angle in angles]
    # The cyclic shift of axes (x, y, z) -> (y, z, x) makes a turn about z one about y.
    tilts = [np.roll(in_space(turn_matrix(np.arccos(c)), 3), (2, 2), (0, 1)) for c in cosines]
    return [
        (weight / 2 / len(turns) ** 2, first @ tilt @ last)
        for weight, tilt in zip(weights.tolist(), tilts, strict=True)
        for first in turns
        for last in turns
    ]
