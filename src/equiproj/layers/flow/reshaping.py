"""How axes follow a reshape: merged, split, or as they were."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature
from equiproj.layers.flow.slots import Block, Blocks, Slot, resolved, unify
from equiproj.layers.flow.state import State


class NoRuleError(Exception):
    """Nobody has described what this does to types."""


def matched_axes(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Groups of neighbouring axes that become each other, in order; equal sizes become each other first.

    Examples:
        >>> list(matched_axes((2, 8, 3, 3), (2, 72)))
        [([0], [0]), ([1, 2, 3], [1])]
        >>> list(matched_axes((2, 6), (2, 1, 2, 3)))
        [([0], [0]), ([], [1]), ([1], [2, 3])]
    """
    i = j = 0
    while i < len(before) or j < len(after):
        if i < len(before) and j < len(after) and before[i] == after[j]:
            yield [i], [j]
            i, j = i + 1, j + 1
        elif j < len(after) and after[j] == 1:
            yield [], [j]
            j += 1
        elif i < len(before) and before[i] == 1:
            yield [i], []
            i += 1
        else:
            olds, news = [i], [j]
            i, j = i + 1, j + 1
            while (n_old := math.prod(before[k] for k in olds)) != (n_new := math.prod(after[k] for k in news)):
                if n_old < n_new:
                    olds.append(i)
                    i += 1
                else:
                    news.append(j)
                    j += 1
            yield olds, news


def reshaped(state: State, feature: Feature, shape: Sequence[int], where: str) -> Axes:
    """The axes of the same numbers in another shape.

    Raises:
        NoRuleError: the group acts on the new axes in no way that is described here.
        TypeConflictError: channels are cut where their type does not allow it.
    """
    axes: list[Axis] = [FREE] * len(shape)
    for olds, news in matched_axes(feature.shape, shape):
        old = [feature.axes[i].settled() for i in olds if feature.shape[i] > 1 or len(olds) == 1]
        sizes = [feature.shape[i] for i in olds if feature.shape[i] > 1 or len(olds) == 1]
        new = [j for j in news if shape[j] > 1 or len(news) == 1]
        if not old or not new:
            continue
        found = _regrouped(state, old, sizes, [shape[j] for j in new], where)
        for j, axis in zip(new, found, strict=True):
            axes[j] = axis
    return tuple(axes)


def _regrouped(state: State, old: list[Axis], sizes: list[int], new_sizes: list[int], where: str) -> list[Axis]:
    kinds = [axis.kind for axis in old]
    if len(old) == len(new_sizes) == 1:
        return old
    if all(kind == "free" for kind in kinds):
        return [FREE] * len(new_sizes)
    if len(new_sizes) == 1:
        return [_merged(old, sizes)]
    if len(old) == 1 and kinds == ["channels"]:
        *repeats, n_channels = new_sizes
        slot = Slot(n_channels, where)
        unify(old[0].blocks, (Block(slot),) * math.prod(repeats), where)
        return [*[FREE] * len(repeats), Axis("channels", (Block(slot),))]
    if len(old) == 1 and kinds == ["points"]:
        return _unflattened(old[0], new_sizes)
    raise NoRuleError(f"reshapes axes of {', '.join(kinds)} of {sizes} to {new_sizes}")


def _merged(old: list[Axis], sizes: list[int]) -> Axis:
    kinds = [axis.kind for axis in old]
    rest = set(kinds[1:])
    if set(kinds) == {"pixels"}:
        return Axis("points", grids=(tuple(sizes),))
    if kinds[0] == "channels" and rest in ({"pixels"}, {"points"}):
        last = old[-1]
        grids = last.grids if last.kind == "points" else (tuple(sizes[1:]),)
        blocks = resolved(old[0].blocks)
        if len(grids) == 1 and not any(block.grid for block in blocks):
            return Axis("channels", tuple(Block(block.slot, grids[0]) for block in blocks))
    if kinds[-1] == "channels" and set(kinds[:-1]) == {"free"}:
        return Axis("channels", _repeated(old[-1].blocks, math.prod(sizes[:-1])))
    if kinds[-1] == "points" and set(kinds[:-1]) == {"free"}:
        return Axis("points", grids=old[-1].grids * math.prod(sizes[:-1]))
    raise NoRuleError(f"merges axes of {', '.join(kinds)}")


def _repeated(blocks: Blocks, count: int) -> Blocks:
    return tuple(blocks) * count


def _unflattened(axis: Axis, sizes: list[int]) -> list[Axis]:
    if axis.grids == (tuple(sizes),):
        return [Axis("pixels", index=index) for index in range(len(sizes))]
    *repeats, n_points = sizes
    count = math.prod(repeats)
    share = axis.grids[: len(axis.grids) // count]
    if share * count == axis.grids and sum(math.prod(grid) for grid in share) == n_points:
        return [*[FREE] * len(repeats), Axis("points", grids=share)]
    raise NoRuleError(f"splits images {axis.grids[:2]} into {sizes}")
