"""How the channels of a layer transform: the names of types, and what is declared by the name of a layer."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from torch import nn
from torch.nn.modules.conv import _ConvNd

from equiproj.groups import Group
from equiproj.layers.kinds import Kind, kind_of
from equiproj.projections import Sampling
from equiproj.representations import Representation, direct_sum, regular, trivial

# "trivial", "regular", a mixture of them such as "2*trivial + rest*regular", or what is repeated
FeatureType = str | Representation
LayerTypes = Mapping[str, tuple[Representation, Representation]]
ParameterTypes = Mapping[str, tuple[Representation, Representation]]

# Every torch.nn convolution, transposed or not, with one to three axes.
Layer = nn.Linear | _ConvNd

Declared = tuple[str, nn.Module, Kind, Representation, Representation]  # of a layer: name, …, rho_in, rho_out

_TERM = re.compile(r"(?:(\d+|rest)\s*\*\s*)?(trivial|regular)")


class MisfitError(ValueError):
    """Channels that a type does not fill."""


class Declaration(TypedDict, total=False):
    """Which parameters of a module are meant and how the group acts on them: keywords of `typed_parameters`.

    Examples:
        >>> Declaration(hidden_type="regular", skip="head.*")
        {'hidden_type': 'regular', 'skip': 'head.*'}
    """

    layers: LayerTypes | None
    parameters: ParameterTypes | None
    skip: str | Sequence[str]
    strict: bool
    input_type: FeatureType
    hidden_type: FeatureType
    output_type: FeatureType
    sampling: Sampling | None
    example: Any


class WeightDeclaration(Declaration, total=False):
    """The same where vectors may be left out.

    Examples:
        >>> WeightDeclaration(include_bias=True)
        {'include_bias': True}
    """

    include_bias: bool


def skip_patterns(skip: str | Sequence[str]) -> tuple[str, ...]:
    """One pattern or several.

    Examples:
        >>> skip_patterns("head.*")
        ('head.*',)
    """
    return (skip,) if isinstance(skip, str) else tuple(skip)


def skipping(skip: str | Sequence[str]) -> Callable[[str], bool]:
    """What tells of the name of a parameter whether one of the patterns leaves it out.

    Examples:
        >>> list(map(skipping("head.*"), ["head.weight", "body.weight"]))
        [True, False]
    """
    patterns = skip_patterns(skip)
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)


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
        if not (isinstance(rho_in, Representation) and isinstance(rho_out, Representation)):
            raise ValueError(f"layer {name!r}: expected two representations, found {rho_in!r} and {rho_out!r}")
        for side, n_channels, rho in zip(("input", "output"), kind.channels(layer), (rho_in, rho_out), strict=True):
            if rho.dim != n_channels:
                raise ValueError(f"layer {name!r} has {n_channels} {side} channels; they do not fit {rho} ({rho.dim})")
            if group is not None and rho.group != group:
                raise ValueError(f"layer {name!r}: expected representations of {group}, found {rho}")
        yield name, layer, kind, rho_in, rho_out


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


def mixed_types(feature_type: str) -> list[tuple[int | None, str]]:
    """A mixture such as "2*trivial + rest*regular" as (copies, name) in its order; None for as many as still fit.

    A name alone is repeated as often as it fits; in a sum it stands for one copy.

    Raises:
        ValueError: it is not such a sum.

    Examples:
        >>> mixed_types("2*trivial + rest*regular"), mixed_types("regular")
        ([(2, 'trivial'), (None, 'regular')], [(None, 'regular')])
    """
    found = [_TERM.fullmatch(term.strip()) for term in feature_type.split("+")]
    if None in found:
        raise ValueError(
            "expected type 'trivial', 'regular', a mixture such as '2*trivial + rest*regular' or a representation, "
            f"found {feature_type!r}"
        )
    alone = "rest" if len(found) == 1 else "1"
    counts = [((each[1] or alone), each[2]) for each in found if each]
    return [(None if count == "rest" else int(count), name) for count, name in counts]


def filling(n_channels: int, feature_type: FeatureType, group: Group) -> Representation:
    """A type repeated as often as channels need, or a mixture that fills them.

    Raises:
        ValueError: an unknown type.
        MisfitError: channels that are no multiple of it, or that the mixture does not fill.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> filling(10, "rest*regular + rest*trivial", CyclicGroup(4))
        2*regular + 2*trivial of CyclicGroup(4)
    """
    terms: list[tuple[int | None, FeatureType]] = [(None, feature_type)]
    if isinstance(feature_type, str):
        terms = [*mixed_types(feature_type)]
    parts, n_left = [], n_channels
    for count, each in terms:
        rho = type_named(each, group)
        copies = max(n_left, 0) // rho.dim if count is None else count
        n_left -= copies * rho.dim
        parts += [copies * rho] if copies > 0 else []
    if n_left == 0 and parts:
        return direct_sum(parts)
    if len(terms) == 1:
        raise MisfitError(f"they do not fit {rho}, expected a multiple of {rho.dim}")
    raise MisfitError(
        f"they do not fit {feature_type!r} of {group}: {abs(n_left)} too {'few' if n_left < 0 else 'many'}"
    )


def fit(name: str, side: str, n_channels: int, feature_type: FeatureType, group: Group) -> Representation:
    """The same for the channels of a layer.

    Raises:
        ValueError: an unknown type, or no channels.
        MisfitError: channels that the type does not fill, by the name of the layer.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> fit("0", "input", 8, "regular", CyclicGroup(4))
        2*regular of CyclicGroup(4)
    """
    if n_channels == 0:
        raise ValueError(f"layer {name!r} has no {side} channels; a lazy layer has some once the network has been run")
    try:
        return filling(n_channels, feature_type, group)
    except MisfitError as error:
        raise MisfitError(f"layer {name!r} has {n_channels} {side} channels; {error}") from None
