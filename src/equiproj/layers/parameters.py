"""The weights and biases of a module, each with its projection: those of all layers, or of the named ones."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from equiproj.groups import Group, given_group
from equiproj.layers.coverage import Coverage, coverage_of
from equiproj.layers.declaration import (
    FeatureType,
    LayerTypes,
    ParameterTypes,
    declared_layers,
    named_layer,
    skip_patterns,
    skipping,
)
from equiproj.layers.flow import SideTypes, inferred
from equiproj.layers.kinds import Role, kind_of
from equiproj.layers.tensors import declared_tensor, inferred_tensors, tensors_of_layer
from equiproj.layers.typed_parameter import TypedParameter
from equiproj.projections import ConvProjector, LinearProjector, Projector, Sampling
from equiproj.representations import Representation

_N_REASONS = 3  # printed


def typed_parameters(
    module: nn.Module,
    group: Group | str | None = None,
    *,
    layers: LayerTypes | None = None,
    parameters: ParameterTypes | None = None,
    skip: str | Sequence[str] = (),
    strict: bool = False,
    input_type: FeatureType = "trivial",
    hidden_type: FeatureType = "regular",
    output_type: FeatureType = "trivial",
    include_bias: bool = False,
    include_statistics: bool = False,
    sampling: Sampling | None = None,
    example: Any = None,
) -> list[TypedParameter]:
    """Every tensor of a module that belongs to a layer of a known kind, with its projector, in order of registration.

    Types are inferred from data flow: the module runs once, on the example, in evaluation mode
    (:func:`~equiproj.layers.flow.inferred`). Known are linear and bilinear layers, convolutions, transposed or not,
    `MultiheadAttention`, recurrent layers and their cells, embeddings, `Conv1D` of transformers, normalisations and
    `PReLU`; other parameters where they are added to features, multiply them, or are given to a function such as
    `torch.nn.functional.linear`. Matrix parameters elsewhere are named in a warning, unless `layers` chose or `skip`
    left them out: `coverage` has their share.

    Args:
        module: any module.
        group: the group or its name (`parse_group`), where `layers` and `parameters` do not give representations.
        layers: submodule name → (rho_in, rho_out); replaces the inference, and layers not named are left out. An
            attention has its queries, keys and values of type rho_out; a bilinear layer rho_1 ⊗ rho_2 as rho_in.
        parameters: parameter name → (rho_out, rho_in), for tensors of any other module, such as positional
            embeddings: a matrix in any shape with rho_out.dim · rho_in.dim entries, rows first, or a kernel
            (rho_out.dim, rho_in.dim, *pixels). They come after the layers, and replace what is known of that tensor.
        skip: patterns of parameter names (`*` for any text) that are left out on purpose, such as `"head.*"`;
            what `layers` and `parameters` name is never left out.
        strict: raise where it would warn.
        input_type: type of the channels that go into the module: axis 1 of images and volumes, the last axis of
            features, sequences and point clouds.
        hidden_type: type of all channels that nothing else determines.
        output_type: type of the channels that come out of it. A type is `trivial`, `regular` or a representation,
            repeated as often as the channels need, or a mixture for widths that are no multiple of one:
            `2*trivial + rest*regular`, or `rest*regular + rest*trivial` for as many fields as fit.
        example: a batch to infer the types with: a tensor, or a tuple or dictionary of what the module is called with.
            Without one, inputs of the shapes that its layers take are tried.
        include_bias: list all vectors too: biases, and factors and offsets of normalisations.
        include_statistics: list running means and variances too.
        sampling: rings, frequencies and mask of the kernels that are sampled (those of C_8, SO(2), …); the exact
            kernels of groups that map pixels onto pixels stay.

    Raises:
        ValueError: no layer, nothing that is asked for, no group, a name that is not a layer or parameter, a pattern
            that fits none, or channels or a kernel that do not fit; with `strict`, a matrix parameter that nothing
            covers.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
        >>> for parameter in typed_parameters(network, CyclicGroup(4)):
        ...     print(parameter.name, "|", parameter.projector.rho_in, "|", parameter.projector.rho_out)
        0.weight | trivial of CyclicGroup(4) | 2*regular of CyclicGroup(4)
        2.weight | 2*regular of CyclicGroup(4) | trivial of CyclicGroup(4)
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"expected a torch module, found {module!r}")
    group = None if group is None else given_group(group)
    if layers is None and group is None and not parameters:
        raise ValueError("expected a group, or representations for each layer in layers=; found neither")
    if layers is not None and not layers and not parameters:
        raise ValueError("expected at least one layer in layers=, found none")
    _check_patterns(module, skip)
    is_skipped = skipping(skip)
    roles: set[Role] = {
        "map",
        *(("bias", "scale") if include_bias else ()),
        *(("statistic",) if include_statistics else ()),
    }
    declared = [declared_tensor(module, group, name, types) for name, types in (parameters or {}).items()]
    taken = {entry.name for entry in declared}
    reasons: tuple[str, ...] = ()
    typed: Iterator[TypedParameter] = iter(())
    if layers is not None:
        typed = (entry for each in declared_layers(module, group, layers) for entry in tensors_of_layer(each))
    elif group is not None:
        sides = SideTypes(input_type, hidden_type, output_type)
        inference = inferred(module, group, sides, example, lambda name: name in taken or is_skipped(name))
        typed, reasons = inferred_tensors(module, inference, roles), inference.reasons
    found = _once_each([*(entry for entry in typed if entry.role in roles and entry.name not in taken), *declared])
    if not found:
        hint = "" if include_bias else "; include_bias=True lists vectors too"
        raise ValueError(f"expected at least one parameter that is not skipped, found none{hint}")
    _check_coverage(coverage(module, found, skip), reasons, strict=strict, chosen=layers is not None)
    return found if sampling is None else [_sampled_by(entry, sampling) for entry in found]


