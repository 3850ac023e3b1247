"""Whether a network is still made of the modules that a penalty has seen."""

import torch
from torch import nn


class ModuleTree:
    """The modules of a network and who holds which.

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

    def check(self, owner: str) -> None:
        """Make sure that the network has the same modules.

        Raises:
            RuntimeError: it has others, more or fewer; their weights would be passed over without a word.
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
