"""Irreps of e3nn as representations of this package, equal as matrices."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from equiproj.groups import O3, SO3, Group
from equiproj.representations import (
    Representation,
    direct_sum,
    in_basis,
    irrep,
    trivial,
    wigner_matrix,
)

# e3nn's harmonics have the y axis as their pole, ours z: its axes (x, y, z) are our (y, z, x).
_AXES = np.roll(np.eye(3), 1, axis=0)


def from_e3nn(irreps: Any, group: Group | None = None) -> Representation:
    """The representation by which features of an `e3nn.o3.Irreps` transform.

    e3nn writes the components of degree l in the order m = −l, …, l about the y axis, so that degree 1 is (x, y, z); we
    write them about the z axis, degree 1 is (y, z, x). Group elements are the same matrices on (x, y, z), and
    `from_e3nn(irreps)(R)` is `irreps.D_from_matrix(R)`.

    Args:
        irreps: an `e3nn.o3.Irreps`; read as the pairs (multiplicity, (l, parity)) that it is, e3nn is not imported.
        group: O3 (the default), or SO3 to leave the parities aside.

    Raises:
        ValueError: no irreps, or a group other than these two.

    References:
        Geiger and Smidt, e3nn: Euclidean neural networks, arXiv 2207.09453.

    Examples:
        >>> from e3nn.o3 import Irreps
        >>> vectors = from_e3nn(Irreps("4x0e + 2x1o"))
        >>> vectors.dim, vectors.group, from_e3nn(Irreps("0e + 0o"))
        (10, O3(), trivial + irrep((0, -1)) of O3())
        >>> from_e3nn(Irreps("1o"))(-np.eye(3)).diagonal().round().tolist()
        [-1.0, -1.0, -1.0]
    """
    chosen = O3() if group is None else group
    if not isinstance(chosen, SO3 | O3):
        raise ValueError(f"expected SO3() or O3() for irreps of e3nn, found {chosen}")
    parts = [int(count) * _irrep(chosen, int(degree), int(parity)) for count, (degree, parity) in irreps if count]
    if not parts:
        raise ValueError(f"expected irreps with at least one component, found {irreps!r}")
    return direct_sum(parts)


@lru_cache(maxsize=128)
def _irrep(group: SO3 | O3, degree: int, parity: int) -> Representation:
    if degree == 0:
        return irrep(group, (0, -1)) if parity < 0 and isinstance(group, O3) else trivial(group)
    ours = irrep(group, (degree, parity) if isinstance(group, O3) else degree)
    return in_basis(ours, wigner_matrix(_AXES, degree))
