"""How the channels of each layer transform: inferred from its place in the module, or declared by its name."""

from collections.abc import Iterator, Mapping

from torch import nn
from torch.nn.modules.conv import _ConvNd

from equiproj.groups import Group
from equiproj.representations import Representation, regular, trivial

FeatureType = str | Representation  # "trivial", "regular", or what is repeated
LayerTypes = Mapping[str, tuple[Representation, Representation]]

# Every torch.nn convolution, transposed or not, with one to three axes.
Layer = nn.Linear | _ConvNd

Declared = tuple[str, Layer, Representation, Representation]


def named_layer(module: nn.Module, name: str) -> nn.Module:
    """The submodule of that name.

    Raises:
        ValueError: there is none.

    Examples:
        >>> named_layer(nn.Sequential(nn.Linear(2, 3)), "0")
        Linear(in_features=2, out_features=3, bias=True)
    """
    try:
        return module.get_submodule(name)
    except AttributeError:
        raise ValueError(f"expected the name of a layer of {type(module).__name__}, found {name!r}") from None


def inferred_layers(
    module: nn.Module, group: Group, input_type: FeatureType, hidden_type: FeatureType, output_type: FeatureType
) -> Iterator[Declared]:
    """Every linear and convolution layer with the types of its channels, in order of registration.

    Raises:
        ValueError: there is no such layer, or the channels of one do not fit its type.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 2))
        >>> for name, _, rho_in, rho_out in inferred_layers(network, CyclicGroup(4), "trivial", "regular", "trivial"):
        ...     print(name, "|", rho_in, "|", rho_out)
        0 | trivial of CyclicGroup(4) | regular of CyclicGroup(4)
        1 | regular of CyclicGroup(4) | 2*trivial of CyclicGroup(4)
    """
    found = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, Layer)]
    if not found:
        raise ValueError(f"expected a module with linear or convolution layers, found none in {type(module).__name__}")
    for position, (name, layer) in enumerate(found):
        n_in, n_out = _channels(layer)
        side_in = input_type if position == 0 else hidden_type
        side_out = output_type if position == len(found) - 1 else hidden_type
        rho_in = _fit(name, "input", n_in, side_in, group)
        yield name, layer, rho_in, _fit(name, "output", n_out, side_out, group)


def declared_layers(module: nn.Module, group: Group | None, layers: LayerTypes) -> Iterator[Declared]:
    """The named layers with the types they are declared to have.

    Raises:
        ValueError: no layer is named, a name is not a linear or convolution layer, or its channels do not fit.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> rho = regular(CyclicGroup(4))
        >>> [name for name, *_ in declared_layers(nn.Sequential(nn.Linear(4, 4)), None, {"0": (rho, rho)})]
        ['0']
    """
    if not layers:
        raise ValueError("expected at least one layer in layers=, found none")
    for name, (rho_in, rho_out) in layers.items():
        layer = named_layer(module, name)
        if not isinstance(layer, Layer):
            raise ValueError(f"layer {name!r}: expected a linear or convolution layer, found {type(layer).__name__}")
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


def _channels(layer: Layer) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels
