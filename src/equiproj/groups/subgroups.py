"""Which of two groups moves space in all the ways in which the other does."""

from __future__ import annotations

import numpy as np

from equiproj.groups.continuous import O2, SO2, SO3
from equiproj.groups.group import FiniteGroup, Group

_EQUAL_MATRICES = 1e-9


def is_subgroup(small: Group, large: Group, n_axes: int | None = None) -> bool:
    """Whether every movement of space by the one group is a movement by the other.

    Groups that do not act on space are subgroups of themselves alone.

    Args:
        small: the one.
        large: the other.
        n_axes: axes of the space; by default 3 where either group is one of space, 2 otherwise.

    Examples:
        >>> from equiproj.groups import CyclicGroup, DihedralGroup
        >>> is_subgroup(CyclicGroup(2), DihedralGroup(4)), is_subgroup(DihedralGroup(1), CyclicGroup(4))
        (True, False)
        >>> is_subgroup(CyclicGroup(8), SO2()), is_subgroup(SO2(), CyclicGroup(8)), is_subgroup(SO2(), O2())
        (True, False, True)
    """
    if small == large:
        return True
    axes = n_axes or max(small.standard_axes or 2, large.standard_axes or 2)
    try:
        moves = [small.spatial_matrix(g, axes) for g in small.generators]
        return all(_moves_so(large, move) for move in moves)
    except ValueError:  # one of them does not act on such a space
        return False


def _moves_so(group: Group, matrix: np.ndarray) -> bool:
    """Whether an orthogonal matrix is that of an element."""
    planar = len(matrix) == 2 or (len(matrix) == 3 and bool(np.abs(matrix[2] - [0, 0, 1]).max() < _EQUAL_MATRICES))
    match group:
        case SO3():
            return len(matrix) == 3 and bool(np.linalg.det(matrix) > 0)
        case O2():
            return planar
        case SO2():
            return planar and bool(np.linalg.det(matrix) > 0)
        case FiniteGroup():
            others = (group.spatial_matrix(g, len(matrix)) for g in group.elements)
            return any(bool(np.abs(other - matrix).max() < _EQUAL_MATRICES) for other in others)
    raise ValueError(f"expected a group whose movements of space are known, found {group}")
