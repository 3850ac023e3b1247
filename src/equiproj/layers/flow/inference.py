"""Types of all layers of a network, from one run of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers.declaration import FeatureType, MisfitError, fit, known_layers
from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature, Source
from equiproj.layers.flow.examples import examples
from equiproj.layers.flow.leaves import LayerCall, TypeOf
from equiproj.layers.flow.run import run
from equiproj.layers.flow.slots import TypeConflictError, type_of, unify
from equiproj.layers.flow.state import Event, State
from equiproj.layers.kinds import Part, bias_of
from equiproj.projections import ConvProjector, LinearProjector, ScaleProjector
from equiproj.representations import Representation, direct_sum, grid, tensor_product, trivial

_CONSTANT = 1e-5  # relative: rounding of a constant that is computed


@dataclass(frozen=True)
class Inference:
    """What a run showed.

    Args:
        types: (rho_in, rho_out) of every layer that was reached, in order of registration.
        parts: tensors of those layers, by the name of the layer.
        parameters: owner and part of other parameters that met features, by their names.
        reasons: where the flow could not be followed, and why.
    """

    types: dict[str, tuple[Representation, Representation]]
    parts: dict[str, list[Part]]
    parameters: dict[str, tuple[nn.Module, Part]]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SideTypes:
    """Types at both ends of a network, and between."""

    input_type: FeatureType
    hidden_type: FeatureType
    output_type: FeatureType


def inferred(
    module: nn.Module,
    group: Group,
    sides: SideTypes,
    example: Any = None,
    left_out: Callable[[str], bool] = lambda name: False,
) -> Inference:
    """Run a network, and find the type of every layer from what flows in and out of it.

    Images (n, c, h, w) and volumes move with their pixels; of (n, c) and (n, points, c) the last axis has the type.
    What is added, compared or used by one layer is of one type; concatenated channels are a sum; flattened images are
    `tensor_product(ρ, grid)`; the output is of the output type, and what nothing determines is hidden.

    Args:
        module: the network; it runs in evaluation mode and without gradients.
        group: the group.
        sides: types of the input, between, and of the output.
        example: a batch: a tensor, a tuple or a dictionary; None: inputs of the shapes that the layers take are tried.
        left_out: tells of the name of a parameter whether nobody asks for it; its type need not fit.

    Raises:
        ValueError: no layers, no example that the network takes, types that conflict, by the name of the place, or
            channels that do not fit.
    """
    state, output = _completed(module, group, sides, example)
    return _solved(module, state, output, sides, left_out)


def watched(module: nn.Module, group: Group, sides: SideTypes, example: Any) -> tuple[Inference, list[Event], TypeOf]:
    """As `inferred`, and everything that happened, with what reads the types of channels.

    Raises:
        ValueError: as `inferred`.
    """
    state, output = _followed(module, group, sides, example, record=True)
    inference = _solved(module, state, output, sides, lambda name: False)
    return inference, state.events or [], partial(type_of, group=group, hidden_type=sides.hidden_type)


def repeated(module: nn.Module, group: Group, sides: SideTypes, example: Any) -> list[Event]:
    """What happens on another batch; no types are asked for."""
    return _followed(module, group, sides, example, record=True)[0].events or []


def _solved(
    module: nn.Module, state: State, output: Any, sides: SideTypes, left_out: Callable[[str], bool]
) -> Inference:
    group = state.group
    _set_output(state, sides, output)
    rho = partial(type_of, group=group, hidden_type=sides.hidden_type)
    parts: dict[str, list[Part]] = {}
    calls = {name: state.calls[name] for name, _, _ in known_layers(module) if name in state.calls}
    calls = {name: call for name, call in calls.items() if not left_out(f"{name}.weight".lstrip("."))}
    types = _types(calls, rho, group)
    for name, call in calls.items():
        prefix = f"{name}." if name else ""
        parts[name] = [part for part in _parts(call, rho, group) if not left_out(prefix + part.attribute)]
    _check_entries(state, rho, group)
    parameters = dict(_other_parameters(state, rho, group, left_out))
    reasons = dict.fromkeys(feature.reason for _, feature in state.features.values() if feature.reason)
    if not types and not parameters:
        raise ValueError(_nothing_found(module, tuple(reasons)))
    return Inference(types, parts, parameters, tuple(r for r in reasons if not r.startswith("not all results")))


def _types(
    calls: Mapping[str, LayerCall], rho: TypeOf, group: Group
) -> dict[str, tuple[Representation, Representation]]:
    """(rho_in, rho_out) of every layer.

    Raises:
        MisfitError: channels that their type does not fill, with all layers that meet any such.
    """
    types, misfits = {}, {}
    for name, call in calls.items():
        try:
            types[name] = call.types(rho, group)
        except MisfitError as error:
            misfits[name] = error
    if misfits:
        skip = [f"{name}.*" for name in misfits]
        raise MisfitError(
            f"{next(iter(misfits.values()))}; mix types, as hidden_type='rest*regular + rest*trivial' does, or leave "
            f"out the layers that meet such channels: skip={skip}"
        )
    return types


def _nothing_found(module: nn.Module, reasons: tuple[str, ...]) -> str:
    kind = type(module).__name__
    if reasons:
        return f"expected {kind} to have layers that features reach, found none: {reasons[0]}"
    return f"expected a module with linear or convolution layers, found none in {kind}"


def _completed(module: nn.Module, group: Group, sides: SideTypes, example: Any) -> tuple[State, Any]:
    """A run to the end, on the example or on the first input that the network takes."""
    if example is not None:
        return _followed(module, group, sides, example)
    problem: Exception | None = None
    if not any(kind.maps for _, _, kind in known_layers(module)):
        raise ValueError(_nothing_found(module, ()))
    for batch in examples(module):
        try:
            return _followed(module, group, sides, batch)
        except TypeConflictError:
            raise
        except Exception as error:  # whatever a network says of an input that was guessed
            problem = error
    raise ValueError(
        f"expected example=, an input of {type(module).__name__}, or layers=: it takes no input of the shapes of its "
        f"layers ({type(problem).__name__}: {problem})"
    )


def _followed(
    module: nn.Module, group: Group, sides: SideTypes, example: Any, *, record: bool = False
) -> tuple[State, Any]:
    held = {
        id(parameter): (owner, attribute, f"{name}.{attribute}".lstrip("."))
        for name, owner in module.named_modules()
        for attribute, parameter in owner._parameters.items()
        if parameter is not None
    }
    state = State(group, held, events=[] if record else None)
    args = example if isinstance(example, tuple) else (() if isinstance(example, Mapping) else (example,))
    kwargs = dict(example) if isinstance(example, Mapping) else {}
    for tensor in (*args, *kwargs.values()):
        if isinstance(tensor, Tensor):
            state.keep(tensor, Feature(_input_axes(state, module, sides, tensor), tuple(tensor.shape)))
    output = run(module, args, kwargs, state)
    if state.events is not None:
        state.events += [_as_event(state, module, sides, tensor) for tensor in _outputs(output)]
    return state, output


def _as_event(state: State, module: nn.Module, sides: SideTypes, tensor: Tensor) -> Event:
    """An output; where types were not followed to, its axes are those of an input of the output type."""
    feature = state.feature(tensor)
    if feature is None or feature.reason:
        sides = SideTypes(sides.output_type, sides.hidden_type, sides.output_type)
        feature = Feature(_input_axes(state, module, sides, tensor), tuple(tensor.shape))
    return Event("the output", None, "", (), {}, (), tensor.clone(), feature)


def _input_axes(state: State, module: nn.Module, sides: SideTypes, tensor: Tensor) -> Axes:
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return (FREE,) * tensor.ndim
    on_a_line = tensor.ndim == 3 and any(
        isinstance(layer, nn.Conv1d) and layer.in_channels == tensor.shape[1] for layer in module.modules()
    )
    position = 1 if tensor.ndim in (4, 5) or on_a_line else tensor.ndim - 1
    rho = fit("input", "input", tensor.shape[position], sides.input_type, state.group)
    channels = Axis("channels", state.known(rho, "the input"))
    if position == 1 and tensor.ndim > 2:
        state.n_pixel_axes = tensor.ndim - 2
        return (FREE, channels, *(Axis("pixels", index=index) for index in range(tensor.ndim - 2)))
    return (*(FREE,) * position, channels)


def _set_output(state: State, sides: SideTypes, output: Any) -> None:
    for tensor in _outputs(output):
        feature = state.feature(tensor)
        position = feature.channels() if feature is not None and not feature.reason else None
        if feature is not None and position is not None:
            rho = fit("output", "output", feature.shape[position], sides.output_type, state.group)
            unify(feature.axes[position].settled().blocks, state.known(rho, "output_type"), "the output of the network")


def _outputs(output: Any) -> Iterator[Tensor]:
    """The tensor, the first of several, or those that a dictionary holds directly."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from (value for value in output.values() if isinstance(value, Tensor))
    elif isinstance(output, tuple | list) and output:
        yield from _outputs(output[0])
    elif is_dataclass(output) and not isinstance(output, type):
        yield from (v for entry in fields(output) if isinstance(v := getattr(output, entry.name), Tensor))


