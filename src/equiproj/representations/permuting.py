"""Representations that permute their basis: trivial, regular, quotient, pixel and voxel grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element, generated_elements
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
class _RegularSummand(PermutationSummand):
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
class _GridSummand(PermutationSummand):
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


@dataclass(frozen=True)
class _QuotientSummand(PermutationSummand):
    """Functions on the cosets hH of a subgroup H: g sends hH to ghH."""

    group: FiniteGroup
    subgroup: tuple[Element, ...]

    @property
    def dim(self) -> int:
        """Number of cosets."""
        return self.group.order // len(self.subgroup)

    def __str__(self) -> str:
        return f"quotient by {len(self.subgroup)} elements"

    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each coset; cosets are numbered by their first element."""
        members = self.group.table[:, [self.group.index(h) for h in self.subgroup]]
        first, coset = np.unique(members.min(axis=1), return_inverse=True)
        return coset[self.group.table[self.group.index(g), first]]


def trivial(group: Group) -> Representation:
    """One channel that no group element changes: ρ(g) = 1.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> trivial(CyclicGroup(4))(3).tolist()
        [[1.0]]
    """
    return Representation(((1, TrivialSummand(group)),))


def regular(group: Group) -> Representation:
    """One channel per group element, ρ(g) e_h = e_{gh} (equation 2.2).

    Raises:
        ValueError: if the group is not finite.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> regular(CyclicGroup(3))(1).argmax(dim=0).tolist()
        [1, 2, 0]
    """
    return Representation(((1, _RegularSummand(_finite(group, "regular"))),))


def quotient(group: Group, *generators: Element) -> Representation:
    """One channel per coset of the subgroup H that the given elements generate: g sends hH to ghH.

    Raises:
        ValueError: if the group is not finite, or a generator is not one of its elements.

    Examples:
        >>> from equiproj.groups import DihedralGroup
        >>> quotient(DihedralGroup(4), 4)
        quotient by 2 elements of DihedralGroup(4)
        >>> quotient(DihedralGroup(4), 4).dim
        4
    """
    finite = _finite(group, "quotient")
    for g in generators:
        finite.index(g)
    subgroup = sorted(generated_elements(finite, generators), key=finite.index)
    return Representation(((1, _QuotientSummand(finite, tuple(subgroup))),))


def grid(group: Group, shape: tuple[int, ...]) -> Representation:
    """Images on a pixel or voxel grid, moved about the centre of the grid (equation 2.5).

    Args:
        group: a finite group that acts on space (or translations of this very grid).
        shape: pixels per axis; pixels are numbered in row-major order.

    Raises:
        ValueError: if the group is not finite or does not map the grid onto itself.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> image = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
        >>> turned = grid(CyclicGroup(4), (3, 3))(1) @ image.flatten()
        >>> bool((turned.reshape(3, 3) == torch.rot90(image)).all())
        True
    """
    finite = _finite(group, "grid")
    for g in finite.generators:
        finite.grid_permutation(g, tuple(shape))
    return Representation(((1, _GridSummand(finite, tuple(shape))),))


def _finite(group: Group, kind: str) -> FiniteGroup:
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"expected a finite group for the {kind} representation, found {group}")
    return group
