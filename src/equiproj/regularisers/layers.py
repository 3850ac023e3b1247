"""Which weights of a module are measured, and which representations act on their channels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from equiproj.groups import Group
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation, regular, trivial

FeatureType = str | Representation  # "trivial", "regular", or what is repeated
LayerTypes = Mapping[str, tuple[Representation, Representation]]

# Every torch.nn convolution, transposed or not, with one to three axes.
Layer = nn.Linear | _ConvNd


@dataclass(frozen=True)
class TypedParameter:
    """A weight or bias of a layer, read afresh at every use, with the projection onto its equivariant part.

    A bias is the matrix (c_out, 1) of a linear map from the constant 1, on which the group acts trivially.

    Example:
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
        """The current value, whole, with its autograd history; a parametrisation is evaluated."""
        value = getattr(self.layer, self.attribute)
        if is_sharded(value):
            value = value.full_tensor()
        return value[:, None] if self.attribute == "bias" else value


def is_sharded(value: Tensor) -> bool:
    """Whether a weight is a `DTensor`; asked of its method, because importing the class takes half a second.

    Example:
        >>> import torch
        >>> is_sharded(torch.zeros(2))
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

    Example:
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
        typed = _infer(module, group, input_type, hidden_type, output_type)
    else:
        typed = _declared(module, group, layers)
    return [parameter for entry in typed for parameter in _parameters_of_layer(*entry, include_bias)]


def _infer(
    module: nn.Module, group: Group, input_type: FeatureType, hidden_type: FeatureType, output_type: FeatureType
) -> Iterator[tuple[str, Layer, Representation, Representation]]:
    found = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, Layer)]
    if not found:
        raise ValueError(f"expected a module with linear or convolution layers, found none in {type(module).__name__}")
    for position, (name, layer) in enumerate(found):
        n_in, n_out = _channels(layer)
        side_in = input_type if position == 0 else hidden_type
        side_out = output_type if position == len(found) - 1 else hidden_type
        rho_in = _fit(name, "input", n_in, side_in, group)
        yield name, layer, rho_in, _fit(name, "output", n_out, side_out, group)


def _declared(
    module: nn.Module, group: Group | None, layers: LayerTypes
) -> Iterator[tuple[str, Layer, Representation, Representation]]:
    named = dict(module.named_modules(remove_duplicate=False))
    if not layers:
        raise ValueError("expected at least one layer in layers=, found none")
    for name, (rho_in, rho_out) in layers.items():
        layer = named.get(name)
        if not isinstance(layer, Layer):
            found = "no such submodule" if layer is None else type(layer).__name__
            raise ValueError(f"layers= names {name!r}: expected a linear or convolution layer, found {found}")
        for side, n_channels, rho in zip(("input", "output"), _channels(layer), (rho_in, rho_out), strict=True):
            if rho.dim != n_channels:
                raise ValueError(f"layer {name!r} has {n_channels} {side} channels; they do not fit {rho} ({rho.dim})")
            if group is not None and rho.group != group:
                raise ValueError(f"layer {name!r}: expected representations of {group}, found {rho}")
        yield name, layer, rho_in, rho_out


def _fit(name: str, side: str, n_channels: int, feature_type: FeatureType, group: Group) -> Representation:
    if isinstance(feature_type, Representation):
        rho = feature_type
    elif feature_type in ("trivial", "regular"):
        rho = trivial(group) if feature_type == "trivial" else regular(group)
    else:
        raise ValueError(f"expected type 'trivial', 'regular' or a representation, found {feature_type!r}")
    if n_channels % rho.dim:
        raise ValueError(
            f"layer {name!r} has {n_channels} {side} channels; they do not fit {rho}, expected a multiple of {rho.dim}"
        )
    return n_channels // rho.dim * rho


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


def _channels(layer: Layer) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels
