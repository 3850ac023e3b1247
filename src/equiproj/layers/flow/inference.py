"""Types of all layers of a network, from one run of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from equiproj.groups import Group
from equiproj.layers.declaration import MisfitError, known_layers
from equiproj.layers.flow.forward_pass import SideTypes, followed, followed_on_a_guess, nothing_found, set_output
from equiproj.layers.flow.leaves import LayerCall, TypeOf
from equiproj.layers.flow.slots import TypeConflictError, type_of
from equiproj.layers.flow.sources import other_parameters
from equiproj.layers.flow.state import Event, State
from equiproj.layers.kinds import Part
from equiproj.representations import Representation


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
    guess = example is None
    state, output = followed_on_a_guess(module, group, sides) if guess else followed(module, group, sides, example)
    return _solved(module, state, output, sides, left_out)


def watched(module: nn.Module, group: Group, sides: SideTypes, example: Any) -> tuple[Inference, list[Event], TypeOf]:
    """As `inferred`, and everything that happened, with what reads the types of channels.

    Raises:
        ValueError: as `inferred`.
    """
    state, output = followed(module, group, sides, example, record=True)
    inference = _solved(module, state, output, sides, lambda name: False)
    return inference, state.events or [], partial(type_of, group=group, hidden_type=sides.hidden_type)


def repeated(module: nn.Module, group: Group, sides: SideTypes, example: Any) -> list[Event]:
    """What happens on another batch; no types are asked for."""
    return followed(module, group, sides, example, record=True)[0].events or []


def _solved(
    module: nn.Module, state: State, output: Any, sides: SideTypes, left_out: Callable[[str], bool]
) -> Inference:
    group = state.group
    set_output(state, sides, output)
    rho = partial(type_of, group=group, hidden_type=sides.hidden_type)
    calls = {name: state.calls[name] for name, _, _ in known_layers(module) if name in state.calls}
    types = _types(calls, rho, group, left_out)
    parts = {name: _parts(calls[name], rho, group, left_out) for name in types}
    types = {name: each for name, each in types.items() if parts[name] or not left_out(_of(name, "weight"))}
    _check_entries(state, rho, group)
    parameters = dict(other_parameters(state, rho, group, left_out))
    reasons = dict.fromkeys(feature.reason for _, feature in state.features.values() if feature.reason)
    if not types and not parameters:
        raise ValueError(nothing_found(module, tuple(reasons)))
    return Inference(types, parts, parameters, tuple(r for r in reasons if not r.startswith("not all results")))


def _types(
    calls: Mapping[str, LayerCall], rho: TypeOf, group: Group, left_out: Callable[[str], bool]
) -> dict[str, tuple[Representation, Representation]]:
    """(rho_in, rho_out) of every layer, but for those that do not fit and whose weight nobody asks for.

    Raises:
        MisfitError: channels that their type does not fill, with all layers that meet any such.
    """
    types, misfits = {}, {}
    for name, call in calls.items():
        try:
            types[name] = call.types(rho, group)
        except MisfitError as error:
            if not left_out(_of(name, "weight")):
                misfits[name] = error
    if misfits:
        skip = [f"{name}.*" for name in misfits]
        raise MisfitError(
            f"{next(iter(misfits.values()))}; mix types, as hidden_type='rest*regular + rest*trivial' does, or leave "
            f"out the layers that meet such channels: skip={skip}"
        )
    return types


def _parts(call: LayerCall, rho: TypeOf, group: Group, left_out: Callable[[str], bool]) -> list[Part]:
    """The tensors of a layer that somebody asks for."""
    try:
        return [part for part in call.parts(rho, group) if not left_out(_of(call.name, part.attribute))]
    except ValueError as error:
        if left_out(_of(call.name, "weight")):
            return []
        raise ValueError(f"layer {call.name!r}: {error}") from error


def _of(name: str, attribute: str) -> str:
    return f"{name}.{attribute}".lstrip(".")


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