def _parts(call: LayerCall, rho: TypeOf, group: Group) -> list[Part]:
    try:
        return list(call.parts(rho, group))
    except ValueError as error:
        raise ValueError(f"layer {call.name!r}: {error}") from error


def _check_entries(state: State, rho: TypeOf, group: Group) -> None:
    """Where entries are taken one by one, the group has to permute them."""
    for where, blocks in state.permuted:
        try:
            found = rho(blocks)
        except MisfitError:
            continue  # only layers that were left out meet these channels: the others have been asked before
        if any(found.permutation(g) is None for g in group.generators):
            raise TypeConflictError(
                f"{where}: acts on every channel by itself, expected channels that {group} permutes, found {found}"
            )


def _other_parameters(
    state: State, rho: TypeOf, group: Group, left_out: Callable[[str], bool]
) -> Iterator[tuple[str, tuple[nn.Module, Part]]]:
    """Parameters outside of layers, as maps between the types of their axes; constants have to be invariant."""
    for source in state.sources.values():
        if source.owner is not None and left_out(source.name):
            continue
        try:
            part = _part_of(state, source, rho, group)
        except MisfitError as error:
            if source.owner is None:
                continue  # as for entries
            raise MisfitError(f"{source.name}: {error}; mix types in hidden_type=, or name it in skip=") from error
        if source.owner is not None and part is not None:
            yield source.name, (source.owner, part)
        elif source.owner is None and not _is_invariant(source, part):
            raise TypeConflictError(
                f"{source.name}: a constant {tuple(source.tensor.shape)} that {group} changes meets features"
            )


