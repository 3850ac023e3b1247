"""Further representations: standard, tensor products, direct sums, and the user's own matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from equiproj.groups import FiniteGroup, Group, SymmetricGroup
from equiproj.groups.group import Element
from equiproj.representations.representation import (
    ROUNDING,
    PermutationSummand,
    Representation,
    Summand,
    check_orthogonal,
)


@dataclass(frozen=True)
class StandardSummand(Summand):
    """Vectors (x, y) or (x, y, z) of the space on which the group is defined."""

    group: Group

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.group.standard_axes or 0

    def __str__(self) -> str:
        return "standard"

    def matrix(self, g: Element) -> np.ndarray:
        """The spatial matrix of ``g``."""
        return self.group.spatial_matrix(g, self.dim)


@dataclass(frozen=True)
class _PointsSummand(PermutationSummand):
    """The n points that S_n permutes."""

    group: SymmetricGroup

    @property
    def dim(self) -> int:
        """Number of points."""
        return self.group.degree

    def __str__(self) -> str:
        return "standard"

    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each point."""
        return np.array(g)


@dataclass(frozen=True)
class TensorSummand(Summand):
    """Products of coordinates: ρ_a(g) ⊗ ρ_b(g), index of ``first`` slowest."""

    first: Representation
    second: Representation

    @property
    def group(self) -> Group:  # type: ignore[override]
        """The group that is represented."""
        return self.first.group

    @property
    def dim(self) -> int:
        """Product of the dimensions."""
        return self.first.dim * self.second.dim

    def __str__(self) -> str:
        return f"({self.first.summary} ⊗ {self.second.summary})"

    def matrix(self, g: Element) -> np.ndarray:
        """Kronecker product of the two matrices."""
        return np.kron(self.first(g).numpy(), self.second(g).numpy())

    def permutation(self, g: Element) -> np.ndarray | None:
        """Where ``g`` sends each pair of basis vectors, if it permutes both bases."""
        moves = (self.first.permutation(g), self.second.permutation(g))
        if moves[0] is None or moves[1] is None:
            return None
        return (moves[0][:, None] * self.second.dim + moves[1]).ravel()


@dataclass(frozen=True)
class _MatrixSummand(Summand):
    """Matrices given one by one, kept as bytes so that equal ones compare equal."""

    group: FiniteGroup
    size: int
    data: bytes

    @property
    def dim(self) -> int:
        """Number of rows."""
        return self.size

    def __str__(self) -> str:
        return f"matrices of size {self.size}"

    def matrix(self, g: Element) -> np.ndarray:
        """The matrix given for ``g``."""
        stack = np.frombuffer(self.data).reshape(self.group.order, self.size, self.size)
        return stack[self.group.index(g)].copy()

    def permutation(self, g: Element) -> np.ndarray | None:
        """Where ``g`` sends each basis vector, if the matrix given for it does no more than permute them."""
        matrix = self.matrix(g)
        destination = matrix.argmax(axis=0)
        permuting = np.zeros_like(matrix)
        permuting[destination, np.arange(self.size)] = 1.0
        return destination if np.array_equal(matrix, permuting) else None


def standard(group: Group) -> Representation:
    """Coordinates of the space that defines the group: (x, y), (x, y, z), or the n points that S_n permutes.

    Raises:
        ValueError: if the group is not defined by its action on a space.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> standard(CyclicGroup(4))(1).round(decimals=12).abs().tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        >>> standard(SymmetricGroup(3))((1, 2, 0)).argmax(dim=0).tolist()
        [1, 2, 0]
    """
    if isinstance(group, SymmetricGroup):
        return Representation(((1, _PointsSummand(group)),))
    if group.standard_axes is None:
        raise ValueError(f"expected a group of turns or of permutations, found {group}")
    return Representation(((1, StandardSummand(group)),))


def tensor_product(first: Representation, second: Representation) -> Representation:
    """ρ_a ⊗ ρ_b on products of coordinates; a direct sum in ``first`` stays one (equation 2.4).

    Raises:
        ValueError: if the groups differ.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(3))
        >>> tensor_product(2 * rho, rho)
        2*(regular ⊗ regular) of CyclicGroup(3)
    """
    if first.group != second.group:
        raise ValueError(f"expected representations of one group, found {first.group} and {second.group}")
    parts = [(n, Representation(((1, summand),))) for n, summand in first.terms]
    return direct_sum(n * Representation(((1, TensorSummand(part, second)),)) for n, part in parts)


def direct_sum(representations: Iterable[Representation]) -> Representation:
    """ρ_1 ⊕ ρ_2 ⊕ …, the same as adding them.

    Raises:
        ValueError: if there are none, or groups differ.

    Examples:
        >>> from equiproj.groups import SO2
        >>> from equiproj.representations import irreps
        >>> direct_sum(irreps(SO2(), 2))
        trivial + irrep(1) + irrep(2) of SO2()
    """
    listed = list(representations)
    if not listed:
        raise ValueError("expected at least one representation to add, found none")
    return reduce(add, listed)


def from_matrices(group: FiniteGroup, matrices: Mapping[Element, Float[Tensor, "d d"]]) -> Representation:
    """A representation given by one orthogonal matrix per element.

    Args:
        group: a finite group.
        matrices: a square matrix for every element, all of one size.

    Raises:
        ValueError: if an element is missing, sizes differ, a matrix is not orthogonal, or products do not match.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> sign = from_matrices(CyclicGroup(2), {0: torch.eye(1), 1: -torch.eye(1)})
        >>> sign, sign(1).tolist()
        (matrices of size 1 of CyclicGroup(2), [[-1.0]])
    """
    missing = [g for g in group.elements if g not in matrices]
    if missing:
        raise ValueError(f"expected a matrix for every element of {group}, found none for {missing[0]!r}")
    sizes = {tuple(matrices[g].shape) for g in group.elements}
    if len(sizes) > 1:
        raise ValueError(f"expected matrices of one size, found {sorted(sizes)}")
    stack = torch.stack([matrices[g].detach().double().cpu() for g in group.elements]).numpy()
    check_orthogonal(stack, "ρ(g)")
    for position in range(group.order):
        mismatch = np.abs(stack[position] @ stack - stack[group.table[position]]).max()
        if mismatch > ROUNDING:
            raise ValueError(f"expected ρ(g)ρ(h) = ρ(gh), found a deviation of {mismatch:.2g}")
    return Representation(((1, _MatrixSummand(group, stack.shape[1], stack.tobytes())),))
