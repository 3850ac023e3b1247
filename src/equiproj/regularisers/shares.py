"""A penalty that is computed in part, or in some steps alone, and counts as many times more: cheaper, and unbiased."""

import math
from collections.abc import Sequence

import numpy as np

from equiproj.layers import TypedParameter


class Shares:
    """Which part of a penalty a step computes, and how many times it counts there.

    One of every k steps computes a part, and that k n times, n the number of parts. The parts take turns in a random
    order, a new one each time all have had theirs. Every place in it is a part's with probability 1/n, so a step that
    is not left out has the whole penalty, k times, as its expectation; k n steps in a row from a multiple of k n have
    k n times the whole penalty exactly, were the weights to stand still.

    The order is a function of seed and step: no state, and a run that is resumed at a step continues with its part.

    Args:
        every: k ≥ 1.
        n_parts: n ≥ 1.
        seed: of the orders, ≥ 0.

    Raises:
        ValueError: one of them is no such number.

    Examples:
        >>> shares = Shares(every=2, n_parts=3, seed=0)
        >>> sorted(shares.at(step) for step in (0, 2, 4)), shares.at(1)
        ([(0, 6), (1, 6), (2, 6)], None)
    """

    def __init__(self, every: int, n_parts: int, seed: int) -> None:
        for name, value, least in (("every", every, 1), ("sample", n_parts, 1), ("seed", seed, 0)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"expected {name} to be a whole number of at least {least}, found {value!r}")
        self.every, self.n_parts, self.seed = every, n_parts, seed

    @property
    def is_partial(self) -> bool:
        """Whether there are steps that do not compute the whole penalty."""
        return self.every > 1 or self.n_parts > 1

    def at(self, step: int) -> tuple[int, int] | None:
        """The part of a step and how many times it counts, None for a step that is left out."""
        turn, left_out = divmod(step, self.every)
        if left_out:
            return None
        part = 0
        if self.n_parts > 1:
            orders, place = divmod(turn, self.n_parts)
            part = int(np.random.default_rng((self.seed, orders)).permutation(self.n_parts)[place])
        return part, self.every * self.n_parts


def dealt(parameters: Sequence[TypedParameter], n_parts: int) -> list[list[TypedParameter]]:
    """Weights in parts of about equal size: the largest first, each to the part that is the smallest so far.

    Raises:
        ValueError: there are more parts than weights.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 1))
        >>> [[each.name for each in part] for part in dealt(typed_parameters(network, CyclicGroup(4)), 2)]
        [['0.weight', '1.weight'], ['2.weight', '3.weight']]
    """
    if n_parts > len(parameters):
        raise ValueError(f"expected sample of at most {len(parameters)}, the number of weights, found {n_parts}")
    sizes = [math.prod(parameter.projector.weight_shape) for parameter in parameters]
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        min(parts, key=lambda part: sum(sizes[each] for each in part)).append(index)
    return [[parameters[index] for index in sorted(part)] for part in parts]