def _part_of(state: State, source: Source, rho: TypeOf, group: Group) -> Part | None:
    if source.kernel is not None:
        out, inputs, transposed, n_blocks = source.kernel
        shape = tuple(source.tensor.shape[2:])
        return Part(source.attribute, ConvProjector(rho(inputs), rho(out), shape, transposed, n_blocks), "map")
    axes = [(axis.settled(), size) for axis, size in zip(source.axes, source.tensor.shape, strict=True) if size > 1]
    if any(axis.kind == "open" for axis, _ in axes) or not axes:
        return None
    indices = [axis.index for axis, _ in axes if axis.kind == "pixels"]
    if indices and indices != list(range(state.n_pixel_axes)):
        return None
    types = _axis_types(axes, rho, group)
    if math.prod(each.dim for each in types) != source.tensor.numel():
        return None
    if source.multiplies:
        return Part(source.attribute, ScaleProjector(reduce(tensor_product, types)), "scale")
    if len(types) == 1:
        return Part(source.attribute, bias_of(types[0]), "bias")
    return Part(source.attribute, LinearProjector(reduce(tensor_product, types[1:]), types[0]), "map")


def _axis_types(axes: list[tuple[Axis, int]], rho: TypeOf, group: Group) -> list[Representation]:
    """The types of the axes, those of an image together where its first one is."""
    types: list[Representation] = []
    pixels = tuple(size for axis, size in axes if axis.kind == "pixels")
    for axis, size in axes:
        if axis.kind == "channels":
            types.append(rho(axis.blocks))
        elif axis.kind == "free":
            types.append(size * trivial(group))
        elif axis.kind == "points":
            types.append(direct_sum(grid(group, each) if each else trivial(group) for each in axis.grids))
        elif axis.index == 0:
            types.append(grid(group, pixels))
    return types


def _is_invariant(source: Source, part: Part | None) -> bool:
    """Whether the group keeps a constant: it is its own projection, or the same everywhere where the group acts."""
    value = torch.nan_to_num(source.tensor.double(), posinf=1e6, neginf=-1e6)
    if part is not None:
        value = value.reshape(part.projector.weight_shape)
        return bool((part.projector(value) - value).abs().max() <= _CONSTANT * value.abs().max())
    acted = [dim for dim, axis in enumerate(source.axes) if axis.settled().kind not in ("free", "open")]
    spread = value.amax(acted) - value.amin(acted) if acted else torch.zeros(())
    return bool(spread.max() <= _CONSTANT * value.abs().max())
