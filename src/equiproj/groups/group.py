"""What every group offers: composition, inversion, generators, and an action on space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

from equiproj.groups.grids import moved_pixels

Element = Any  # a hashable value for finite groups (int, tuple); an angle or a matrix for continuous ones


class Group(ABC):
    """A compact group; subclasses are immutable values that compare, hash and print.

    Examples:
        >>> from equiproj.groups import SO2
        >>> isinstance(SO2(), Group), isinstance(SO2(), FiniteGroup)
        (True, False)
    """

    standard_axes: ClassVar[int | None] = None  # axes of the space the group is defined on, if it is

    @property
    @abstractmethod
    def identity(self) -> Element:
        """The neutral element."""

    @property
    @abstractmethod
    def generators(self) -> tuple[Element, ...]:
        """Elements that generate the group (for continuous groups: a dense subgroup of it)."""

    @abstractmethod
    def multiply(self, a: Element, b: Element) -> Element:
        """The product ``a b``: apply ``b`` first, then ``a``."""

    @abstractmethod
    def inverse(self, a: Element) -> Element:
        """The element that undoes ``a``."""

    @abstractmethod
    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[Element]:
        """Draw independent elements from the Haar measure."""

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """Orthogonal matrix that moves points of space, in the coordinates of ``docs/notation.md``.

        Raises:
            ValueError: if the group does not act on space of that many axes.
        """
        raise ValueError(f"expected a group that acts on space with {n_axes} axes, found {self}, which does not")


class FiniteGroup(Group):
    """A group whose elements are listed; ``elements[0]`` is the identity.

    The position of an element in ``elements`` is its channel inside a regular field (equation 2.2). A subclass
    defines ``elements``, ``generators``, ``multiply`` and ``inverse``; everything else follows.

    Examples:
        >>> from equiproj.groups import DihedralGroup
        >>> DihedralGroup(2).elements, DihedralGroup(2).order, DihedralGroup(2).table[1].tolist()
        ((0, 1, 2, 3), 4, [1, 0, 3, 2])
    """

    @property
    @abstractmethod
    def elements(self) -> tuple[Element, ...]:
        """All elements in their fixed order."""

    @property
    def identity(self) -> Element:
        """The neutral element."""
        return self.elements[0]

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.elements)

    @cached_property
    def _positions(self) -> dict[Element, int]:
        return {g: position for position, g in enumerate(self.elements)}

    def index(self, g: Element) -> int:
        """Position of ``g`` in ``elements``.

        Raises:
            ValueError: if ``g`` is not an element of the group.
        """
        try:
            return self._positions[g]
        except (KeyError, TypeError):
            raise ValueError(f"expected an element of {self}, found {g!r}") from None

    @property
    def table(self) -> np.ndarray:
        """Multiplication table: ``table[i, j]`` is the position of ``elements[i] elements[j]``."""
        return _multiplication_table(self)

    @property
    def inverses(self) -> np.ndarray:
        """Position of the inverse of every element."""
        return np.argsort(self.table, axis=1)[:, 0]

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[Element]:
        """Draw independent elements, each equally likely."""
        drawn = torch.randint(self.order, (n_samples,), generator=generator)
        return [self.elements[position] for position in drawn.tolist()]

    def keeps_grid(self, shape: tuple[int, ...]) -> bool:
        """Whether every element maps the pixels of a grid about its centre onto each other.

        Raises:
            ValueError: if the group does not act on space of that many axes.

        Examples:
            >>> from equiproj.groups import CyclicGroup
            >>> CyclicGroup(4).keeps_grid((3, 3)), CyclicGroup(4).keeps_grid((3, 5)), CyclicGroup(8).keeps_grid((3, 3))
            (True, False, False)
        """
        if all(n == 1 for n in shape):
            return True
        matrices = [self.spatial_matrix(g, len(shape)) for g in self.generators]
        return all(moved_pixels(matrix, shape) is not None for matrix in matrices)

    def grid_permutation(self, g: Element, shape: tuple[int, ...]) -> np.ndarray:
        """Row-major pixel index to which ``g`` moves each pixel of a grid about its centre.

        A single pixel stays where it is, whatever the group.

        Raises:
            ValueError: if the group does not map the grid onto itself.

        Examples:
            >>> from equiproj.groups import CyclicGroup
            >>> CyclicGroup(4).grid_permutation(1, (2, 2)).tolist()
            [2, 0, 3, 1]
        """
        if all(n == 1 for n in shape):
            return np.zeros(1, dtype=np.int64)
        destination = moved_pixels(self.spatial_matrix(g, len(shape)), shape)
        if destination is None:
            raise ValueError(
                f"expected a grid that {self} maps onto itself, found shape {tuple(shape)}, "
                f"which element {g!r} does not preserve"
            )
        return destination


@lru_cache(maxsize=64)
def _multiplication_table(group: FiniteGroup) -> np.ndarray:
    """Table of a group, shared by all equal groups."""
    # Rows for the generators give all others: (s g) h = s (g h), so row sg is row s taken at row g.
    steps = [np.array([group.index(group.multiply(s, h)) for h in group.elements]) for s in group.generators]
    rows = {0: np.arange(group.order)}
    frontier = [0]
    while frontier:
        reached = {int(step[g]): step[rows[g]] for g in frontier for step in steps}
        frontier = [g for g in reached if g not in rows]
        rows.update((g, reached[g]) for g in frontier)
    table = np.stack([rows[g] for g in range(group.order)])
    table.setflags(write=False)
    return table


def generated_elements(group: Group, generators: tuple[Element, ...]) -> tuple[Element, ...]:
    """Every product of the generators, identity first, in the order of a breadth-first search.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> generated_elements(CyclicGroup(6), (2,))
        (0, 2, 4)
    """
    found = {group.identity: None}  # a dictionary keeps the order in which elements are found
    frontier = [group.identity]
    while frontier:
        products = [group.multiply(generator, g) for g in frontier for generator in generators]
        frontier = [g for g in dict.fromkeys(products) if g not in found]
        found.update(dict.fromkeys(frontier))
    return tuple(found)
