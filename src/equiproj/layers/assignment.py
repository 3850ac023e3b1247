"""Giving weights other values, through their parametrisations, all or none."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from equiproj.layers.sharding import write
from equiproj.layers.typed_parameter import TypedParameter


def assign(parameter: TypedParameter, value: Tensor) -> None:
    """Give a weight or bias another value, of either shape that it is read in; call it without gradients.

    Of a sharded weight each process keeps its shard; all of them have to call this, with the same value.

    Raises:
        ValueError: its parametrisation cannot hold the value.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> layer = nn.Linear(4, 4)
        >>> parameter = typed_parameters(layer, CyclicGroup(4))[0]
        >>> with torch.no_grad():
        ...     assign(parameter, torch.zeros(4, 4))
        >>> layer.weight.abs().max().item()
        0.0
    """
    layer, attribute = parameter.layer, parameter.attribute
    if not parametrize.is_parametrized(layer, attribute):
        held = getattr(layer, attribute)
        write(held, value.reshape(held.shape))
        return
    steps = list(_steps(parameter))
    if not all(hasattr(step, "right_inverse") for step in steps):
        raise ValueError(f"{parameter.name}: its parametrisation has no right_inverse to take the projection")
    value = value.reshape(parameter.read_as_held().shape)
    parts: Any = value
    for step in reversed(steps):
        parts = cast(Any, step).right_inverse(parts)
    # not by setattr, which would put whole tensors in the place of sharded ones
    for held, part in zip(_originals(parameter), [parts] if isinstance(parts, Tensor) else parts, strict=True):
        write(held, part)
    tolerance = 1e3 * torch.finfo(value.dtype).eps * value.abs().max()
    if not torch.allclose(parameter.read_as_held(), value, rtol=0, atol=float(tolerance)):
        raise ValueError(f"{parameter.name}: its parametrisation cannot represent the projected value")


def assign_all(values: Sequence[tuple[TypedParameter, Tensor]]) -> None:
    """`assign` many: all of them, or none.

    Raises:
        ValueError: as `assign`; every weight is then what it was.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> layer = nn.Linear(4, 4)
        >>> with torch.no_grad():
        ...     assign_all([(entry, torch.zeros(4, 4)) for entry in typed_parameters(layer, CyclicGroup(4))])
        >>> layer.weight.abs().max().item()
        0.0
    """

    def may_fail(entry: TypedParameter) -> bool:
        return parametrize.is_parametrized(entry.layer, entry.attribute)

    # what may fail goes first, so that only that has to be put back
    restore = [_memory(entry) for entry, _ in values if may_fail(entry)]
    try:
        for entry, value in sorted(values, key=lambda pair: not may_fail(pair[0])):
            assign(entry, value)
    except ValueError:
        for put_back in restore:
            put_back()
        raise


def _memory(parameter: TypedParameter) -> Callable[[], None]:
    """Remember what a parametrisation computes its weight from; the function that is returned puts it back."""
    parts = list(parameter.layer.get_submodule(f"parametrizations.{parameter.attribute}").modules())
    parameters = [(held, held.clone()) for part in parts for held in part.parameters(recurse=False)]
    buffers = [(part, {name: held.clone() for name, held in part.named_buffers(recurse=False)}) for part in parts]

    def put_back() -> None:
        for held, value in parameters:
            held.copy_(value)
        for part, values in buffers:
            part._buffers.update(values)

    return put_back


def spectrally_normed(parameter: TypedParameter) -> Tensor | None:
    """W of a layer that uses W / σ₁(W), in place of which a multiple will do; None of another one.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> spectrally_normed(typed_parameters(nn.Linear(4, 4), CyclicGroup(4))[0]) is None
        True
    """
    if not parametrize.is_parametrized(parameter.layer, parameter.attribute):
        return None
    steps, (held, *others) = list(_steps(parameter)), parameter.held()
    return None if others or [type(step) for step in steps] != [_SpectralNorm] else held


def _steps(parameter: TypedParameter) -> Iterator[nn.Module]:
    return parameter.layer.get_submodule(f"parametrizations.{parameter.attribute}").children()


def _originals(parameter: TypedParameter) -> list[Tensor]:
    """What the first step of a parametrisation is given, in its order."""
    held = cast(
        parametrize.ParametrizationList, parameter.layer.get_submodule(f"parametrizations.{parameter.attribute}")
    )
    return [held.original] if held.is_tensor else [getattr(held, f"original{i}") for i in range(held.ntensors)]
