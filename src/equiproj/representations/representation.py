"""Orthogonal representations as immutable values: direct sums of named summands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from equiproj.groups import Group
from equiproj.groups.group import Element

ROUNDING = 1e-6  # lets float32 matrices pass as orthogonal and as a homomorphism


class Summand(ABC):
    """One building block of a representation: a frozen dataclass that knows a matrix per element."""

    group: Group

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimension of the space it acts on."""

    @abstractmethod
    def matrix(self, g: Element) -> np.ndarray:
        """Orthogonal float64 matrix of ``g``."""

    def permutation(self, g: Element) -> np.ndarray | None:
        """Where ``g`` sends each basis vector, or None if it does more than permute them."""
        return None


class PermutationSummand(Summand):
    """A summand that permutes its basis vectors: e_j goes to e_{permutation(g)[j]}."""

    @abstractmethod
    def permutation(self, g: Element) -> np.ndarray:
        """Where ``g`` sends each basis vector."""

    def matrix(self, g: Element) -> np.ndarray:
        """Permutation matrix of ``g``."""
        matrix = np.zeros((self.dim, self.dim))
        matrix[self.permutation(g), np.arange(self.dim)] = 1.0
        return matrix


@dataclass(frozen=True)
class Representation:
    """A direct sum of summands, in order: ``terms`` holds (multiplicity, summand) pairs.

    Built by :func:`trivial`, :func:`regular`, … and by ``rho_a + rho_b``, ``k * rho``; equal neighbours
    merge, so that ``2 * rho == rho + rho``. Calling it gives the block-diagonal matrix of a group element.

    Raises:
        ValueError: if summands belong to different groups, or there are none.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> rho = trivial(CyclicGroup(4)) + 2 * regular(CyclicGroup(4))
        >>> rho, rho.dim
        (trivial + 2*regular of CyclicGroup(4), 9)
        >>> regular(CyclicGroup(2))(1).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    terms: tuple[tuple[int, Summand], ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("expected a representation with at least one summand, found none")
        for _, summand in self.terms:
            if summand.group != self.group:
                raise ValueError(f"expected summands of one group, found {self.group} and {summand.group}")

    @property
    def group(self) -> Group:
        """The group that is represented."""
        return self.terms[0][1].group

    @property
    def dim(self) -> int:
        """Dimension of the space: the number of channels, pixels or features."""
        return sum(count * summand.dim for count, summand in self.terms)

    @property
    def summands(self) -> tuple[Summand, ...]:
        """Every summand in order, multiplicities written out."""
        return tuple(summand for count, summand in self.terms for _ in range(count))

    def __call__(self, g: Element) -> Float64[Tensor, "dim dim"]:
        """Matrix of the group element ``g``."""
        blocks = [(count, torch.from_numpy(summand.matrix(g))) for count, summand in self.terms]
        return torch.block_diag(*[block for count, block in blocks for _ in range(count)])

    def permutation(self, g: Element) -> np.ndarray | None:
        """Where ``g`` sends each basis vector, or None if some summand does more than permute."""
        parts, offset = [], 0
        for count, summand in self.terms:
            destination = summand.permutation(g)
            if destination is None:
                return None
            starts = offset + summand.dim * np.arange(count)
            parts.append((starts[:, None] + destination).ravel())
            offset += count * summand.dim
        return np.concatenate(parts)

    def __add__(self, other: Representation) -> Representation:
        if not isinstance(other, Representation):
            return NotImplemented
        if other.group != self.group:
            raise ValueError(f"expected representations of one group, found {self.group} and {other.group}")
        return Representation(_merged(self.terms + other.terms))

    def __rmul__(self, count: int) -> Representation:
        if not isinstance(count, int):
            return NotImplemented
        if count < 1:
            raise ValueError(f"expected at least 1 copy of a representation, found {count}")
        return Representation(_merged(self.terms * count))

    __mul__ = __rmul__

    @property
    def summary(self) -> str:
        """The summands in words, without the group."""
        return " + ".join(str(summand) if n == 1 else f"{n}*{summand}" for n, summand in self.terms)

    def __repr__(self) -> str:
        return f"{self.summary} of {self.group}"


def _merged(terms: Iterable[tuple[int, Summand]]) -> tuple[tuple[int, Summand], ...]:
    """Join neighbouring terms of the same summand."""
    merged: list[tuple[int, Summand]] = []
    for count, summand in terms:
        if merged and merged[-1][1] == summand:
            merged[-1] = (merged[-1][0] + count, summand)
        else:
            merged.append((count, summand))
    return tuple(merged)


def check_orthogonal(matrices: Float64[np.ndarray, "*n dim dim"], name: str) -> None:
    """Make sure that matrices given by a caller are orthogonal, to the rounding of float32.

    Args:
        matrices: one or several.
        name: what they are called in the message.

    Raises:
        ValueError: one is not, or holds NaN.

    Examples:
        >>> check_orthogonal(np.array([[2.0]]), "Q")
        Traceback (most recent call last):
        ...
        ValueError: expected Q to be orthogonal, found Q Qᵀ away from the unit by 3
    """
    excess = np.abs(matrices @ matrices.swapaxes(-1, -2) - np.eye(matrices.shape[-1])).max()
    if not excess <= ROUNDING:
        raise ValueError(f"expected {name} to be orthogonal, found {name} {name}ᵀ away from the unit by {excess:.2g}")
