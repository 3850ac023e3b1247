"""Finite groups of the plane: turns, and turns with mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from equiproj.groups.group import Element, FiniteGroup


def turn_matrix(angle: float) -> np.ndarray:
    """Anticlockwise turn of the (x, y) plane by ``angle`` in radians.

    Examples:
        >>> turn_matrix(np.pi / 2).round(12).tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


MIRROR = np.diag([-1.0, 1.0])  # x -> -x: torch.flip of the last axis


def in_space(planar: np.ndarray, n_axes: int) -> np.ndarray:
    """Embed a planar matrix in two or three axes; in three it leaves z (the depth axis) alone."""
    embedded = np.eye(n_axes)
    embedded[:2, :2] = planar
    return embedded


@dataclass(frozen=True)
class CyclicGroup(FiniteGroup):
    """C_n: element ``k`` is the anticlockwise turn by 2πk/n, ``torch.rot90`` by k·4/n on the last two axes.

    On one axis C_2 acts as the reflection; on three axes turns are about the first (depth) axis.

    Args:
        n_turns: number of turns, at least 1.

    Raises:
        ValueError: if ``n_turns`` is below 1.

    Examples:
        >>> CyclicGroup(4).multiply(3, 2), CyclicGroup(4)
        (1, CyclicGroup(4))
    """

    n_turns: int
    standard_axes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.n_turns < 1:
            raise ValueError(f"expected a cyclic group of at least 1 turn, found {self.n_turns}")

    def __repr__(self) -> str:
        return f"CyclicGroup({self.n_turns})"

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Turns 0, …, n − 1."""
        return tuple(range(self.n_turns))

    @property
    def generators(self) -> tuple[int, ...]:
        """The smallest turn."""
        return (1 % self.n_turns,)

    def multiply(self, a: Element, b: Element) -> int:
        """Turns add."""
        return (a + b) % self.n_turns

    def inverse(self, a: Element) -> int:
        """The turn back."""
        return -a % self.n_turns

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """Turn by 2πg/n in the (x, y) plane; the reflection of a line for C_2 on one axis."""
        if n_axes == 1 and self.n_turns <= 2:
            return np.array([[1.0 - 2.0 * g]])
        if n_axes not in (2, 3):
            raise ValueError(f"expected 2 or 3 axes for {self} (1 for CyclicGroup(2)), found {n_axes}")
        return in_space(turn_matrix(2 * np.pi * g / self.n_turns), n_axes)


@dataclass(frozen=True)
class DihedralGroup(FiniteGroup):
    """D_n: element ``k + n·f`` mirrors the last axis if f = 1, then turns anticlockwise by 2πk/n.

    On one axis D_1 acts as the reflection; on three axes the first (depth) axis stays as it is.

    Args:
        n_turns: number of turns, at least 1; the group has twice as many elements.

    Raises:
        ValueError: if ``n_turns`` is below 1.

    Examples:
        >>> group = DihedralGroup(4)
        >>> group.order, group.multiply(4, 1) == group.multiply(3, 4)
        (8, True)
    """

    n_turns: int
    standard_axes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.n_turns < 1:
            raise ValueError(f"expected a dihedral group of at least 1 turn, found {self.n_turns}")

    def __repr__(self) -> str:
        return f"DihedralGroup({self.n_turns})"

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Turns 0, …, n − 1, then mirrored turns n, …, 2n − 1."""
        return tuple(range(2 * self.n_turns))

    @property
    def generators(self) -> tuple[int, ...]:
        """The smallest turn and the mirror image."""
        return (1 % self.n_turns, self.n_turns)

    def multiply(self, a: Element, b: Element) -> int:
        """Mirroring before a turn reverses it: F R = R⁻¹ F."""
        turn = a % self.n_turns + (-1 if a >= self.n_turns else 1) * (b % self.n_turns)
        mirrored = (a >= self.n_turns) != (b >= self.n_turns)
        return turn % self.n_turns + self.n_turns * mirrored

    def inverse(self, a: Element) -> int:
        """Mirror images undo themselves."""
        return a if a >= self.n_turns else -a % self.n_turns

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """Mirror x if g ≥ n, then turn by 2π(g mod n)/n in the (x, y) plane."""
        if n_axes == 1 and self.n_turns == 1:
            return np.array([[1.0 - 2.0 * g]])
        if n_axes not in (2, 3):
            raise ValueError(f"expected 2 or 3 axes for {self} (1 for DihedralGroup(1)), found {n_axes}")
        planar = turn_matrix(2 * np.pi * (g % self.n_turns) / self.n_turns)
        return in_space(planar @ MIRROR if g >= self.n_turns else planar, n_axes)
