"""Whether a network can be equivariant at all, and where it breaks if it cannot."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equiproj.groups import FiniteGroup, Group, given_group
from equiproj.groups.group import Element
from equiproj.layers import Coverage, FeatureType, LayerTypes, ParameterTypes, coverage, typed_parameters
from equiproj.layers.flow import Event, SideTypes, TypeConflictError, is_signal, repeated, watched
from equiproj.layers.flow.axes import Feature
from equiproj.layers.flow.leaves import TypeOf
from equiproj.regularisers.batches import BatchType, is_moved, move_axis, move_tensor
from equiproj.regularisers.defect import tried_elements
from equiproj.regularisers.hard import project_
from equiproj.regularisers.windows import why_windows_are_uneven
from equiproj.representations import Representation, direct_sum, grid, trivial
from equiproj.representations.action import move_pixels

_TOLERANCE = 1e-8  # of a defect in float64


@dataclass(frozen=True)
class CheckedNetwork:
    """What `check` found.

    Args:
        defect: largest relative defect of the projected copy on the data; NaN where the types conflict, or where an
            output holds NaN or infinity.
        broken: the first layer or function whose output does not move as it should, empty if there is none.
        reason: why, as far as that is known.
        defect_there: relative defect of its output.
        coverage: what was projected; None where the types conflict.

    Examples:
        >>> CheckedNetwork(0.0, "", "", 0.0, None).is_equivariant
        True
    """

    defect: float
    broken: str
    reason: str
    defect_there: float
    coverage: Coverage | None

    @property
    def is_equivariant(self) -> bool:
        """Whether the projected copy commutes with the group on the data."""
        return not self.broken and self.defect <= _TOLERANCE

    def __str__(self) -> str:
        covered = "" if self.coverage is None else f"\ncovered: {self.coverage}"
        if self.is_equivariant:
            return f"equivariant once projected: defect {self.defect:.2g}{covered}"
        if self.coverage is None:
            return f"types conflict at {self.broken}: {self.reason}"
        there = f"first at {self.broken} (defect {self.defect_there:.2g}): {self.reason}"
        return f"not equivariant though projected: defect {self.defect:.2g}\n{there}{covered}"


@torch.no_grad()
def check(
    network: nn.Module,
    batch: Any,
    group: Group | str,
    *,
    input_type: FeatureType = "trivial",
    hidden_type: FeatureType = "regular",
    output_type: FeatureType = "trivial",
    layers: LayerTypes | None = None,
    parameters: ParameterTypes | None = None,
    skip: str | tuple[str, ...] = (),
) -> CheckedNetwork:
    """Project a copy of the network, measure it on data, and name the first layer or function that breaks.

    An equivariant kernel does not make an equivariant network: strides that leave pixels over at one side, output
    padding, normalisations whose factors are not projected, wrong types or functions between the layers do not commute
    with the group. The copy runs in float64 on the batch and on the moved batch, and whatever comes out of each layer
    and function is compared with what came out before, moved by the type that data flow gives it. Of several outputs
    the first, and those that a dictionary holds, are of the output type where data flow says nothing; others must then
    stay as they are.

    Args:
        network: any module; it is not changed.
        batch: images, volumes, features or sequences, or a tuple or dictionary of what the network is called with.
        group: the group or its name; its generators are tried, and elements drawn from a continuous one.
        input_type: as for `typed_parameters`.
        hidden_type: likewise.
        output_type: likewise.
        layers: likewise; types that are declared are compared with those of data flow.
        parameters: likewise.
        skip: likewise.

    Raises:
        ValueError: no layers, channels that do not fit their types, or a batch of numbers that no element changes, as
            an empty one, or zeros: nothing would be seen to break.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        >>> print(str(check(network, torch.randn(2, 1, 9, 9), CyclicGroup(4))).split(":")[0])
        equivariant once projected
        >>> found = check(network, torch.randn(2, 1, 8, 8), CyclicGroup(4))
        >>> found.broken, found.reason
        ("layer '0'", 'stride 2 with kernel 3 and padding 1 on 8 pixels leaves 1 over at one side')
    """
    group = given_group(group)
    copied, sides = copy.deepcopy(network).double(), SideTypes(input_type, hidden_type, output_type)
    example = _float64(batch)
    types: dict[str, Any] = {"layers": layers, "parameters": parameters, "skip": skip}
    if layers is None:
        types |= {"input_type": input_type, "hidden_type": hidden_type, "output_type": output_type}
        types["example"] = _float64(batch)
    try:
        project_(copied, group, **types)
        inference, events, rho = watched(copied, group, sides, _float64(batch))
    except TypeConflictError as error:
        where, _, reason = str(error).partition(": ")
        return CheckedNetwork(float("nan"), where, reason, float("nan"), None)
    covered = coverage(copied, typed_parameters(copied, group, include_bias=True, **types), skip)
    undefined = _first_without_numbers(events)
    if undefined is not None:
        reason = "what it computes holds NaN or infinity"
        return CheckedNetwork(float("nan"), undefined.where, reason, float("nan"), covered)
    worst, first, says_nothing = 0.0, None, _holds_numbers_alone(example)
    for g in _elements(group):
        turned = _moved(example, g, group, input_type, copied)
        says_nothing = says_nothing and not is_moved(example, turned)
        moved = repeated(copied, group, sides, turned)
        if len(moved) != len(events):
            reason = f"{len(events)} calls became {len(moved)} on the moved batch"
            return CheckedNetwork(float("inf"), "the network", reason, float("inf"), covered)
        found = [_relative(a, b, g, group, rho) for a, b in zip(events, moved, strict=True)]
        bad = next((k for k, defect in enumerate(found) if defect is not None and defect > _TOLERANCE), None)
        at_the_end = zip(events, found, strict=True)
        worst = max(worst, *(defect or 0.0 for event, defect in at_the_end if event.where == "the output"), 0.0)
        if bad is not None and (first is None or bad < first[0]):
            first = (bad, found[bad] or 0.0)
    if says_nothing:
        raise ValueError(
            f"expected a batch that {group} changes, found one that it leaves as it is: draw numbers at random, and "
            "for features give input_type="
        )
    if first is None:
        return CheckedNetwork(worst, "", "", 0.0, covered)
    event = events[first[0]]
    unknown = next((each for each in events if each.feature.reason), None)
    if event.where == "the output" and unknown is not None:  # somewhere behind what nobody follows
        return CheckedNetwork(worst, unknown.where, unknown.feature.reason, first[1], covered)
    return CheckedNetwork(worst, event.where, _why(event, covered, layers, inference.types), first[1], covered)


def _first_without_numbers(events: Sequence[Event]) -> Event | None:
    """Where NaN comes from, or where infinity comes out; None where every output is finite, as behind a mask."""
    outputs = [event for event in events if event.where == "the output" and not event.value.isfinite().all()]
    return next((event for event in events if event.value.isnan().any()), outputs[0]) if outputs else None


def _why(
    event: Event,
    covered: Coverage,
    layers: LayerTypes | None,
    types: Mapping[str, tuple[Representation, Representation]],
) -> str:
    if event.layer is not None and layers is not None and event.name in layers:
        declared, flowing = layers[event.name], types.get(event.name)
        if flowing is not None and tuple(declared) != flowing:
            return f"declared {declared[0]} to {declared[1]}, data flow says {flowing[0]} to {flowing[1]}"
    prefix = f"{event.name}." if event.name else ""
    left_out = [
        name
        for name in (*covered.names, *covered.missing_vectors, *covered.skipped)
        if event.layer is not None and name.startswith(prefix)
    ]
    if left_out:
        return f"not projected: {', '.join(left_out)}"
    return why_windows_are_uneven(event) or "what it computes does not commute with the group"


def _relative(event: Event, moved: Event, g: Element, group: Group, rho: TypeOf) -> float | None:
    """Defect of what came out of one call, None where its type is not known."""
    if event.feature.reason or event.value.numel() == 0 or not event.value.is_floating_point():
        return None
    if event.value.shape != moved.value.shape and not any(a.settled().kind == "pixels" for a in event.feature.axes):
        return float("inf")
    expected = _move_feature(event.value, event.feature, g, group, rho)
    if expected.shape != moved.value.shape:
        return float("inf")
    # what is infinite or NaN on both sides, as behind a mask, is the same
    same = (moved.value == expected) | (moved.value.isnan() & expected.isnan())
    defect = torch.linalg.vector_norm((moved.value - expected).masked_fill(same, 0))
    size = torch.linalg.vector_norm(expected.nan_to_num(0, 0, 0))
    if not defect.isfinite():
        return float("inf")
    return float(defect / size) if size > 0 else float(defect)


def _move_feature(value: Tensor, feature: Feature, g: Element, group: Group, rho: TypeOf) -> Tensor:
    """A tensor moved as its axes say."""
    pixels = []
    for dim, axis in enumerate(each.settled() for each in feature.axes):
        if axis.kind == "channels":
            value = move_axis(value, dim, g, rho(axis.blocks))
        elif axis.kind == "points":
            on_points = direct_sum(grid(group, each) if each else trivial(group) for each in axis.grids)
            value = move_axis(value, dim, g, on_points)
        elif axis.kind == "pixels":
            pixels.append(dim)
    if not pixels:
        return value
    last = list(range(value.ndim - len(pixels), value.ndim))
    return move_pixels(value.movedim(pixels, last), g, group, len(pixels)).movedim(last, pixels)


def _elements(group: Group) -> list[Element]:
    return list(group.generators) if isinstance(group, FiniteGroup) else list(tried_elements(group, None, 4, 0))


def _float64(batch: Any) -> Any:
    """A copy, because a network may write into what it is given."""
    if isinstance(batch, Tensor):
        return batch.double().clone() if batch.is_floating_point() else batch.clone()
    if isinstance(batch, Mapping):
        return {name: _float64(value) for name, value in batch.items()}
    return tuple(_float64(value) for value in batch) if isinstance(batch, tuple) else batch


def _holds_numbers_alone(batch: Any) -> bool:
    """Whether every tensor of a batch holds numbers that may move, and not those of tokens."""
    values = [batch] if isinstance(batch, Tensor) else batch.values() if isinstance(batch, Mapping) else batch
    return all(value.is_floating_point() for value in values if isinstance(value, Tensor))


def _moved(batch: Any, g: Element, group: Group, input_type: FeatureType, network: nn.Module) -> Any:
    """Every tensor of numbers moved by the input type; whole numbers and vectors stay."""
    if isinstance(batch, Tensor):
        if not batch.is_floating_point() or batch.ndim < 2:
            return batch.clone()
        types: BatchType = input_type
        if is_signal(network, batch):
            types = {1: input_type, 2: grid(group, (batch.shape[2],))}
        return move_tensor(batch, g, group, types, "the batch")
    if isinstance(batch, Mapping):
        return {name: _moved(value, g, group, input_type, network) for name, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_moved(value, g, group, input_type, network) for value in batch)
    return batch
