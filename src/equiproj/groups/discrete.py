"""Turns of the cube and of a square prism, quaternion units, and products of groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

import numpy as np

from equiproj.groups.group import Element, FiniteGroup, generated_elements


@dataclass(frozen=True)
class CubeGroup(FiniteGroup):
    """The 24 rotations of the cube; an element is its 3 × 3 matrix on (x, y, z) as nested tuples of integers.

    Examples:
        >>> CubeGroup().order, CubeGroup().identity
        (24, ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    """

    standard_axes: ClassVar[int] = 3

    @property
    def identity(self) -> Element:
        """The unit matrix."""
        return ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    @property
    def generators(self) -> tuple[Element, ...]:
        """Anticlockwise quarter turns about z and about x."""
        return ((0, -1, 0), (1, 0, 0), (0, 0, 1)), ((1, 0, 0), (0, 0, -1), (0, 1, 0))

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All rotations, in the order in which products of the generators reach them."""
        return generated_elements(self, self.generators)

    def multiply(self, a: Element, b: Element) -> Element:
        """Matrix product."""
        return tuple(tuple(row) for row in (np.array(a) @ np.array(b)).tolist())

    def inverse(self, a: Element) -> Element:
        """Matrix transpose."""
        return tuple(zip(*a, strict=True))

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """The element itself, on three axes."""
        if n_axes != 3:
            raise ValueError(f"expected 3 axes for {self}, found {n_axes}")
        return np.array(g, dtype=np.float64)


@dataclass(frozen=True)
class SquarePrismGroup(CubeGroup):
    """The 8 rotations of the cube that keep the z axis: D_4 by turns alone, where `DihedralGroup(4)` mirrors.

    What is left of the cube's symmetry in a stack of thick slices along z: quarter turns in the slice, and half turns
    about axes in its plane, which turn the stack over.

    Examples:
        >>> SquarePrismGroup().order, set(SquarePrismGroup().elements) < set(CubeGroup().elements)
        (8, True)
    """

    @property
    def generators(self) -> tuple[Element, ...]:
        """An anticlockwise quarter turn about z and a half turn about x."""
        return ((0, -1, 0), (1, 0, 0), (0, 0, 1)), ((1, 0, 0), (0, -1, 0), (0, 0, -1))


@dataclass(frozen=True)
class QuaternionGroup(FiniteGroup):
    """Q_8, the units ±1, ±i, ±j, ±k as tuples (1, i, j, k): the smallest group with a quaternionic irrep.

    Examples:
        >>> i, j = QuaternionGroup().generators
        >>> QuaternionGroup().multiply(i, j)
        (0, 0, 0, 1)
    """

    @property
    def identity(self) -> Element:
        """One."""
        return (1, 0, 0, 0)

    @property
    def generators(self) -> tuple[Element, ...]:
        """The units i and j."""
        return (0, 1, 0, 0), (0, 0, 1, 0)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All eight units."""
        return generated_elements(self, self.generators)

    def multiply(self, a: Element, b: Element) -> Element:
        """Hamilton's product."""
        (a0, a1, a2, a3), (b0, b1, b2, b3) = a, b
        return (
            a0 * b0 - a1 * b1 - a2 * b2 - a3 * b3,
            a0 * b1 + a1 * b0 + a2 * b3 - a3 * b2,
            a0 * b2 - a1 * b3 + a2 * b0 + a3 * b1,
            a0 * b3 + a1 * b2 - a2 * b1 + a3 * b0,
        )

    def inverse(self, a: Element) -> Element:
        """The conjugate."""
        return (a[0], -a[1], -a[2], -a[3])


@dataclass(frozen=True)
class DirectProduct(FiniteGroup):
    """Pairs (a, b) of elements of two finite groups, multiplied factor by factor.

    Where both act on space and every movement of one commutes with every movement of the other, a pair moves space by
    both, as the turns and the mirror image of C_2 × D_1 do; otherwise the product does not act on space.

    Args:
        first: finite group of the first entries.
        second: finite group of the second entries, which vary fastest.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> DirectProduct(CyclicGroup(2), CyclicGroup(3)).elements
        ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    """

    first: FiniteGroup
    second: FiniteGroup

    def __repr__(self) -> str:
        return f"DirectProduct({self.first}, {self.second})"

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All pairs."""
        return tuple(product(self.first.elements, self.second.elements))

    @property
    def generators(self) -> tuple[Element, ...]:
        """The generators of each factor, beside the identity of the other."""
        return tuple((a, self.second.identity) for a in self.first.generators) + tuple(
            (self.first.identity, b) for b in self.second.generators
        )

    def multiply(self, a: Element, b: Element) -> Element:
        """Factor by factor."""
        return (self.first.multiply(a[0], b[0]), self.second.multiply(a[1], b[1]))

    def inverse(self, a: Element) -> Element:
        """Factor by factor."""
        return (self.first.inverse(a[0]), self.second.inverse(a[1]))

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """The movement of the first entry after that of the second, where the two factors' movements commute.

        Raises:
            ValueError: if they do not, or a factor does not act on space of that many axes.
        """
        for a, b in product(self.first.generators, self.second.generators):
            first, second = self.first.spatial_matrix(a, n_axes), self.second.spatial_matrix(b, n_axes)
            if not np.allclose(first @ second, second @ first):
                raise ValueError(f"expected factors whose movements of space commute, found {self}")
        return self.first.spatial_matrix(g[0], n_axes) @ self.second.spatial_matrix(g[1], n_axes)
