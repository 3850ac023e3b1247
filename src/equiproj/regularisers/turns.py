"""Which part of a penalty a step computes, and what multiplies it: its share of the whole, and a schedule."""

from collections.abc import Callable, Sequence

from torch import Tensor

from equiproj.regularisers.schedule import Schedule
from equiproj.regularisers.shares import Shares


class Turns:
    """The turns that parts of a penalty take, step by step.

    Args:
        sizes: how many packs each part has; the packs are numbered part after part.
        shares: which part a step computes, and how many times it counts.
        function: step → multiplier m of a schedule, or None.

    Examples:
        >>> turns = Turns([2, 1], Shares(every=1, n_parts=2, seed=0), lambda step: 0.5**step)
        >>> [turns.at() for _ in range(2)], turns.n_calls
        ([([0, 1], 2.0), ([2], 1.0)], 2)
    """

    def __init__(self, sizes: Sequence[int], shares: Shares, function: Callable[[int], float] | None) -> None:
        numbers = iter(range(sum(sizes)))
        self._parts = [[next(numbers) for _ in range(size)] for size in sizes]
        self._shares, self._schedule = shares, Schedule(function)

    @property
    def n_calls(self) -> int:
        """Steps that have been counted."""
        return self._schedule.n_calls

    @n_calls.setter
    def n_calls(self, value: int) -> None:
        self._schedule.n_calls = value

    @property
    def are_equal(self) -> bool:
        """Whether every step computes the whole penalty, and as it is."""
        return not self._shares.is_partial and self._schedule.function is None

    def at(self, step: int | None = None) -> tuple[Sequence[int], float | Tensor | None]:
        """The packs that a step computes, and what multiplies them: None for nothing, a tensor in a compiled graph.

        Args:
            step: the next in turn where it is not given, which is then counted.
        """
        if not self._shares.is_partial:
            return self._parts[0], None if self._schedule.function is None else self._schedule.multiplier(step)
        turn = self._shares.at(self.n_calls if step is None else step)
        multiplier = self._schedule.multiplier(step)
        if turn is None:
            return (), None
        return self._parts[turn[0]], float(turn[1]) if multiplier is None else turn[1] * multiplier
