"""What is known while a network runs: the axes of each tensor, the types that meet, and what to check at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from equiproj.groups import Group
from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature, OpenAxis, Source
from equiproj.layers.flow.slots import Block, Blocks, Slot, TypeConflictError, resolved, unify
from equiproj.representations import Representation, direct_sum, grid, trivial


@dataclass(frozen=True)
class Event:
    """A call of a layer or function, and one tensor that came out of it.

    Args:
        where: the call in words.
        layer: the layer, None for a function.
        name: of the layer or function.
        args: of the call.
        kwargs: of the call.
        shape: of its first tensor.
        value: a copy of what came out.
        feature: what is known of it.
    """

    where: str
    layer: nn.Module | None
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: tuple[int, ...]
    value: Tensor
    feature: Feature


@dataclass
class State:
    """Everything that is known of a run.

    Args:
        group: the group.
        parameters: owner, attribute and name of every parameter, by identity.
    """

    group: Group
    parameters: dict[int, tuple[nn.Module, str, str]]
    features: dict[int, tuple[Tensor, Feature]] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)
    permuted: list[tuple[str, Blocks]] = field(default_factory=list)  # whose entries are taken one by one
    modules: list[str] = field(default_factory=list)
    told: set[int] = field(default_factory=set)  # of which tensors the present rule has spoken
    n_pixel_axes: int = 2
    events: list[Event] | None = None  # what happened, where somebody wants to know
    calls: dict[str, Any] = field(default_factory=dict)

    def where(self, name: str) -> str:
        """The place in the network, for messages."""
        inside = next((module for module in reversed(self.modules) if module), "")
        return f"{name!r} in {inside!r}" if inside else repr(name)

    def feature(self, tensor: Tensor) -> Feature | None:
        """What is known of a tensor, None for parameters and constants that have not met features."""
        found = self.features.get(id(tensor))
        return found[1] if found is not None else None

    def is_known(self, tensor: Tensor) -> bool:
        """Whether it is a parameter, or something has been said of it."""
        return id(tensor) in self.features or id(tensor) in self.parameters

    def keep(self, tensor: Tensor, feature: Feature) -> None:
        """Remember it; the tensor is kept alive, so that no other one gets its identity."""
        self.features[id(tensor)] = (tensor, feature)
        self.told.add(id(tensor))

    def operand(self, tensor: Tensor, where: str) -> Feature:
        """What is known of a tensor, or a new source."""
        known = self.feature(tensor)
        if known is not None:
            return known
        axes = tuple(FREE if size == 1 else Axis("open", unknown=OpenAxis()) for size in tensor.shape)
        owner, attribute, name = self.parameters.get(id(tensor), (None, "", where))
        source = Source(tensor, axes, owner, attribute, name)
        feature = Feature(axes, tuple(tensor.shape), source=source)
        if tensor.numel() > 1 or owner is not None:
            self.sources[id(tensor)] = source
        self.keep(tensor, feature)
        return feature

    def known(self, rho: Representation, origin: str) -> Blocks:
        """Channels of a type that is known."""
        return (Block(Slot(rho.dim, origin, rho)),)

    def invariant(self, n_channels: int, origin: str) -> Blocks:
        """Channels that nothing moves."""
        return self.known(n_channels * trivial(self.group), origin)

    def is_invariant(self, axis: Axis) -> bool:
        """Whether an axis is of channels that are known to be moved by nothing."""
        blocks = resolved(axis.settled().blocks)
        known = [block.slot.known for block in blocks if not block.grid]
        invariant = [rho is not None and 1 * rho == rho.dim * trivial(self.group) for rho in known]
        return bool(blocks) and len(known) == len(blocks) and all(invariant)

    def new_channels(self, n_channels: int, origin: str) -> Axis:
        """Channels of a type that is not known yet."""
        return Axis("channels", (Block(Slot(n_channels, origin)),))

    def as_channels(self, axis: Axis, size: int, where: str) -> Blocks:
        """An axis as channels: one that nothing moves is invariant, an axis of points a field of images.

        Raises:
            TypeConflictError: an axis of pixels.
        """
        axis = axis.settled()
        if axis.kind == "channels":
            return axis.blocks
        if axis.kind == "points":
            one = trivial(self.group)
            return tuple(Block(Slot(1, where, one), grid) for grid in axis.grids)
        if axis.kind == "pixels":
            raise TypeConflictError(f"{where}: mixes pixels of one axis of an image")
        blocks = self.invariant(size, where)
        if axis.kind == "open" and axis.unknown is not None:
            axis.unknown.role = Axis("channels", blocks)
        return blocks

    def taken_one_by_one(self, feature: Feature, where: str) -> None:
        """Note that something acts on every entry alone, so that the group has to permute the channels."""
        for axis in (each.settled() for each in feature.axes):
            if axis.kind == "channels":
                self.permuted.append((where, axis.blocks))

    def added_to_all(self, feature: Feature, where: str) -> None:
        """Note that something across the last axis is added to all others alike, which keeps channels if permuted."""
        self.taken_one_by_one(Feature(feature.axes[:-1], feature.shape[:-1]), where)

    def meet(self, first: tuple[Axis, int], second: tuple[Axis, int], where: str) -> Axis:
        """The axis of a result on which two operands meet, each with its size, one of them perhaps repeated.

        Raises:
            TypeConflictError: the group acts differently on them.
        """
        (a, size_a), (b, size_b) = (first[0].settled(), first[1]), (second[0].settled(), second[1])
        if size_a != size_b:
            repeated, other = (a, b) if size_a == 1 else (b, a)
            if repeated.kind == "channels":
                unify(repeated.blocks, self.invariant(1, where), where)
            return other
        for one, other in ((a, b), (b, a)):
            if one.kind == "open" and one.unknown is not None:
                if one is not other:
                    one.unknown.role = other
                return other
        if a.kind == b.kind == "channels":
            unify(a.blocks, b.blocks, where)
            return a
        if size_a == 1 or a == b:
            return b if a.kind == "free" else a
        for one, other in ((a, b), (b, a)):
            if one.kind == "channels" and other.kind == "points":  # made by a layer that mixes points
                on_points = direct_sum(grid(self.group, each) if each else trivial(self.group) for each in other.grids)
                unify(one.blocks, self.known(on_points, "the points"), where)
                return other
        for one, other in ((a, b), (b, a)):
            if one.kind == "channels" and other.kind == "free":
                unify(one.blocks, self.invariant(size_a, where), where)
                return one
        raise TypeConflictError(f"{where}: an axis of {a.kind} meets one of {b.kind}, of {size_a} entries")

    def together(self, operands: Sequence[Feature], where: str) -> Axes:
        """The axes of what operands make entry by entry, repeated where they are shorter."""
        axes: list[Axis] = []
        for back in range(1, 1 + max(len(feature.shape) for feature in operands)):
            having = [f for f in operands if len(f.shape) >= back]
            axis, size = having[0].axes[-back], having[0].shape[-back]
            for feature in having[1:]:
                axis = self.meet((axis, size), (feature.axes[-back], feature.shape[-back]), where)
                size = max(size, feature.shape[-back])
            axes.append(axis)
        return tuple(reversed(axes))
