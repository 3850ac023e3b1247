"""A forward pass of a whole network, followed from the types of its input to those of its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from equiproj.groups import Group
from equiproj.layers.declaration import FeatureType, fit, known_layers
from equiproj.layers.flow.axes import FREE, Axes, Axis, Feature
from equiproj.layers.flow.call import tensors_in
from equiproj.layers.flow.examples import examples
from equiproj.layers.flow.run import run
from equiproj.layers.flow.slots import TypeConflictError, unify
from equiproj.layers.flow.state import Event, State


@dataclass(frozen=True)
class SideTypes:
    """Types at both ends of a network, and between."""

    input_type: FeatureType
    hidden_type: FeatureType
    output_type: FeatureType


def followed(
    module: nn.Module, group: Group, sides: SideTypes, example: Any, *, record: bool = False
) -> tuple[State, Any]:
    """Run a network on an example whose channels have the input's type.

    Args:
        module: the network.
        group: the group.
        sides: types of the ends of the network.
        example: a tensor, a tuple of positional arguments, or a dictionary of named ones.
        record: keep all events too.

    Returns:
        What is known at the end, and the output.

    Raises:
        ValueError: the channels of the input or of a layer do not fit, or types conflict.
    """
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
        outputs = list(_outputs(output))
        state.events += [_as_event(state, module, sides, tensor) for tensor in outputs]
        further = [tensor for tensor in tensors_in(output) if not any(tensor is each for each in outputs)]
        state.events += [event for tensor in further if (event := _further_event(state, tensor)) is not None]
    return state, output


def followed_on_a_guess(module: nn.Module, group: Group, sides: SideTypes) -> tuple[State, Any]:
    """As `followed`, on the first input that the network takes of those that its layers suggest.

    Raises:
        ValueError: no layers, or it takes none of them; or as `followed`.
    """
    problem: Exception | None = None
    if not any(kind.maps for _, _, kind in known_layers(module)):
        raise ValueError(nothing_found(module, ()))
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"parameter {name!r}: expected one with a shape, found a lazy one; run a batch before")
    for batch in examples(module):
        try:
            return followed(module, group, sides, batch)
        except TypeConflictError:
            raise
        except Exception as error:  # whatever a network says of an input that was guessed
            problem = error
    complex_numbers = (f"; {name!r} holds {p.dtype}" for name, p in module.named_parameters() if p.is_complex())
    raise ValueError(
        f"expected example=, an input of {type(module).__name__}, or layers=: it takes no input of the shapes of its "
        f"layers ({type(problem).__name__}: {problem}){next(complex_numbers, '')}"
    )


def set_output(state: State, sides: SideTypes, output: Any) -> None:
    """Give the channels of the output their type, where they could be followed that far.

    Raises:
        TypeConflictError: the network gives them another one.
    """
    for tensor in _outputs(output):
        feature = state.feature(tensor)
        position = feature.channels() if feature is not None and not feature.reason else None
        if feature is not None and position is not None:
            rho = fit("output", "output", feature.shape[position], sides.output_type, state.group)
            unify(feature.axes[position].settled().blocks, state.known(rho, "output_type"), "the output of the network")


def _as_event(state: State, module: nn.Module, sides: SideTypes, tensor: Tensor) -> Event:
    """An output; where types were not followed to, its axes are those of an input of the output type."""
    feature = state.feature(tensor)
    if feature is None or feature.reason:
        sides = SideTypes(sides.output_type, sides.hidden_type, sides.output_type)
        feature = Feature(_input_axes(state, module, sides, tensor), tuple(tensor.shape))
    return Event("the output", None, "", (), {}, (), tensor.clone(), feature)


def _further_event(state: State, tensor: Tensor) -> Event | None:
    """An output beside the first whose type is not known, as if it were invariant: if it is, all is well."""
    feature = state.feature(tensor)
    reason = "nobody has seen where it comes from" if feature is None else feature.reason
    if not reason or reason.startswith("not all results"):  # what a layer returns beside its features
        return None
    where = f"a further output, whose type is not known ({reason})"
    shape = tuple(tensor.shape)
    return Event(where, None, "", (), {}, (), tensor.clone(), Feature((FREE,) * tensor.ndim, shape))


def _input_axes(state: State, module: nn.Module, sides: SideTypes, tensor: Tensor) -> Axes:
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return (FREE,) * tensor.ndim
    position = 1 if tensor.ndim in (4, 5) or is_signal(module, tensor) else tensor.ndim - 1
    rho = fit("input", "input", tensor.shape[position], sides.input_type, state.group)
    channels = Axis("channels", state.known(rho, "the input"))
    if position == 1 and tensor.ndim > 2:
        state.n_pixel_axes = tensor.ndim - 2
        return (FREE, channels, *(Axis("pixels", index=index) for index in range(tensor.ndim - 2)))
    return (*(FREE,) * position, channels)


def is_signal(module: nn.Module, tensor: Tensor) -> bool:
    """Whether an input (n, c, length) has its channels before its pixels, because a convolution of the module takes it.

    Examples:
        >>> is_signal(nn.Conv1d(3, 1, 1), Tensor(2, 3, 9)), is_signal(nn.Linear(9, 1), Tensor(2, 3, 9))
        (True, False)
    """
    return tensor.ndim == 3 and any(
        isinstance(layer, nn.Conv1d) and layer.in_channels == tensor.shape[1] for layer in module.modules()
    )


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


def nothing_found(module: nn.Module, reasons: tuple[str, ...]) -> str:
    """The message for a network without layers that features reach, and for what reasons."""
    kind = type(module).__name__
    if reasons:
        return f"expected {kind} to have layers that features reach, found none: {reasons[0]}"
    return f"expected a module with linear or convolution layers, found none in {kind}"
