"""A multiplier that changes from step to step, and is read outside of a compiled graph."""

from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from equiproj.regularisers.checks import non_negative


class Schedule:
    """m(step), and how many steps have been counted.

    A compiler takes a number that a module holds for a constant and compiles again where it changes, and it would look
    into the function. Under `torch.compile` both are therefore behind an operator that the graph calls and knows
    nothing of: one graph serves all steps, whatever the function does.

    Args:
        function: step → multiplier; without one, steps are counted alone.
        n_calls: how many steps have been.

    Examples:
        >>> schedule = Schedule(lambda step: 0.5**step)
        >>> [schedule.multiplier() for _ in range(3)], schedule.n_calls
        ([1.0, 0.5, 0.25], 3)
        >>> schedule.multiplier(step=0), schedule.n_calls
        (1.0, 3)
    """

    def __init__(self, function: Callable[[int], float] | None, n_calls: int = 0) -> None:
        self.function = function
        self._n_calls = torch.tensor(n_calls)
        self._key = next(_KEYS)
        _SCHEDULES[self._key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has a key of its own."""
        return Schedule, (self.function, self.n_calls)

    @property
    def n_calls(self) -> int:
        """Steps counted."""
        return int(self._n_calls)

    @n_calls.setter
    def n_calls(self, value: int) -> None:
        self._n_calls.fill_(value)

    def multiplier(self, step: int | None = None) -> float | Tensor | None:
        """Of a step, and without one of the next in turn; a tensor in a graph, None where there is no function.

        Raises:
            ValueError: it is negative, so that the loss would reward what breaks the symmetry, or not finite.
        """
        if torch.compiler.is_compiling() and self.function is not None:
            return _read(self._n_calls, self._key, step)
        return _next(self._n_calls, self.function, step)


_KEYS = count()
_SCHEDULES: WeakValueDictionary[int, Schedule] = WeakValueDictionary()


def _next(n_calls: Tensor, function: Callable[[int], float] | None, step: int | None) -> float | None:
    at = int(n_calls) if step is None else step
    value = None if function is None else _multiplier(function(at), at)
    if step is None:
        n_calls.add_(1)
    return value


def _multiplier(value: float | Tensor, step: int) -> float:
    number = value.item() if isinstance(value, Tensor) else value
    return non_negative(f"the schedule's multiplier of step {step}", number)


@torch.library.custom_op(
    "equiproj::schedule", mutates_args=("n_calls",), schema="(Tensor(a!) n_calls, int key, SymInt? step) -> Tensor"
)
def _read(n_calls: Tensor, key: int, step: int | None) -> Tensor:
    return torch.tensor(_next(n_calls, _SCHEDULES[key].function, step), dtype=torch.float64)


@_read.register_fake
def _(n_calls: Tensor, key: int, step: int | None) -> Tensor:
    return n_calls.new_empty((), dtype=torch.float64)
