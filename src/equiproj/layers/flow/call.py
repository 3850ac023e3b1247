"""One call of a torch function while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from equiproj.layers.flow.axes import Axes, Feature
from equiproj.layers.flow.state import State


@dataclass
class Call:
    """What was called with what, and what came out.

    Args:
        state: what is known.
        name: the function, without underscores: `add` for `__iadd__`.
        function: the function itself.
        args: its arguments.
        kwargs: its named arguments.
        out: what it returned.
        where: the call in words.
    """

    state: State
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any
    where: str

    def operand(self, position: int, name: str = "") -> Feature:
        """What is known of a tensor among the arguments."""
        value = self.value(position, name)
        if not isinstance(value, Tensor):
            raise TypeError(f"expected a tensor, found {type(value).__name__}")
        return self.state.operand(value, self.where)

    def value(self, position: int, name: str = "", default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments, in lists too."""
        return list(tensors_in((self.args, self.kwargs)))

    def result(self, axes: Axes, out: Tensor | None = None) -> None:
        """Say what the axes of the result, or of one of the results, are."""
        tensor = self.out if out is None else out
        if len(axes) != tensor.ndim:
            raise TypeError(f"expected {tensor.ndim} axes of the result of {self.where}, found {len(axes)}")
        self.state.keep(tensor, Feature(axes, tuple(tensor.shape)))


Rule = Callable[[Call], None]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries.

    Examples:
        >>> import torch
        >>> len(list(tensors_in([torch.ones(1), {"a": (torch.ones(1), 3)}])))
        2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)
