"""Representations that permute their basis: trivial, regular, quotient, pixel and voxel grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.representations.representation import PermutationSummand, Representation


@dataclass(frozen=True)
class TrivialSummand(PermutationSummand):
    """Every element acts as 1."""

    group: Group
    dim = 1

    def __str__(self) -> str:
        return "trivial"

    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each basis vector."""
        return np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class RegularSummand(PermutationSummand):
    """Functions on the group: g sends e_h to e_{gh}."""

    group: FiniteGroup

    @property
    def dim(self) -> int:
        """Dimension of the space it acts on."""
        return self.group.order

    def __str__(self) -> str:
        return "regular"

    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each basis vector."""
        return self.group.table[self.group.index(g)]


@dataclass(frozen=True)
class GridSummand(PermutationSummand):
    """Images on a grid of pixels in row-major order."""

    group: FiniteGroup
    shape: tuple[int, ...]

    @property
    def dim(self) -> int:
        """Dimension of the space it acts on."""
        return int(np.prod(self.shape))

    def __str__(self) -> str:
        return f"grid{self.shape}"

    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each basis vector."""
        return self.group.grid_permutation(g, self.shape)


def trivial(group: Group) -> Representation:
    """One channel that no group element changes: ρ(g) = 1.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> trivial(CyclicGroup(4))(3).tolist()
        [[1.0]]
    """
    return Representation(((1, TrivialSummand(group)),))


def regular(group: FiniteGroup) -> Representation:
    """One channel per group element, ρ(g) e_h = e_{gh} (equation 2.2).

    Raises:
        ValueError: if the group is not finite.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> regular(CyclicGroup(3))(1).argmax(dim=0).tolist()
        [1, 2, 0]
    """
    _check_finite(group, "regular")
    return Representation(((1, RegularSummand(group)),))


def grid(group: FiniteGroup, shape: tuple[int, ...]) -> Representation:
    """Images on a pixel or voxel grid, moved about the centre of the grid (equation 2.5).

    Args:
        group: a finite group that acts on space (or translations of this very grid).
        shape: pixels per axis; pixels are numbered in row-major order.

    Raises:
        ValueError: if the group is not finite or does not map the grid onto itself.

    Example:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> image = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
        >>> turned = grid(CyclicGroup(4), (3, 3))(1) @ image.flatten()
        >>> bool((turned.reshape(3, 3) == torch.rot90(image)).all())
        True
    """
    _check_finite(group, "grid")
    for g in group.generators:
        group.grid_permutation(g, tuple(shape))
    return Representation(((1, GridSummand(group, tuple(shape))),))


def _check_finite(group: Group, kind: str) -> None:
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"expected a finite group for the {kind} representation, found {group}")
