"""A copy of what reads a network reads the copy of that network."""

import copy
import gc
import io
import pickle
import weakref
from types import FunctionType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from equiproj.regularisers.checks import check_state


class CopiedWithNetwork:
    """What hangs on a network: `copy.deepcopy` of both in one object copies both; a copy of it alone refuses to work.

    So do `pickle` and `torch.save`. Of a copy of a penalty alone, only the penalty would know its network, and nobody
    train it. `copy.copy` hangs on the same network.

    Examples:
        >>> from equiproj import ProjectionPenalty
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
        >>> penalty, network = copy.deepcopy((ProjectionPenalty(network, "C4"), network))
        >>> penalty().requires_grad
        True
        >>> pickle.loads(pickle.dumps(penalty))()
        Traceback (most recent call last):
        ...
        RuntimeError: ProjectionPenalty: expected to be pickled in one object with its network, found it alone; pickle \
both together, or save its state_dict() and load that into another one built for the network
        >>> copy.deepcopy(penalty)()
        Traceback (most recent call last):
        ...
        RuntimeError: ProjectionPenalty: expected to be copied in one object with its network, found a copy of it \
alone; copy both together, or build another for the network
    """

    _network: nn.Module

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: nothing, where this is not overridden."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned.

        Raises:
            ValueError: it is the state of something else.
        """
        check_state(state, self.state_dict())

    def __copy__(self) -> "CopiedWithNetwork":
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "CopiedWithNetwork":
        other = object.__new__(type(self))
        memo[id(self)] = other
        if id(self._network) in memo:
            other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        else:
            # the network may be copied later in the same call, after which memo knows
            other.__dict__["_copied"] = self, copy.deepcopy(self.state_dict()), memo
        return other

    def __getstate__(self) -> tuple[Any, ...]:
        """For pickling: the network, and the rest with places in the network where it has modules of that."""
        return self._network, *_pickled(self._network, self.__dict__)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Hold the network weakly: it lives on where it was pickled for somebody else, too."""
        network, rest, outside = state
        self.__dict__["_unpickled"] = weakref.ref(network), rest, outside

    if not TYPE_CHECKING:  # a checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Called where there is no such attribute, as on a copy before its first use."""
            is_special = name.startswith("__") and name.endswith("__")
            if "_copied" in self.__dict__ and not is_special:
                self._finish_copy(*self.__dict__["_copied"])
            elif "_unpickled" in self.__dict__ and not is_special:
                self._finish_unpickling(*self.__dict__["_unpickled"])
            else:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(self, name)

    def _finish_copy(self, original: "CopiedWithNetwork", state: dict[str, Any], memo: dict[int, Any]) -> None:
        if id(original._network) not in memo:
            raise RuntimeError(
                f"{type(self).__name__}: expected to be copied in one object with its network, found a copy of it "
                "alone; copy both together, or build another for the network"
            )
        del self.__dict__["_copied"]
        self.__dict__.update(copy.deepcopy(original.__dict__, memo))
        self.load_state_dict(state)

    def _finish_unpickling(self, held: "weakref.ref[nn.Module]", rest: bytes, outside: list[Any]) -> None:
        gc.collect()  # a network that refers to itself would outlive its last owner
        network = held()
        if network is None:
            raise RuntimeError(
                f"{type(self).__name__}: expected to be pickled in one object with its network, found it alone; pickle "
                "both together, or save its state_dict() and load that into another one built for the network"
            )
        del self.__dict__["_unpickled"]
        self.__dict__.update(_Unpickler(rest, network, outside).load())


def _pickled(network: nn.Module, attributes: dict[str, Any]) -> tuple[bytes, list[Any]]:
    """What of an object is not its network, and the tensors and functions of it, which the outer pickle shares."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, network)
    pickler.dump(attributes)
    return buffer.getvalue(), pickler.outside


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, network: nn.Module) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self.outside: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._places = {id(module): path for path, module in network.named_modules()}

    def persistent_id(self, value: Any) -> str | int | None:
        """The path of a module of the network, the number of what goes outside, None for anything else."""
        if isinstance(value, nn.Module):
            return self._places.get(id(value))
        if not isinstance(value, Tensor | FunctionType):
            return None
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.outside)
            self.outside.append(value)
        return self._numbers[id(value)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, rest: bytes, network: nn.Module, outside: list[Any]) -> None:
        super().__init__(io.BytesIO(rest))
        self._network, self._outside = network, outside

    def persistent_load(self, place: str | int) -> Any:
        """What `persistent_id` told the place of."""
        return self._outside[place] if isinstance(place, int) else self._network.get_submodule(place)
