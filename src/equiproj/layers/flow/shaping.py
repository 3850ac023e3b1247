"""Rules for what moves axes, cuts them, or puts tensors together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from equiproj.layers.flow.axes import FREE, Axis, Feature, cut_points, points_of
from equiproj.layers.flow.call import Call, Rule
from equiproj.layers.flow.reshaping import NoRuleError, reshaped
from equiproj.layers.flow.slots import Blocks, TypeConflictError, resolved, unify
from equiproj.layers.flow.state import State

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)


def _reshape(call: Call) -> None:
    feature = call.operand(0, "input")
    axes = reshaped(call.state, feature, tuple(call.out.shape), call.where)
    call.state.keep(call.out, Feature(axes, tuple(call.out.shape), source=feature.source))


def _permute(call: Call) -> None:
    """The order of axes is read off a tensor whose sizes are all different."""
    feature = call.operand(0, "input")
    sizes = _PRIMES[: len(feature.shape)]
    marked = torch.empty(sizes, device="meta")
    moved = call.function(marked, *call.args[1:], **{k: v for k, v in call.kwargs.items() if k != "input"})
    axes = tuple(FREE if size == 1 else feature.axes[sizes.index(size)] for size in moved.shape)
    call.state.keep(call.out, Feature(axes, tuple(call.out.shape), source=feature.source))


def _expand(call: Call) -> None:
    feature = call.operand(0, "input")
    n_new = call.out.ndim - len(feature.shape)
    axes = [FREE] * n_new
    for axis, before, after in zip(feature.axes, feature.shape, call.out.shape[n_new:], strict=True):
        if before != after and axis.settled().kind == "channels":
            unify(axis.settled().blocks, call.state.invariant(1, call.where), call.where)
            axis = Axis("channels", call.state.invariant(after, call.where))
        keeps = before == after or axis.settled().kind in ("channels", "pixels")
        axes.append(axis if keeps else FREE)
    call.state.keep(call.out, Feature(tuple(axes), tuple(call.out.shape), source=feature.source))


def part_of(state: State, axis: Axis, size: int, start: int, n_kept: int, where: str) -> Axis:
    """A run of entries of an axis.

    Raises:
        TypeConflictError: it cuts an image, or a field of channels.
    """
    axis = axis.settled()
    if n_kept == size or axis.kind in ("free", "open"):
        return axis
    if axis.kind == "channels":
        return Axis("channels", channels_cut(axis.blocks, start, n_kept, where))
    if axis.kind == "points":
        grids = cut_points(axis.grids, start, n_kept, where)
        return Axis("points", grids=grids) if any(grids) else FREE
    if 2 * start + n_kept == size:
        return axis
    raise TypeConflictError(f"{where}: cuts an image off its centre, from {start} to {start + n_kept} of {size}")


def channels_cut(blocks: Blocks, start: int, n_kept: int, where: str) -> Blocks:
    """Some neighbouring channels.

    Raises:
        TypeConflictError: a field of them is cut.
    """
    for border in (start, start + n_kept):
        position = 0
        for block in resolved(blocks):
            n_points = math.prod(block.grid)
            if position < border < position + block.size:
                if (border - position) % n_points:
                    raise TypeConflictError(f"{where}: cuts the pixels {block.grid} of a channel ({block.slot.origin})")
                block.slot.split((border - position) // n_points, where)
            position += block.size
    kept, position = [], 0
    for block in resolved(blocks):
        if start <= position < start + n_kept:
            kept.append(block)
        position += block.size
    return tuple(kept)


def _pieces(call: Call) -> None:
    """`chunk` and `split`: each piece begins where the one before ends."""
    feature = call.operand(0, "input")
    dim = int(call.value(2, "dim", 0)) % len(feature.shape)
    start = 0
    for piece in call.out:
        size = piece.shape[dim]
        axes = list(feature.axes)
        axes[dim] = part_of(call.state, axes[dim], feature.shape[dim], start, size, call.where)
        call.result(tuple(axes), piece)
        start += size


def _unbind(call: Call) -> None:
    feature = call.operand(0, "input")
    dim = int(call.value(1, "dim", 0)) % len(feature.shape)
    for position, piece in enumerate(call.out):
        _one_of(call, feature, dim, position)
        call.result((*feature.axes[:dim], *feature.axes[dim + 1 :]), piece)


def _one_of(call: Call, feature: Feature, dim: int, position: int) -> None:
    """A single entry of an axis is left without it, which nothing may move."""
    axis = part_of(call.state, feature.axes[dim], feature.shape[dim], position % feature.shape[dim], 1, call.where)
    if axis.kind == "channels":
        unify(axis.blocks, call.state.invariant(1, call.where), call.where)
    if axis.kind == "pixels" and feature.shape[dim] > 1:
        raise TypeConflictError(f"{call.where}: picks one pixel")


def _indexed(call: Call) -> None:
    feature = call.operand(0)
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    axes: list[Axis] = []
    dim = 0
    for each in _without_ellipsis(index, len(feature.shape)):
        if each is None:
            axes.append(FREE)
            continue
        size = feature.shape[dim]
        if isinstance(each, int) or (isinstance(each, Tensor) and each.ndim == 0 and each.dtype != torch.bool):
            _one_of(call, feature, dim, int(each))
        elif isinstance(each, slice):
            axes.append(_sliced(call, feature.axes[dim].settled(), size, each))
        elif (
            feature.axes[dim].settled().kind == "free"
            and isinstance(each, Tensor | list)
            and call.out.ndim == len(feature.shape)
        ):
            axes.append(FREE)
        else:
            raise NoRuleError("picks entries by a tensor")
        dim += 1
    call.state.keep(call.out, Feature((*axes, *feature.axes[dim:]), tuple(call.out.shape), source=feature.source))


def _sliced(call: Call, axis: Axis, size: int, taken: slice) -> Axis:
    """A run of entries, or every other one of pixels, from one side as far as from the other."""
    start, stop, step = taken.indices(size)
    if step == 1:
        return part_of(call.state, axis, size, start, max(stop - start, 0), call.where)
    kept = range(start, stop, step)
    if axis.kind == "free" or (axis.kind == "pixels" and len(kept) > 0 and kept[0] + kept[-1] == size - 1):
        return axis
    raise NoRuleError("takes every other entry")


def _padded(call: Call) -> None:
    """Zeros are of any type: padded channels are new ones."""
    feature = call.operand(0, "input")
    widths = list(call.value(1, "pad"))
    axes = [axis.settled() for axis in feature.axes]
    zeros = call.value(2, "mode", "constant") == "constant" and not call.value(3, "value")
    for back, (before, after) in enumerate(zip(widths[::2], widths[1::2], strict=True), start=1):
        if (before, after) == (0, 0) or axes[-back].kind in ("free", "pixels"):
            continue
        if axes[-back].kind != "channels":
            raise NoRuleError(f"pads an axis of {axes[-back].kind}")
        if not zeros or min(before, after) < 0:
            raise NoRuleError("pads channels by other than zeros")
        new = [call.state.new_channels(n, call.where).blocks if n else () for n in (before, after)]
        axes[-back] = Axis("channels", (*new[0], *axes[-back].blocks, *new[1]))
    call.result(tuple(axes))


def _without_ellipsis(index: Sequence[Any], n_axes: int) -> list[Any]:
    known = sum(each is not None and each is not Ellipsis for each in index)
    written: list[Any] = []
    for each in index:
        written += [slice(None)] * (n_axes - known) if each is Ellipsis else [each]
    return written


def _joined(call: Call) -> None:
    given = call.args[0] if call.args else call.kwargs["tensors"]
    tensors = [tensor for tensor in given if tensor.shape != (0,)]  # such a one is a cache that is empty yet
    operands = [call.state.operand(tensor, call.where) for tensor in tensors]
    if call.name == "stack":
        dim = int(call.value(1, "dim", 0)) % call.out.ndim
        axes = list(call.state.together(operands, call.where))
        axes.insert(dim, FREE)
        call.result(tuple(axes))
        return
    dim = int(call.value(1, "dim", call.kwargs.get("axis", 0))) % call.out.ndim
    others = [_without(feature, dim) for feature in operands]
    axes = list(call.state.together(others, call.where)) if call.out.ndim > 1 else []
    axes.insert(dim, _concatenated(call, [(f.axes[dim].settled(), f.shape[dim]) for f in operands]))
    call.result(tuple(axes))


def _without(feature: Feature, dim: int) -> Feature:
    axes, shape = feature.axes, feature.shape
    return Feature((*axes[:dim], *axes[dim + 1 :]), (*shape[:dim], *shape[dim + 1 :]))


def _concatenated(call: Call, pieces: list[tuple[Axis, int]]) -> Axis:
    kinds = {axis.kind for axis, _ in pieces}
    if "channels" in kinds:
        return Axis("channels", tuple(b for axis, n in pieces for b in call.state.as_channels(axis, n, call.where)))
    if "pixels" in kinds:
        raise NoRuleError("joins images along an axis of pixels")
    for axis, _ in pieces:
        if axis.kind == "open" and axis.unknown is not None:
            axis.unknown.role = FREE
    if kinds <= {"free", "open"}:
        return FREE
    return Axis("points", grids=tuple(grid for axis, size in pieces for grid in points_of(axis, size)))


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RESHAPING = "flatten reshape view unflatten squeeze view_as reshape_as"
_MOVING = "permute transpose swapaxes swapdims movedim moveaxis t T mT unsqueeze"
_REPEATING = "expand expand_as broadcast_to"
VIEWS = (*_RESHAPING.split(), *_MOVING.split(), *_REPEATING.split(), "getitem")
RULES: dict[str, Rule] = {
    **_named(_RESHAPING, _reshape),
    **_named(_MOVING, _permute),
    **_named(_REPEATING, _expand),
    **_named("chunk split tensor_split split_with_sizes", _pieces),
    **_named("unbind", _unbind),
    **_named("pad", _padded),
    **_named("getitem", _indexed),
    **_named("cat concat concatenate stack", _joined),
}
