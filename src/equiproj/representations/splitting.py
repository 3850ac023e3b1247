"""Irreps of any finite group, found by splitting its regular representation (section 2.3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from equiproj.groups import FiniteGroup

_N_ATTEMPTS = 8
_EQUAL_EIGENVALUES = 1e-8  # relative; distinct ones of a random operator lie many orders further apart
_EQUAL_CHARACTERS = 1e-6  # characters of different irreps differ by an integer-sized amount in the mean square


@lru_cache(maxsize=32)
def split_regular(group: FiniteGroup) -> tuple[np.ndarray, ...]:
    """Matrices ``(order, d, d)`` of every real irrep, one of each class, trivial first, then by dimension.

    A random symmetric operator that commutes with the group has, on each isotypic part, eigenspaces that are
    irreducible over the reals, whether of real, complex or quaternionic type (equation 2.7).

    Args:
        group: a finite group whose elements can be listed.

    Examples:
        >>> from equiproj.groups import QuaternionGroup
        >>> [matrices.shape for matrices in split_regular(QuaternionGroup())]
        [(8, 1, 1), (8, 1, 1), (8, 1, 1), (8, 1, 1), (8, 4, 4)]
    """
    values, vectors = _generic_eigenspaces(group)
    ends = np.flatnonzero(np.diff(values) > _EQUAL_EIGENVALUES * np.ptp(values)) + 1
    inverse_rows = group.table[group.inverses]  # row g: where g⁻¹ sends each element
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for space in np.split(vectors, ends, axis=1):
        character = np.array([np.vdot(space, space[row]) for row in inverse_rows])
        if all(np.abs(character - known).max() > _EQUAL_CHARACTERS for known, _ in found):
            found.append((character, space))
    # A stable order: by dimension, then by character, with the trivial irrep (all ones) first.
    found.sort(key=lambda pair: (round(pair[0][0]), *np.round(-pair[0], 6) + 0.0))
    return tuple(np.stack([space.T @ space[row] for row in inverse_rows]) for _, space in found)


def _generic_eigenspaces(group: FiniteGroup) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the random commuting operator that separates its eigenvalues best."""
    generator = np.random.default_rng(0)
    best = (-1.0, np.empty(0), np.empty(0))
    for _ in range(_N_ATTEMPTS):
        draw = generator.standard_normal(group.order)
        symmetric = draw + draw[group.inverses]
        values, vectors = np.linalg.eigh(symmetric[group.table[group.inverses]])
        gaps = np.diff(values) / np.ptp(values) if group.order > 1 else np.ones(1)
        separation = gaps[gaps > _EQUAL_EIGENVALUES].min()
        if separation > best[0]:
            best = (separation, values, vectors)
    return best[1], best[2]
