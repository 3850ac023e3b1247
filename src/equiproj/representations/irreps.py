"""Representations that cannot be split further over the real numbers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product

import numpy as np

from equiproj.groups import (
    O2,
    O3,
    SO2,
    SO3,
    CyclicGroup,
    DihedralGroup,
    FiniteGroup,
    Group,
    TranslationGroup,
)
from equiproj.groups.group import Element
from equiproj.groups.planar import turn_matrix
from equiproj.representations.harmonics import wigner_matrix
from equiproj.representations.permuting import trivial
from equiproj.representations.representation import Representation, Summand
from equiproj.representations.splitting import split_regular


@dataclass(frozen=True)
class IrrepSummand(Summand):
    """An irreducible representation of a group, named by its label."""

    group: Group
    label: Hashable

    @property
    def dim(self) -> int:
        """Dimension over the real numbers."""
        return self.matrix(self.group.identity).shape[0]

    def __str__(self) -> str:
        return f"irrep({self.label})"

    def matrix(self, g: Element) -> np.ndarray:
        """Orthogonal matrix of ``g``."""
        return _matrix(self.group, self.label, g)


def irreps(group: Group, band_limit: int | None = None) -> tuple[Representation, ...]:
    """All irreducible representations over the real numbers, the trivial one first (section 2.3).

    Cyclic groups, dihedral groups and translations by formula, other finite groups by splitting their regular
    representation numerically; continuous groups up to a band limit.

    Args:
        group: any group of this package.
        band_limit: largest frequency (SO2, O2) or degree (SO3, O3), at least 0; continuous groups only.

    Raises:
        ValueError: if a continuous group comes without band limit, or a finite one with it.

    Examples:
        >>> from equiproj.groups import CyclicGroup, SO3
        >>> [rho.dim for rho in irreps(CyclicGroup(4))], [rho.dim for rho in irreps(SO3(), 3)]
        ([1, 2, 1], [1, 3, 5, 7])
    """
    if isinstance(group, FiniteGroup):
        if band_limit is not None:
            raise ValueError(f"expected no band limit for the finite group {group}, found {band_limit}")
    elif band_limit is None or band_limit < 0:
        raise ValueError(f"expected a band limit of at least 0 for {group}, found {band_limit}")
    labels = _labels(group, band_limit or 0)
    return (trivial(group), *(Representation(((1, IrrepSummand(group, label)),)) for label in labels))


def irrep(group: Group, label: Hashable) -> Representation:
    """One irreducible representation by its label; label 0 is the trivial one.

    Labels: the frequency m for ``CyclicGroup`` and ``SO2``, the degree l for ``SO3``, (m, sign) for
    ``DihedralGroup`` and ``O2`` (sign 0 for two dimensions, −1 or 1 for the mirror image in one dimension), (l, parity)
    for ``O3`` (parity 1 or −1, the sign that the inversion gives), the frequencies per axis for ``TranslationGroup``,
    and the position in :func:`irreps` for other finite groups.

    Raises:
        ValueError: if the group has no such irrep.

    Examples:
        >>> from equiproj.groups import SO2
        >>> irrep(SO2(), 2)(3.141592653589793 / 4).round(decimals=12).abs().tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if label == 0:
        return trivial(group)
    if isinstance(group, FiniteGroup):
        known = _labels(group, 0)
    else:
        frequency = label[0] if isinstance(label, tuple) else label
        known = _labels(group, frequency if isinstance(frequency, int) else 0)
    if label not in known:
        raise ValueError(f"expected a label of an irrep of {group}, found {label!r}")
    return Representation(((1, IrrepSummand(group, label)),))


def _labels(group: Group, band_limit: int) -> list[Hashable]:
    """Labels of all irreps but the trivial one."""
    match group:
        case CyclicGroup(n):
            return list(range(1, n // 2 + 1))
        case DihedralGroup(n):
            planar: list[Hashable] = [(m, 0) for m in range(1, (n + 1) // 2)]
            return [(0, -1), *planar, *([(n // 2, 1), (n // 2, -1)] if n % 2 == 0 else [])]
        case TranslationGroup(shape):
            return [k for k in product(*map(range, shape)) if any(k) and k <= group.inverse(k)]
        case SO2() | SO3():
            return list(range(1, band_limit + 1))
        case O2():
            return [(0, -1), *((m, 0) for m in range(1, band_limit + 1))]
        case O3():
            return [(0, -1), *product(range(1, band_limit + 1), (1, -1))]
        case FiniteGroup():
            return list(range(1, len(split_regular(group))))
    raise ValueError(f"expected a group whose irreps are known, found {group}")


def _matrix(group: Group, label: Hashable, g: Element) -> np.ndarray:
    """Matrix of one element in the irrep with this label."""
    match group, label:
        case CyclicGroup(n), int(m):
            return _wave(2 * np.pi * m * g / n, real=2 * m == n)
        case TranslationGroup(shape), tuple(k):
            phase = sum(a * s / n for a, s, n in zip(k, g, shape, strict=True))
            return _wave(2 * np.pi * phase, real=k == group.inverse(k))
        case DihedralGroup(n), (int(m), int(sign)):
            turn, mirrored = g % n, g >= n
            if sign:
                return np.array([[(-1.0 if m and turn % 2 else 1.0) * (sign if mirrored else 1)]])
            return _planar(m, 2 * np.pi * turn / n, mirrored)
        case O2(), (int(m), int(sign)):
            return np.array([[-1.0 if g[1] else 1.0]]) if sign else _planar(m, g[0], g[1])
        case SO2(), int(m):
            return turn_matrix(m * g)
        case SO3(), int(degree):
            return wigner_matrix(np.asarray(g), degree)
        case O3(), (int(degree), int(parity)):
            rotates = np.linalg.det(g) > 0
            return wigner_matrix(np.asarray(g), degree) if rotates else parity * wigner_matrix(-np.asarray(g), degree)
        case FiniteGroup(), int(position):
            return split_regular(group)[position][group.index(g)]
    raise ValueError(f"expected a label of an irrep of {group}, found {label!r}")


def _wave(phase: float, real: bool) -> np.ndarray:
    """The turn by a phase; where all phases are multiples of π, its cosine alone."""
    return np.array([[np.rint(np.cos(phase))]]) if real else turn_matrix(phase)


def _planar(frequency: int, angle: float, mirrored: bool) -> np.ndarray:
    """How (cos mφ, sin mφ) turns when x is mirrored (φ becomes π − φ) and then turned by the angle."""
    turn = turn_matrix(frequency * angle)
    return turn @ np.diag([1.0, -1.0]) * (-1) ** frequency if mirrored else turn
