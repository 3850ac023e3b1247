"""From a name in the configuration to a network."""

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ctmar.config.own_code import is_import_path, load_object
from ctmar.errors import InputError
from ctmar.models.acdnet import ACDNet
from ctmar.models.dicdnet import DICDNet
from ctmar.models.dncnn import DnCNN
from ctmar.models.oscnet import OSCNet
from ctmar.models.oscnetplus import OSCNetPlus
from ctmar.models.unet import UNet
from equiproj.groups import FiniteGroup
from equiproj.layers import inferred_types
from equiproj.representations import Representation

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "dncnn": DnCNN,
    "unet": UNet,
    "acdnet": ACDNet,
    "dicdnet": DICDNet,
    "oscnet": OSCNet,
    "oscnetplus": OSCNetPlus,
}


KEY = "study.networks.architecture"
_TINY_SHAPE = (2, 3, 32, 32)  # of the batch on which a network of one's own is tried


class CorrectionNetwork(Protocol):
    """What training and evaluation ask of a network, beyond being a module.

    A network without `layer_types` has every linear and convolution layer declared: images at its first input and last
    output, regular fields everywhere between (`equiproj.layers.inferred_types`).
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Correct a batch of images."""
        ...

    def layer_types(self, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
        """Representation of the input and output channels of every regularised layer, by its name."""
        ...


def build_network(name: str, group_order: int | None = None, **settings: Any) -> nn.Module:
    """Build a network by its name or import path; the weights are drawn from torch's global generator.

    Args:
        name: a key of ``NETWORKS``, or ``module:name`` of what makes a network of one's own.
        group_order: channels of a regular field, for networks that ask for them; None: their own.
        settings: keyword arguments of that network.

    Raises:
        InputError: the name or a setting is unknown, or a value does not fit.

    Examples:
        >>> sum(p.numel() for p in build_network("dncnn", fields=4, depth=6).parameters())
        9873
    """
    make = _maker(name)
    known = inspect.signature(make).parameters
    if group_order is not None and "group_order" in known:
        settings = {"group_order": group_order, **settings}
    _check_settings(name, known, settings)
    if is_import_path(name):
        return _own_network(name, make, settings)
    try:
        return make(**settings)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's for a network that fits no memory
        raise InputError(f"network {name}: {' '.join(str(error).split())}") from None


def _maker(name: str) -> Callable[..., nn.Module]:
    if isinstance(name, str) and is_import_path(name):
        found: Any = load_object(name, KEY)
        if not callable(found):
            raise InputError(f"{KEY}: expected a class or function for '{name}', found {type(found).__name__}")
        return found
    if not isinstance(name, str) or name not in NETWORKS:
        raise InputError(f"network architecture: expected one of {', '.join(NETWORKS)}, or module:name, found '{name}'")
    return NETWORKS[name]


def _check_settings(name: str, known: Mapping[str, inspect.Parameter], settings: Mapping[str, Any]) -> None:
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    unknown = sorted(set(settings) - set(known))
    if unknown and not takes_all:
        expected = f"one of {', '.join(known)}" if known else "none"
        raise InputError(f"network {name}: unknown setting '{unknown[0]}', expected {expected}")
    for key, value in settings.items():
        if key in known:
            _check_kind(name, key, known[key].default, value)


def _own_network(name: str, make: Callable[..., Any], settings: dict[str, Any]) -> nn.Module:
    """A network of one's own, tried on a tiny batch."""
    try:
        network = make(**settings)
        if not isinstance(network, nn.Module):
            raise InputError(f"{KEY}: expected a torch module from '{name}', found {type(network).__name__}")
        output = _output_on_a_tiny_batch(network)
    except InputError:
        raise
    except Exception as error:  # somebody's own code can raise anything
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"{KEY}: '{name}' fails on images of shape {_TINY_SHAPE}: {text}") from None
    expected = (_TINY_SHAPE[0], 1, *_TINY_SHAPE[2:])
    if not isinstance(output, Tensor) or output.shape != expected:
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"{KEY}: '{name}' on images of shape {_TINY_SHAPE}: expected shape {expected}, found {found}")
    return network


@torch.no_grad()
def _output_on_a_tiny_batch(network: nn.Module) -> Any:
    was_training = network.training
    with torch.random.fork_rng(devices=[]):
        output = network.eval()(torch.zeros(_TINY_SHAPE))
    network.train(was_training)
    return output


def _check_kind(name: str, key: str, default: Any, value: Any) -> None:
    kinds = {int: (Integral, "a whole number"), float: (Real, "a number"), str: (str, "a text")}
    if type(default) in kinds:
        kind, text = kinds[type(default)]
        if isinstance(value, bool) or not isinstance(value, kind):
            raise InputError(f"network {name}: expected {key} to be {text}, found {value!r}")


def layer_types(network: nn.Module, group: FiniteGroup) -> dict[str, tuple[Representation, Representation]]:
    """The declaration of ``network`` (see `CorrectionNetwork`), or what is inferred for a network without one.

    Raises:
        ValueError: the channels of a layer do not fit the group.
        InputError: the same, told by a network that declares its layers itself.
    """
    declare = getattr(network, "layer_types", None)
    if declare is not None:
        return dict(declare(group))
    return inferred_types(network, group)
