"""Parameters outside of layers, and constants, that met features: the types of their axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import reduce

import torch
from torch import nn

from equiproj.groups import Group
from equiproj.layers.declaration import MisfitError
from equiproj.layers.flow.axes import Axis, Source
from equiproj.layers.flow.leaves import TypeOf
from equiproj.layers.flow.slots import TypeConflictError
from equiproj.layers.flow.state import State
from equiproj.layers.kinds import Part, bias_of
from equiproj.projections import ConvProjector, LinearProjector, ScaleProjector
from equiproj.representations import Representation, direct_sum, grid, tensor_product, trivial

_CONSTANT = 1e-5  # relative: rounding of a constant that is computed


def other_parameters(
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
