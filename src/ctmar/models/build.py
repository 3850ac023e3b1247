"""From a name in the configuration to a network."""

import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Protocol, cast

from torch import Tensor, nn

from ctmar.errors import InputError
from ctmar.models.acdnet import ACDNet
from ctmar.models.dicdnet import DICDNet
from ctmar.models.dncnn import DnCNN
from ctmar.models.oscnet import OSCNet
from ctmar.models.oscnetplus import OSCNetPlus
from ctmar.models.unet import UNet
from equiproj.groups import FiniteGroup
from equiproj.representations import Representation

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "dncnn": DnCNN,
    "unet": UNet,
    "acdnet": ACDNet,
    "dicdnet": DICDNet,
    "oscnet": OSCNet,
    "oscnetplus": OSCNetPlus,
}


class CorrectionNetwork(Protocol):
    """What training and evaluation ask of a network, beyond being a module."""

    def __call__(self, images: Tensor) -> Tensor:
        """Correct a batch of images."""
        ...

    def layer_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        """Representation of the input and output channels of every regularised layer, by its name."""
        ...


def build_network(name: str, **settings: Any) -> nn.Module:
    """Build a network by its name; the weights are drawn from torch's global generator.

    Args:
        name: a key of ``NETWORKS``.
        settings: keyword arguments of that network.

    Raises:
        InputError: the name or a setting is unknown, or a value does not fit.

    Examples:
        >>> sum(p.numel() for p in build_network("dncnn", fields=4, depth=6).parameters())
        9873
    """
    if not isinstance(name, str) or name not in NETWORKS:
        raise InputError(f"network architecture: expected one of {', '.join(NETWORKS)}, found '{name}'")
    known = inspect.signature(NETWORKS[name]).parameters
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(f"network {name}: unknown setting '{unknown[0]}', expected one of {', '.join(known)}")
    for key, value in settings.items():
        _check_kind(name, key, known[key].default, value)
    try:
        return NETWORKS[name](**settings)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's for a network that fits no memory
        raise InputError(f"network {name}: {' '.join(str(error).split())}") from None


def _check_kind(name: str, key: str, default: Any, value: Any) -> None:
    kinds = {int: (Integral, "a whole number"), float: (Real, "a number"), str: (str, "a text")}
    if type(default) in kinds:
        kind, text = kinds[type(default)]
        if isinstance(value, bool) or not isinstance(value, kind):
            raise InputError(f"network {name}: expected {key} to be {text}, found {value!r}")


def layer_types(network: nn.Module, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
    """The declaration of ``network`` (see `CorrectionNetwork`)."""
    return cast(CorrectionNetwork, network).layer_types(group)
