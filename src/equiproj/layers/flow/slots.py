"""Types of channels as unknowns: what flows together is of one type, and concatenated channels are a sum."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from equiproj.groups import Group
from equiproj.layers.declaration import FeatureType, fit
from equiproj.representations import Representation, direct_sum, grid, tensor_product


class TypeConflictError(ValueError):
    """Two types meet that differ, or a type meets an operation that it does not survive."""


@dataclass(eq=False)
class Slot:
    """The type of some neighbouring channels: unknown, known, or a sum of other slots.

    Args:
        n_channels: number of channels.
        origin: the layer whose output they are, for messages.
        known: their type, if it is.

    Examples:
        >>> Slot(8, "layer '0'").parts() is None
        True
    """

    n_channels: int
    origin: str
    known: Representation | None = None
    _parts: tuple[Slot, ...] | None = field(default=None, repr=False)

    def parts(self) -> tuple[Slot, ...] | None:
        """What it is made of, None if it is one by itself."""
        return self._parts

    def split(self, n_first: int, where: str) -> None:
        """Make it a sum of its first channels and the rest.

        Raises:
            TypeConflictError: the border lies inside a summand of a known type.
        """
        if self.known is None:
            self._parts = (Slot(n_first, self.origin), Slot(self.n_channels - n_first, self.origin))
            return
        sizes = [summand.dim for summand in self.known.summands]
        count = next((k for k in range(len(sizes)) if sum(sizes[:k]) == n_first), None)
        if count is None:
            raise TypeConflictError(f"{where}: channel {n_first} lies inside a field of {self.known} ({self.origin})")
        halves = (self.known.summands[:count], self.known.summands[count:])
        types = [direct_sum(Representation(((1, summand),)) for summand in half) for half in halves]
        self._parts = tuple(Slot(rho.dim, self.origin, rho) for rho in types)

    def become(self, other: Slot, where: str) -> None:
        """Make both one.

        Raises:
            TypeConflictError: both are known and differ.
        """
        if self.known is None:
            self._parts = (other,)
        elif other.known is None:
            other._parts = (self,)
        elif 1 * self.known != 1 * other.known:
            raise TypeConflictError(
                f"{where}: {self.known} ({self.origin}) meets {other.known} ({other.origin}), expected one type"
            )


@dataclass(frozen=True)
class Block:
    """Channels of a slot, each an image on a grid that was flattened into channels, or a number (grid ())."""

    slot: Slot
    grid: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of channels."""
        return self.slot.n_channels * math.prod(self.grid)


Blocks = tuple[Block, ...]


def resolved(blocks: Sequence[Block]) -> list[Block]:
    """The same channels as slots that are made of no others.

    Examples:
        >>> slot = Slot(4, "x")
        >>> slot.split(1, "x")
        >>> [block.size for block in resolved([Block(slot)])]
        [1, 3]
    """
    found: list[Block] = []
    waiting = list(reversed(blocks))
    while waiting:
        block = waiting.pop()
        parts = block.slot.parts()
        if parts is None:
            found.append(block)
        else:
            waiting.extend(Block(part, block.grid) for part in reversed(parts))
    return found


def unify(first: Sequence[Block], second: Sequence[Block], where: str) -> None:
    """Demand that two rows of channels are of one type.

    Args:
        first: channels.
        second: as many channels.
        where: who demands it, for messages.

    Raises:
        TypeConflictError: types that differ, or numbers of channels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> unknown, rho = Slot(5, "layer '0'"), trivial(CyclicGroup(4)) + regular(CyclicGroup(4))
        >>> unify([Block(unknown)], [Block(Slot(5, "input", rho))], "add")
        >>> type_of([Block(unknown)], CyclicGroup(4), "regular")
        trivial + regular of CyclicGroup(4)
    """
    if sum(block.size for block in first) != sum(block.size for block in second):
        sizes = [sum(block.size for block in blocks) for blocks in (first, second)]
        raise TypeConflictError(f"{where}: {sizes[0]} channels meet {sizes[1]}")
    left, right = deque(first), deque(second)
    while left and right:
        a, b = _next(left), _next(right)
        if a.slot is b.slot and a.grid == b.grid:
            continue
        if a.grid != b.grid:
            raise TypeConflictError(
                f"{where}: channels with pixels {a.grid} ({a.slot.origin}) meet channels with pixels {b.grid} "
                f"({b.slot.origin})"
            )
        if a.size == b.size:
            a.slot.become(b.slot, where)
            continue
        large, small = (a, b) if a.size > b.size else (b, a)
        large.slot.split(small.slot.n_channels, where)
        left.appendleft(a)
        right.appendleft(b)


def _next(waiting: deque[Block]) -> Block:
    first, *rest = resolved([waiting.popleft()])
    waiting.extendleft(reversed(rest))
    return first


def type_of(blocks: Sequence[Block], group: Group, hidden_type: FeatureType) -> Representation:
    """The type of some channels; what nothing has determined becomes hidden.

    Raises:
        ValueError: channels that no multiple of the hidden type fills, by the layer that made them.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> type_of([Block(Slot(4, "layer '0'"), (2, 2))], CyclicGroup(4), "regular")
        (regular ⊗ grid(2, 2)) of CyclicGroup(4)
    """
    terms = []
    for block in resolved(blocks):
        slot = block.slot
        if slot.known is None:
            slot.known = fit(slot.origin, "output", slot.n_channels, hidden_type, group)
        terms.append(tensor_product(slot.known, grid(group, block.grid)) if block.grid else slot.known)
    return direct_sum(terms)
