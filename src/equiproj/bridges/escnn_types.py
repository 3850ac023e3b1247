"""Field types of escnn as representations of this package, equal as matrices, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from equiproj.groups import O2, SO2, CyclicGroup, DihedralGroup, FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.groups.planar import MIRROR, turn_matrix
from equiproj.representations import (
    Representation,
    direct_sum,
    from_matrices,
    in_basis,
    irrep,
    irreps,
    quotient,
    regular,
    trivial,
)

_PLANAR_GROUPS = ("CyclicGroup", "DihedralGroup", "SO2", "O2")
_ROUNDING = 1e-6  # escnn computes some of its matrices numerically
_SAME = 1e-9


def from_escnn(field_type: Any) -> Representation:
    """The representation by which the channels of an `escnn.nn.FieldType` transform; its `.group` is the group.

    For `rot2dOnR2` (C_n, SO(2)), `flipRot2dOnR2` (D_n, O(2)), `flip2dOnR2`, `trivialOnR2` and `no_base_space` of these
    groups; any representation of them that is orthogonal. An element of escnn's group is the one of ours that moves the
    plane as it does: matrices are equal, fields stay in their order. What has a name here gets it (trivial, regular,
    quotient, irreps); the rest keeps its matrices.

    Args:
        field_type: an `escnn.nn.FieldType`; read by its public attributes, escnn is not imported.

    Raises:
        ValueError: another space, mirror axes that do not belong to our D_n, or, by its name, a representation that is
            not orthogonal.

    References:
        Weiler and Cesa, General E(2)-equivariant steerable CNNs, NeurIPS 2019; Cesa, Lang and Weiler, A program to
        build E(N)-equivariant steerable CNNs, ICLR 2022.

    Examples:
        >>> import escnn.nn, escnn.gspaces  # doctest: +SKIP
        >>> space = escnn.gspaces.rot2dOnR2(4)  # doctest: +SKIP
        >>> from_escnn(escnn.nn.FieldType(space, 2 * [space.regular_repr]))  # doctest: +SKIP
        2*regular of CyclicGroup(4)
    """
    correspondence = _correspondence(field_type.gspace)
    fields = list(field_type.representations)
    different = {id(field): field for field in fields}
    found = {key: _representation(correspondence, field) for key, field in different.items()}
    return direct_sum(found[id(field)] for field in fields)


@dataclass(frozen=True)
class _Correspondence:
    """Which element of escnn's group is which of ours.

    Args:
        group: ours.
        elements: for finite groups, ours → escnn's.
        mirror_turn: for O(2), the angle φ of R(φ)·(mirror of x), which is how escnn's flip moves the plane.
    """

    group: Group
    elements: dict[Element, Any]
    mirror_turn: float = 0.0


def _correspondence(space: Any) -> _Correspondence:
    theirs = space.fibergroup
    if space.dimensionality not in (0, 2) or type(theirs).__name__ not in _PLANAR_GROUPS:
        raise ValueError(
            "expected a field type on rot2dOnR2, flipRot2dOnR2, flip2dOnR2, trivialOnR2 or no_base_space of a group of "
            f"the plane, found {space.name}"
        )
    if theirs.order() > 0:
        return _finite_correspondence(space, [(g, _movement(space, g)) for g in theirs.elements])
    if type(theirs).__name__ == "SO2":
        return _Correspondence(SO2(), {})
    flip = _movement(space, theirs.element((1, 0.0), "radians"))
    return _Correspondence(O2(), {}, _angle(flip @ MIRROR))


def _movement(space: Any, g: Any) -> np.ndarray:
    """How an element of escnn's group moves the plane; without a plane, how it would with escnn's default axis."""
    if space.dimensionality == 2:
        return np.asarray(space.basespace_action(g), dtype=np.float64)
    value = g.to("radians")
    flipped, angle = value if isinstance(value, tuple) else (0, value)
    return turn_matrix(angle) @ MIRROR if flipped else turn_matrix(angle)


def _finite_correspondence(space: Any, moves: list[tuple[Any, np.ndarray]]) -> _Correspondence:
    n_turns = sum(bool(np.linalg.det(matrix) > 0) for _, matrix in moves)
    group: FiniteGroup = CyclicGroup(n_turns) if n_turns == len(moves) else DihedralGroup(n_turns)
    elements = {}
    for theirs, matrix in moves:
        for ours in group.elements:
            if np.abs(group.spatial_matrix(ours, 2) - matrix).max() < _ROUNDING:
                elements[ours] = theirs
    if len(elements) < len(moves):
        raise ValueError(
            f"expected mirror axes at multiples of {180 / n_turns:g}° from the y axis, as {group} has them, "
            f"found those of {space.name}"
        )
    return _Correspondence(group, elements)


def _angle(turn: np.ndarray) -> float:
    return float(np.arctan2(turn[1, 0], turn[0, 0]))


def _representation(correspondence: _Correspondence, theirs: Any) -> Representation:
    try:
        if isinstance(correspondence.group, FiniteGroup):
            return _finite_representation(correspondence.group, correspondence.elements, theirs)
        return _continuous_representation(correspondence, theirs)
    except ValueError as error:
        raise ValueError(f"escnn representation {theirs.name!r}: {error}") from error


def _finite_representation(group: FiniteGroup, elements: dict[Element, Any], theirs: Any) -> Representation:
    matrices = {ours: torch.from_numpy(_whole(theirs(element))) for ours, element in elements.items()}
    given = from_matrices(group, matrices)
    for known in _named(group, given):
        if all(float((known(g) - given(g)).abs().max()) < _SAME for g in group.generators):
            return known
    return given


def _whole(matrix: Any) -> np.ndarray:
    """The matrix with entries that miss a whole number by rounding put right: a permutation stays one."""
    values = np.asarray(matrix, dtype=np.float64)
    return np.where(np.abs(values - np.rint(values)) < _SAME, np.rint(values), values)


def _named(group: FiniteGroup, given: Representation) -> Iterator[Representation]:
    """Representations of the same dimension that have a name."""
    yield from (psi for psi in irreps(group) if psi.dim == given.dim)
    if given.dim == group.order:
        yield regular(group)
    moves = {g: move for g in group.elements if (move := given.permutation(g)) is not None}
    fixing = [g for g, move in moves.items() if move[0] == 0]
    if len(moves) == group.order == given.dim * len(fixing):
        yield quotient(group, *fixing)


def _continuous_representation(correspondence: _Correspondence, theirs: Any) -> Representation:
    """Irreps of ours, and the change of basis from them."""
    group, parts, size = correspondence.group, [], 0
    basis = np.zeros((theirs.size, theirs.size))
    for label in theirs.irreps:
        frequency = int(label[-1])
        if frequency == 0:
            sign = isinstance(group, O2) and label[0] == 1
            part, own = (irrep(group, (0, -1)) if sign else trivial(group)), np.eye(1)
        else:
            # Both turn by R(mθ); escnn mirrors the second coordinate where we mirror space, (−1)^m R(0) diag(1, −1).
            part = irrep(group, (frequency, 0) if isinstance(group, O2) else frequency)
            tilt = -frequency * (correspondence.mirror_turn + np.pi) / 2
            own = turn_matrix(tilt) if isinstance(group, O2) else np.eye(2)
        parts.append(part)
        basis[size : size + part.dim, size : size + part.dim] = own
        size += part.dim
    return in_basis(direct_sum(parts), np.asarray(theirs.change_of_basis, dtype=np.float64) @ basis)