def inferred_types(
    module: nn.Module,
    group: Group | str,
    *,
    input_type: FeatureType = "trivial",
    hidden_type: FeatureType = "regular",
    output_type: FeatureType = "trivial",
    example: Any = None,
) -> dict[str, tuple[Representation, Representation]]:
    """What `layers=` would have to be for the types that are inferred; normalisations are left out.

    Args:
        module: any module.
        group: the group or its name.
        input_type: as for `typed_parameters`.
        hidden_type: likewise.
        output_type: likewise.
        example: likewise.

    Raises:
        ValueError: as for `typed_parameters`.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> inferred_types(nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 2)), CyclicGroup(4))["1"]
        (regular of CyclicGroup(4), 2*trivial of CyclicGroup(4))
    """
    group = given_group(group)
    found = inferred(module, group, SideTypes(input_type, hidden_type, output_type), example)
    kinds = {name: kind_of(named_layer(module, name)) for name in found.types}
    return {name: types for name, types in found.types.items() if (kind := kinds[name]) is not None and kind.maps}


def coverage(module: nn.Module, parameters: Sequence[TypedParameter], skip: str | Sequence[str] = ()) -> Coverage:
    """Which share of a module's parameters is among the given ones, and what is not.

    Args:
        module: any module.
        parameters: of it.
        skip: as for `typed_parameters`.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> print(coverage(network, typed_parameters(network, CyclicGroup(4))[:1]))
        75 % of matrix parameters (12 of 16); not covered: 2.weight (1, 4); 0 of 2 vectors
    """
    return coverage_of(
        module, [(entry.layer, entry.attribute, entry.role) for entry in parameters if entry.role != "statistic"], skip
    )


def plain_parameters(module: nn.Module, layers: LayerTypes) -> list[TypedParameter]:
    """Weights and biases of the named layers, which have to be parameters and not parametrisations of some.

    Args:
        module: the network.
        layers: submodule name → (rho_in, rho_out).

    Raises:
        ValueError: as `typed_parameters`, or a layer is parametrised already.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> rho_in, rho_out = trivial(CyclicGroup(2)), regular(CyclicGroup(2))
        >>> [entry.name for entry in plain_parameters(nn.Sequential(nn.Linear(1, 2)), {"0": (rho_in, rho_out)})]
        ['0.weight', '0.bias']
    """
    found = typed_parameters(module, layers=layers, include_bias=True)
    for entry in found:
        if parametrize.is_parametrized(entry.layer):
            raise ValueError(f"{entry.name}: expected a layer with plain parameters, found a parametrised one")
    return found


def _sampled_by(entry: TypedParameter, sampling: Sampling) -> TypedParameter:
    if not isinstance(entry.projector, ConvProjector) or not entry.projector.is_sampled:
        return entry
    return replace(entry, projector=replace(entry.projector, route=sampling))


def _once_each(found: Sequence[TypedParameter]) -> list[TypedParameter]:
    """Tied weights are one weight: it is listed where it is first."""
    listed: dict[object, TypedParameter] = {}
    for entry in found:
        held = entry.layer._parameters.get(entry.attribute)
        first = listed.setdefault((entry.layer, entry.attribute) if held is None else id(held), entry)
        if not _are_one_projection(first.projector, entry.projector):
            raise ValueError(
                f"{entry.name}: expected the types of {first.name}, whose tensor it is, "
                f"found {entry.projector.rho_in} → {entry.projector.rho_out}"
            )
    return list(listed.values())


def _check_patterns(module: nn.Module, skip: str | Sequence[str]) -> None:
    """A pattern that fits nothing is a slip of the pen, which would leave in what is to be left out."""
    own = [name for name, _ in (*module.named_parameters(remove_duplicate=False), *module.named_buffers())]
    computed = [name.replace("parametrizations.", "").rpartition(".")[0] for name in own if "parametrizations." in name]
    for pattern in skip_patterns(skip):
        if not any(map(skipping(pattern), (*own, *computed))):
            raise ValueError(f"expected skip= to hold patterns of names of parameters, found none for {pattern!r}")


def _are_one_projection(first: Projector, second: Projector) -> bool:
    """A layer and its adjoint, as at both ends of an autoencoder, keep one space of weights (equation 3.7)."""
    return first == second or _transposed(first) == second


def _transposed(projector: Projector) -> Projector:
    rho_in, rho_out = projector.rho_out, projector.rho_in
    if isinstance(projector, LinearProjector):
        return replace(projector, rho_in=rho_in, rho_out=rho_out, transposed=not projector.transposed)
    if isinstance(projector, ConvProjector):
        return replace(projector, rho_in=rho_in, rho_out=rho_out, transposed=not projector.transposed)
    return projector


def _check_coverage(found: Coverage, reasons: Sequence[str], *, strict: bool, chosen: bool) -> None:
    why = f". Types were not followed further: {'; '.join(reasons[:_N_REASONS])}" if reasons else ""
    if found.missing and strict:
        raise ValueError(f"expected every matrix parameter to be covered, found {found}{why}")
    if found.missing and not chosen:
        text = f"covered: {found}{why}. Declare them by layers= or parameters=, or leave them out by skip=."
        warnings.warn(text, UserWarning, stacklevel=4)
