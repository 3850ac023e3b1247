"""What a caller gives to a penalty."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    Power = Literal[1, 2]
else:
    Power = int  # what is no power is an error with a name, also where annotations are checked while running


def one_or_two(power: Power) -> Power:
    """The power of a norm in a penalty.

    Raises:
        ValueError: it is another number.

    Examples:
        >>> one_or_two(2)
        2
    """
    if power not in (1, 2):
        raise ValueError(f"expected power 1 or 2, found {power!r}")
    return power


def non_negative(name: str, weight: float) -> float:
    """The weight of that name as a float.

    Raises:
        ValueError: it is negative or not finite.

    Examples:
        >>> non_negative("weight", 1.0)
        1.0
    """
    if not isinstance(weight, Real) or not 0 <= weight < math.inf:
        raise ValueError(f"expected {name} to be a finite number of at least 0, found {weight!r}")
    return float(weight)


def check_state(state: Iterable[str], own: Iterable[str]) -> None:
    """Make sure that a state holds what a penalty's own does.

    Raises:
        ValueError: it holds something else.

    Examples:
        >>> check_state({"weight": 1.0}, ["n_calls"])
        Traceback (most recent call last):
        ...
        ValueError: expected the state of such a penalty (n_calls), found weight
    """
    expected, found = list(own), list(state)
    if set(expected) != set(found):
        raise ValueError(
            f"expected the state of such a penalty ({', '.join(expected) or 'nothing'}), "
            f"found {', '.join(found) or 'nothing'}"
        )


def is_transformed(tensor: Tensor) -> bool:
    """Whether a transform of `torch.func` follows the tensor: it must not outlive the transform.

    Examples:
        >>> is_transformed(torch.ones(1))
        False
        >>> torch.func.grad(lambda x: x * is_transformed(x))(torch.ones(()))
        tensor(1.)
    """
    return not torch.compiler.is_compiling() and torch.func.debug_unwrap(tensor, recurse=False) is not tensor
