"""A copy of what reads a network reads the copy of that network."""

import copy
from typing import TYPE_CHECKING, Any

from torch import nn


class CopiedWithNetwork:
    """What hangs on a network: `copy.deepcopy` of both in one object copies both; a copy of it alone refuses to work.

    Of a copy of a penalty alone, only the penalty would know its network, and nobody train it.

    Examples:
        >>> from equiproj import ProjectionPenalty
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
        >>> penalty, network = copy.deepcopy((ProjectionPenalty(network, "C4"), network))
        >>> penalty().requires_grad
        True
        >>> copy.deepcopy(penalty)()
        Traceback (most recent call last):
        ...
        RuntimeError: ProjectionPenalty: expected to be copied in one object with its network, found a copy of it \
alone; copy both together, or build another for the network
    """

    _network: nn.Module

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        raise NotImplementedError

    def __deepcopy__(self, memo: dict[int, Any]) -> "CopiedWithNetwork":
        other = object.__new__(type(self))
        memo[id(self)] = other
        if id(self._network) in memo:
            other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        else:
            # the network may be copied later in the same call, after which memo knows
            other.__dict__["_copied"] = self, copy.deepcopy(self.state_dict()), memo
        return other

    if not TYPE_CHECKING:  # a checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Called where there is no such attribute, as on a copy before its first use."""
            if "_copied" not in self.__dict__ or (name.startswith("__") and name.endswith("__")):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            original, state, memo = self.__dict__["_copied"]
            if id(original._network) not in memo:
                raise RuntimeError(
                    f"{type(self).__name__}: expected to be copied in one object with its network, found a copy of it "
                    "alone; copy both together, or build another for the network"
                )
            del self.__dict__["_copied"]
            self.__dict__.update(copy.deepcopy(original.__dict__, memo))
            self.load_state_dict(state)
            return getattr(self, name)
