"""Groups that permute: the points of a set, and the pixels of a grid by cyclic shifts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from math import factorial, prod

import numpy as np
import torch

from equiproj.groups.group import Element, FiniteGroup

_LARGEST_LISTED_DEGREE = 6  # 720 elements; the next, 5,040, would need a table of 25 million entries


@dataclass(frozen=True)
class SymmetricGroup(FiniteGroup):
    """S_n: element ``s`` is the tuple that sends i to s[i].

    Elements are listed for n ≤ 6 only; the standard representation and its tensor products work for any n.

    Args:
        degree: number of points n that are permuted, at least 1.

    Raises:
        ValueError: if ``degree`` is below 1, or the elements are asked for with n > 6.

    Examples:
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
        if self.degree > _LARGEST_LISTED_DEGREE:
            raise ValueError(f"expected n ≤ {_LARGEST_LISTED_DEGREE} to list the elements of S_n, found {self}")
        return tuple(permutations(range(self.degree)))

    @property
    def order(self) -> int:
        """The factorial n!."""
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
class TranslationGroup(FiniteGroup):
    """Cyclic shifts of a grid; element (t_0, t_1, …) is ``torch.roll`` by t_a along axis a.

    Acts on images through ``grid(group, shape)``; convolution kernels need no projection, for a convolution with
    circular padding commutes with shifts already.

    Args:
        shape: pixels per axis.

    Raises:
        ValueError: if there is no axis, or an axis is empty.

    Examples:
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

    def keeps_grid(self, shape: tuple[int, ...]) -> bool:
        """Whether it is this very grid."""
        return tuple(shape) == tuple(self.shape)

    def grid_permutation(self, g: Element, shape: tuple[int, ...]) -> np.ndarray:
        """Pixel to which the shift moves each pixel of this very grid."""
        if tuple(shape) != tuple(self.shape):
            raise ValueError(f"expected the grid of {self}, found shape {tuple(shape)}")
        axes = tuple(range(len(shape)))
        # The pixel that arrives at p under the inverse shift is the pixel to which p goes.
        return np.roll(np.arange(self.order).reshape(shape), self.inverse(g), axes).ravel()
