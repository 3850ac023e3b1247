"""A penalty's value with a gradient that was computed beside it, for all weights at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from equiproj.norms.subgradient import first_order_only
from equiproj.regularisers.packs import WeightPack


class _AttachSlope(torch.autograd.Function):
    """forward: the value; backward: the value's gradient times the slope, cut into weights."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, slope: Tensor, pack: WeightPack, *weights: Tensor) -> Tensor:
        ctx.pack = pack
        ctx.save_for_backward(slope, *weights)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor | None, ...]:
        slope, *weights = ctx.saved_tensors
        parts = ctx.pack.split(grad_value * slope)
        return (
            None,
            None,
            None,
            *(first_order_only(part.to(weight.dtype), weight) for part, weight in zip(parts, weights, strict=True)),
        )


def attach_slope(value: Tensor, slope: Tensor, pack: WeightPack, weights: Sequence[Tensor]) -> Tensor:
    """The value, with the rows `slope` as its derivative in the weights of a pack; differentiable once.

    Args:
        value: scalar, computed outside autograd.
        slope: derivative in the rows of the pack.
        pack: how weights are rows.
        weights: what `pack.read` returned.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> weights = WeightPack(bundle(typed_parameters(layer, CyclicGroup(2), output_type="regular")))
        >>> attach_slope(torch.tensor(5.0), torch.arange(4.0)[None], weights, weights.read()).backward()
        >>> layer.weight.grad
        tensor([[0., 1.],
                [2., 3.]])
    """
    return _AttachSlope.apply(value, slope, pack, *weights)
