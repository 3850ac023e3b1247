"""How the channels of each layer transform: inferred from its place in the module, or declared by its name."""

from collections.abc import Iterator, Mapping

from torch import nn
from torch.nn.modules.conv import _ConvNd

from equiproj.groups import Group
from equiproj.layers.kinds import Kind, kind_of
from equiproj.representations import Representation, regular, tensor_product, trivial

FeatureType = str | Representation  # "trivial", "regular", or what is repeated
LayerTypes = Mapping[str, tuple[Representation, Representation]]

# Every torch.nn convolution, transposed or not, with one to three axes.
Layer = nn.Linear | _ConvNd

Declared = tuple[str, nn.Module, Representation, Representation]


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


def known_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module, Kind]]:
    """Every layer of a known kind, in order of registration, once; an attention is one layer with all its parts.

    Examples:
        >>> [name for name, *_ in known_layers(nn.TransformerEncoderLayer(4, 2, 8))]
        ['self_attn', 'linear1', 'linear2', 'norm1', 'norm2']
    """
    inside: set[int] = set()
    for name, layer in module.named_modules():
        kind = kind_of(layer)
        if id(layer) in inside or kind is None:
            continue
        if isinstance(layer, nn.MultiheadAttention):
            inside.update(id(part) for part in layer.modules())
        yield name, layer, kind


def inferred_layers(
    module: nn.Module, group: Group, input_type: FeatureType, hidden_type: FeatureType, output_type: FeatureType
) -> Iterator[Declared]:
    """Every layer of a known kind with the types of its channels, in order of registration.

    A vocabulary is invariant; normalisations have hidden channels, and are left out where those do not fit.

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
    found = list(known_layers(module))
    mapping = [entry for entry in found if entry[2].maps]
    if not mapping:
        raise ValueError(f"expected a module with linear or convolution layers, found none in {type(module).__name__}")
    for entry in found:
        name, layer, kind = entry
        n_channels = kind.channels(layer)[1]
        side_in = input_type if entry is mapping[0] else hidden_type
        side_out = output_type if entry is mapping[-1] else hidden_type
        if kind.maps:
            rho_in = _input_type(name, layer, kind, side_in, group)
            yield name, layer, rho_in, fit(name, "output", n_channels, side_out, group)
        elif n_channels % type_named(hidden_type, group).dim == 0:
            rho = fit(name, "hidden", n_channels, hidden_type, group)
            yield name, layer, rho, rho


def inferred_types(
    module: nn.Module,
    group: Group,
    *,
    input_type: FeatureType = "trivial",
    hidden_type: FeatureType = "regular",
    output_type: FeatureType = "trivial",
) -> dict[str, tuple[Representation, Representation]]:
    """What `layers=` would have to be for the types that are inferred; normalisations are left out.

    Args:
        module: any module.
        group: the group.
        input_type: as for `typed_parameters`.
        hidden_type: likewise.
        output_type: likewise.

    Raises:
        ValueError: there is no layer, or the channels of one do not fit its type.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> inferred_types(nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 2)), CyclicGroup(4))["1"]
        (regular of CyclicGroup(4), 2*trivial of CyclicGroup(4))
    """
    found = inferred_layers(module, group, input_type, hidden_type, output_type)
    return {name: (rho_in, rho_out) for name, layer, rho_in, rho_out in found if (kind := kind_of(layer)) and kind.maps}


def declared_layers(module: nn.Module, group: Group | None, layers: LayerTypes) -> Iterator[Declared]:
    """The named layers with the types they are declared to have.

    Raises:
        ValueError: a name is not a layer of a known kind, or its channels do not fit.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> rho = regular(CyclicGroup(4))
        >>> [name for name, *_ in declared_layers(nn.Sequential(nn.Linear(4, 4)), None, {"0": (rho, rho)})]
        ['0']
    """
    for name, (rho_in, rho_out) in layers.items():
        layer = named_layer(module, name)
        kind = kind_of(layer)
        if kind is None:
            raise ValueError(
                f"layer {name!r}: expected a linear, convolution, attention, recurrent, embedding or normalisation "
                f"layer, found {type(layer).__name__}; declare its tensors by parameters="
            )
        for side, n_channels, rho in zip(("input", "output"), kind.channels(layer), (rho_in, rho_out), strict=True):
            if rho.dim != n_channels:
                raise ValueError(f"layer {name!r} has {n_channels} {side} channels; they do not fit {rho} ({rho.dim})")
            if group is not None and rho.group != group:
                raise ValueError(f"layer {name!r}: expected representations of {group}, found {rho}")
        yield name, layer, rho_in, rho_out


def type_named(feature_type: FeatureType, group: Group) -> Representation:
    """What is repeated along the channels.

    Raises:
        ValueError: an unknown name.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> type_named("regular", CyclicGroup(4))
        regular of CyclicGroup(4)
    """
    if isinstance(feature_type, Representation):
        return feature_type
    if feature_type in ("trivial", "regular"):
        return trivial(group) if feature_type == "trivial" else regular(group)
    raise ValueError(f"expected type 'trivial', 'regular' or a representation, found {feature_type!r}")


def fit(name: str, side: str, n_channels: int, feature_type: FeatureType, group: Group) -> Representation:
    """A type repeated as often as the channels of a layer need.

    Raises:
        ValueError: an unknown type, or channels that are no multiple of it, by the name of the layer.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> fit("0", "input", 8, "regular", CyclicGroup(4))
        2*regular of CyclicGroup(4)
    """
    rho = type_named(feature_type, group)
    if n_channels % rho.dim:
        raise ValueError(
            f"layer {name!r} has {n_channels} {side} channels; they do not fit {rho}, expected a multiple of {rho.dim}"
        )
    return n_channels // rho.dim * rho


def _input_type(name: str, layer: nn.Module, kind: Kind, side_in: FeatureType, group: Group) -> Representation:
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return layer.num_embeddings * trivial(group)
    if isinstance(layer, nn.Bilinear):
        sides = (layer.in1_features, layer.in2_features)
        return tensor_product(*(fit(name, "input", n_channels, side_in, group) for n_channels in sides))
    return fit(name, "input", kind.channels(layer)[0], side_in, group)
