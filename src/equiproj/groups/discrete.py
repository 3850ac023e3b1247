"""Finite groups beyond the plane: permutations, turns of the cube, translations, quaternions, products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from math import factorial, prod
from typing import ClassVar

import numpy as np
import torch

from equiproj.groups.group import Element, FiniteGroup, generated_elements

LARGEST_LISTED_DEGREE = 6  # 720 elements; the next, 5,040, would need a table of 25 million entries


@dataclass(frozen=True)
class SymmetricGroup(FiniteGroup):
    """S_n: element ``s`` is the tuple that sends i to s[i].

    Elements are listed for n ≤ 6 only; the standard representation and its tensor products work for any n.

    Args:
        degree: number of points n that are permuted, at least 1.

    Raises:
        ValueError: if ``degree`` is below 1, or the elements are asked for with n > 6.

    Example:
        >>> SymmetricGroup(3).multiply((1, 0, 2), (1, 2, 0)), SymmetricGroup(100).order > 10**157
        ((0, 2, 1), True)
    """

    degree: int

    def __post_init__(self) -> None:
        if self.degree < 1:
            raise ValueError(f"expected a permutation group of at least 1 point, found {self.degree}")

    def __repr__(self) -> str:
        return f"SymmetricGroup({self.degree})"

    @cached_property
    def elements(self) -> tuple[tuple[int, ...], ...]:
        """All permutations in lexicographic order, for n ≤ 6."""
        if self.degree > LARGEST_LISTED_DEGREE:
            raise ValueError(f"expected n ≤ {LARGEST_LISTED_DEGREE} to list the elements of S_n, found {self}")
        return tuple(permutations(range(self.degree)))

    @property
    def order(self) -> int:
        """n!"""
        return factorial(self.degree)

    @property
    def identity(self) -> tuple[int, ...]:
        """The permutation that moves nothing."""
        return tuple(range(self.degree))

    @property
    def generators(self) -> tuple[tuple[int, ...], ...]:
        """The swap of the first two points and the cycle of all."""
        points = self.identity
        return ((points[1], points[0], *points[2:]), points[1:] + points[:1]) if self.degree > 1 else (points,)

    def multiply(self, a: Element, b: Element) -> tuple[int, ...]:
        """(a b)[i] = a[b[i]]."""
        return tuple(a[i] for i in b)

    def inverse(self, a: Element) -> tuple[int, ...]:
        """The permutation that sends a[i] to i."""
        return tuple(sorted(range(self.degree), key=a.__getitem__))

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[tuple[int, ...]]:
        """Draw independent permutations, each equally likely, without listing them."""
        return [tuple(torch.randperm(self.degree, generator=generator).tolist()) for _ in range(n_samples)]


@dataclass(frozen=True)
class CubeGroup(FiniteGroup):
    """The 24 rotations of the cube; an element is its 3 × 3 matrix on (x, y, z) as nested tuples of integers.

    Example:
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
class TranslationGroup(FiniteGroup):
    """Cyclic shifts of a grid; element (t_0, t_1, …) is ``torch.roll`` by t_a along axis a.

    Acts on images through ``grid(group, shape)``; convolution kernels need no projection, for a convolution with
    circular padding commutes with shifts already.

    Args:
        shape: pixels per axis.

    Raises:
        ValueError: if there is no axis, or an axis is empty.

    Example:
        >>> TranslationGroup((2, 3)).multiply((1, 2), (1, 2))
        (0, 1)
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"expected a grid with at least 1 pixel per axis, found shape {self.shape}")

    def __repr__(self) -> str:
        return f"TranslationGroup({self.shape})"

    @property
    def order(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @cached_property
    def elements(self) -> tuple[tuple[int, ...], ...]:
        """Shifts in row-major order."""
        return tuple(product(*(range(n) for n in self.shape)))

    @property
    def generators(self) -> tuple[tuple[int, ...], ...]:
        """One pixel along each axis."""
        steps = np.eye(len(self.shape), dtype=int) % np.array(self.shape)
        return tuple(tuple(step) for step in steps.tolist())

    def multiply(self, a: Element, b: Element) -> tuple[int, ...]:
        """Shifts add."""
        return tuple((s + t) % n for s, t, n in zip(a, b, self.shape, strict=True))

    def inverse(self, a: Element) -> tuple[int, ...]:
        """The shift back."""
        return tuple(-s % n for s, n in zip(a, self.shape, strict=True))

    def grid_permutation(self, g: Element, shape: tuple[int, ...]) -> np.ndarray:
        """Pixel to which the shift moves each pixel of this very grid."""
        if tuple(shape) != tuple(self.shape):
            raise ValueError(f"expected the grid of {self}, found shape {tuple(shape)}")
        axes = tuple(range(len(shape)))
        # The pixel that arrives at p under the inverse shift is the pixel to which p goes.
        return np.roll(np.arange(self.order).reshape(shape), self.inverse(g), axes).ravel()


@dataclass(frozen=True)
class QuaternionGroup(FiniteGroup):
    """Q_8, the units ±1, ±i, ±j, ±k as tuples (1, i, j, k): the smallest group with a quaternionic irrep.

    Example:
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
        """i and j."""
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

    Args:
        first: finite group of the first entries.
        second: finite group of the second entries, which vary fastest.

    Example:
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
