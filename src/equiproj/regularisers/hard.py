"""Hard projection: make the weights of a module equivariant in place."""

from typing import Any

import torch
from torch import nn

from equiproj.groups import Group
from equiproj.regularisers.layers import TypedParameter, is_sharded, typed_parameters


@torch.no_grad()
def project_(module: nn.Module, group: Group | None = None, **declaration: Any) -> nn.Module:
    """W ← P(W) and b ← P(b) for every linear and convolution layer, in place; returns the module.

    Parametrised layers are set through the parametrisation. A strictly equivariant network needs, besides, layers
    between that commute with the group: pointwise activations do, normalisation with one parameter per channel and
    not per field does not.

    Args:
        module: any module with linear or convolution layers, not sharded.
        group: the group, where `layers=` does not give representations.
        declaration: `layers`, `input_type`, `hidden_type`, `output_type` as for `typed_parameters`.

    Raises:
        ValueError: layers that do not fit the declaration, sharded weights, or a parametrisation that cannot hold
            the projected value.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> layer = project_(nn.Linear(4, 4), CyclicGroup(4), input_type="regular", output_type="regular")
        >>> bool(torch.allclose(layer.weight[1].roll(-1), layer.weight[0]))
        True
    """
    for parameter in typed_parameters(module, group, include_bias=True, **declaration):
        assign(parameter, parameter.projector(parameter.read()))
    return module


def assign(parameter: TypedParameter, value: torch.Tensor) -> None:
    """Give a weight or bias another value of the shape that `TypedParameter.read` returns; call it without gradients.

    Raises:
        ValueError: the weight is sharded, or its parametrisation cannot hold the value.

    Example:
        >>> from equiproj.groups import CyclicGroup
        >>> layer = nn.Linear(4, 4)
        >>> parameter = typed_parameters(layer, CyclicGroup(4))[0]
        >>> with torch.no_grad():
        ...     assign(parameter, torch.zeros(4, 4))
        >>> layer.weight.abs().max().item()
        0.0
    """
    layer, attribute = parameter.layer, parameter.attribute
    if is_sharded(getattr(layer, attribute)):
        raise ValueError(f"{parameter.name}: expected a whole weight, found a sharded one; change it before sharding")
    value = value.squeeze(-1) if attribute == "bias" else value
    if attribute in layer._parameters:
        getattr(layer, attribute).copy_(value)
        return
    steps = layer.get_submodule(f"parametrizations.{attribute}").children()
    if not all(hasattr(step, "right_inverse") for step in steps):
        raise ValueError(f"{parameter.name}: its parametrisation has no right_inverse to take the projection")
    setattr(layer, attribute, value)
    tolerance = 1e3 * torch.finfo(value.dtype).eps * value.abs().max()
    if not torch.allclose(getattr(layer, attribute), value, rtol=0, atol=float(tolerance)):
        raise ValueError(f"{parameter.name}: its parametrisation cannot represent the projected value")
