"""The weights and biases of a module, each with its projection: read, projected and set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from equiproj.groups import Group
from equiproj.layers.declaration import FeatureType, Layer, LayerTypes, declared_layers, inferred_layers
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation, trivial


@dataclass(frozen=True)
class TypedParameter:
    """A weight or bias of a layer, read afresh at every use, with the projection onto its equivariant part.

    A bias is the matrix (c_out, 1) of a linear map from the constant 1, on which the group acts trivially.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> [parameter.name for parameter in typed_parameters(network, CyclicGroup(4))]
        ['0.weight', '2.weight']
    """

    name: str
    layer: Layer
    attribute: Literal["weight", "bias"]
    projector: LinearProjector | ConvProjector

    def read(self) -> Tensor:
        """The current value as a matrix or kernel, whole, with its autograd history."""
        value = self.read_as_held()
        return value[:, None] if self.attribute == "bias" else value

    def read_as_held(self) -> Tensor:
        """The current value in the shape that the layer holds, (c_out,) for a bias; a parametrisation is evaluated."""
        value = getattr(self.layer, self.attribute)
        return value.full_tensor() if _is_sharded(value) else value

    def read_gradient(self) -> Tensor:
        """What backward passes left in `.grad` of a plain parameter, whole, as the layer holds it; zero if frozen.

        Raises:
            RuntimeError: the parameter is trained and has no gradient.
        """
        held = getattr(self.layer, self.attribute)
        if not held.requires_grad:
            return torch.zeros_like(self.read_as_held())
        if held.grad is None:
            raise RuntimeError(f"{self.name}: expected a gradient, found none; call backward() before")
        return held.grad.full_tensor() if _is_sharded(held.grad) else held.grad

    @property
    def project(self) -> Callable[[Tensor], Tensor]:
        """P on a value of the shape that the layer holds, (c_out,) for a bias; without a reference to the layer."""
        return self.projector if self.attribute == "weight" else partial(_project_column, self.projector)


def _is_sharded(value: Tensor) -> bool:
    """Whether a weight is a `DTensor`; asked of its method, because importing the class takes half a second.

    Examples:
        >>> _is_sharded(torch.zeros(2))
        False
    """
    return hasattr(value, "full_tensor")


def typed_parameters(
    module: nn.Module,
    group: Group | None = None,
    *,
    layers: LayerTypes | None = None,
    input_type: FeatureType = "trivial",
    hidden_type: FeatureType = "regular",
    output_type: FeatureType = "trivial",
    include_bias: bool = False,
) -> list[TypedParameter]:
    """Every linear and convolution layer of a module with its projector, in order of registration.

    Args:
        module: any module; only `torch.nn` linear, convolution and transposed convolution layers are considered.
        group: the group, where `layers` does not give representations.
        layers: submodule name → (rho_in, rho_out); replaces the inference, and layers not named are left out.
        input_type: type of the first layer's input channels.
        hidden_type: type of all other channels.
        output_type: type of the last layer's output channels. A type is `trivial`, `regular` or a representation,
            repeated as often as the channels need.
        include_bias: list the biases too.

    Raises:
        ValueError: no layer, no group, a name that is not a layer, or a layer whose channels or kernel do not fit.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
        >>> for parameter in typed_parameters(network, CyclicGroup(4)):
        ...     print(parameter.name, "|", parameter.projector.rho_in, "|", parameter.projector.rho_out)
        0.weight | trivial of CyclicGroup(4) | 2*regular of CyclicGroup(4)
        2.weight | 2*regular of CyclicGroup(4) | trivial of CyclicGroup(4)
    """
    if layers is None:
        if group is None:
            raise ValueError("expected a group, or representations for each layer in layers=; found neither")
        typed = inferred_layers(module, group, input_type, hidden_type, output_type)
    else:
        typed = declared_layers(module, group, layers)
    return [parameter for entry in typed for parameter in _parameters_of_layer(*entry, include_bias)]


def plain_parameters(module: nn.Module, layers: LayerTypes) -> list[TypedParameter]:
    """Weights and biases of the named layers, which have to be parameters and not parametrisations of some.

    Args:
        module: the network.
        layers: submodule name → (rho_in, rho_out).

    Raises:
        ValueError: as `typed_parameters`, or a layer is parametrised already.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho_in, rho_out = trivial(CyclicGroup(2)), regular(CyclicGroup(2))
        >>> [entry.name for entry in plain_parameters(nn.Sequential(nn.Linear(1, 2)), {"0": (rho_in, rho_out)})]
        ['0.weight', '0.bias']
    """
    found = typed_parameters(module, layers=layers, include_bias=True)
    for entry in found:
        if parametrize.is_parametrized(entry.layer):
            raise ValueError(f"{entry.name}: expected a layer with plain parameters, found a parametrised one")
    return found


def assign(parameter: TypedParameter, value: Tensor) -> None:
    """Give a weight or bias another value, of either shape that it is read in; call it without gradients.

    Raises:
        ValueError: the weight is sharded, or its parametrisation cannot hold the value.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> layer = nn.Linear(4, 4)
        >>> parameter = typed_parameters(layer, CyclicGroup(4))[0]
        >>> with torch.no_grad():
        ...     assign(parameter, torch.zeros(4, 4))
        >>> layer.weight.abs().max().item()
        0.0
    """
    layer, attribute = parameter.layer, parameter.attribute
    if _is_sharded(getattr(layer, attribute)):
        raise ValueError(f"{parameter.name}: expected a whole weight, found a sharded one; change it before sharding")
    value = value.flatten() if attribute == "bias" else value
    if attribute in layer._parameters:
        getattr(layer, attribute).copy_(value)
        return
    steps = layer.get_submodule(f"parametrizations.{attribute}").children()
    if not all(hasattr(step, "right_inverse") for step in steps):
        raise ValueError(f"{parameter.name}: its parametrisation has no right_inverse to take the projection")
    setattr(layer, attribute, value)
    tolerance = 1e3 * torch.finfo(value.dtype).eps * value.abs().max()
    if not torch.allclose(getattr(layer, attribute), value, rtol=0, atol=float(tolerance)):
        raise ValueError(f"{parameter.name}: its parametrisation cannot represent the projected value")


def _parameters_of_layer(
    name: str, layer: Layer, rho_in: Representation, rho_out: Representation, include_bias: bool
) -> Iterator[TypedParameter]:
    prefix = f"{name}." if name else ""
    for attribute in ("weight", "bias") if include_bias and layer.bias is not None else ("weight",):
        if attribute not in layer._parameters and not parametrize.is_parametrized(layer, attribute):
            raise ValueError(
                f"layer {name!r}: expected {attribute} to be a parameter or a parametrisation, found a hook of the old "
                "style; use torch.nn.utils.parametrizations"
            )
    try:
        yield TypedParameter(f"{prefix}weight", layer, "weight", _projector(layer, rho_in, rho_out))
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error
    if include_bias and layer.bias is not None:
        yield TypedParameter(f"{prefix}bias", layer, "bias", LinearProjector(trivial(rho_out.group), rho_out))


def _projector(layer: Layer, rho_in: Representation, rho_out: Representation) -> LinearProjector | ConvProjector:
    if isinstance(layer, nn.Linear):
        return LinearProjector(rho_in, rho_out)
    return ConvProjector(rho_in, rho_out, tuple(layer.kernel_size), layer.transposed, layer.groups)


def _project_column(projector: LinearProjector | ConvProjector, bias: Tensor) -> Tensor:
    return projector(bias.unsqueeze(-1)).squeeze(-1)
