"""Whether a network is still made of the modules that a penalty has seen, and shares the same parameters."""

import torch
from torch import nn


class ModuleTree:
    """The modules of a network and who holds which, and which parameters are one.

    Args:
        module: the network.

    Examples:
        >>> network = nn.Sequential(nn.Linear(1, 1))
        >>> tree = ModuleTree(network)
        >>> tree.check("penalty")
        >>> network[0] = nn.Identity()
        >>> tree.check("penalty")
        Traceback (most recent call last):
        ...
        RuntimeError: penalty: '0' of its network is another module since it was built; build it again
    """

    def __init__(self, module: nn.Module) -> None:
        # in a tuple, so that nothing of it becomes part of who holds this
        self._holders = tuple(
            (f"{path}.{name}".lstrip("."), holder, name, child)
            for path, holder in module.named_modules()
            for name, child in holder.named_children()
        )
        self._sizes = tuple((holder, len(holder._modules)) for holder in module.modules())
        self._parameters = tuple(
            (f"{path}.{name}".lstrip("."), holder, name)
            for path, holder in module.named_modules()
            for name, parameter in holder._parameters.items()
            if parameter is not None
        )
        self._firsts = self._first_of_each()

    def check(self, owner: str) -> None:
        """Make sure that the network has the same modules, and shares the same parameters among them.

        Raises:
            RuntimeError: it has others, more or fewer, or parameters have been tied or untied, as `assign=True` of
                `load_state_dict` does; weights would be passed over, or count twice, without a word.
        """
        if torch.compiler.is_compiling():  # the graph of a compiled step holds these very modules
            return
        if any(len(holder._modules) != size for holder, size in self._sizes):
            raise RuntimeError(f"{owner}: its network has more or fewer modules than when it was built; build it again")
        for path, holder, name, child in self._holders:
            if holder._modules.get(name) is not child:
                raise RuntimeError(
                    f"{owner}: {path!r} of its network is another module since it was built; build it again"
                )
        for (path, _, _), before, now in zip(self._parameters, self._firsts, self._first_of_each(), strict=True):
            if before != now:
                raise RuntimeError(
                    f"{owner}: {path!r} of its network has been tied to another parameter, or untied from it, since it "
                    "was built; build it again"
                )

    def _first_of_each(self) -> list[int]:
        """For every parameter the place of the first that is the same."""
        seen: dict[int, int] = {}
        return [
            place if (held := holder._parameters.get(name)) is None else seen.setdefault(id(held), place)
            for place, (_, holder, name) in enumerate(self._parameters)
        ]
