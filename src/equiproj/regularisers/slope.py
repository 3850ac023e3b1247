"""Values of a penalty with gradients that were computed beside them, for all weights of a pack at once."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from equiproj.norms.subgradient import first_order_only
from equiproj.projections.self_adjoint import self_adjoint
from equiproj.regularisers.packs import WeightPack

# Slopes as a function of the weights of a pack, which autograd can follow.
Slopes = Callable[[Sequence[Tensor]], list[Tensor]]


class _AttachSlopes(torch.autograd.Function):
    """forward: the values; backward: their gradients times the slopes, summed and cut into weights."""

    generate_vmap_rule = True

    @staticmethod
    def forward(pack: WeightPack, again: Slopes | None, n_values: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(value.clone() for value in tensors[:n_values])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.pack, ctx.again, ctx.n_values, *tensors = inputs
        ctx.is_each = [value.ndim > 0 for value in output]
        ctx.has_tangents = False
        ctx.save_for_backward(*tensors[ctx.n_values :])
        ctx.save_for_forward(*tensors[ctx.n_values :])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # a second derivative is taken with gradients on, or with tangents
        slopes, weights = _slopes(ctx, followed=torch.is_grad_enabled() or ctx.has_tangents)
        total: Tensor | None = None
        for gradient, slope in zip(gradients, slopes, strict=True):
            part = (ctx.pack.spread(gradient) if gradient.ndim > 0 else gradient) * slope
            total = part if total is None else total + part
        parts = ctx.pack.split(total)
        own = (part.to(weight.dtype) for part, weight in zip(parts, weights, strict=True))
        return (*(None,) * (3 + 2 * ctx.n_values), *own)


class _AttachSlopesWithTangents(_AttachSlopes):
    """In forward mode too, which a compiler of graphs refuses to look into."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        ctx.has_tangents = True
        slopes, weights = _slopes(ctx, followed=True)
        moved = zip(weights, tangents[3 + 2 * ctx.n_values :], strict=True)
        rows = ctx.pack.join([torch.zeros_like(weight) if tangent is None else tangent for weight, tangent in moved])
        once = torch.stack([_NoTangent.apply(weight) for weight in weights]).sum()
        changes = [slope * rows for slope in slopes]
        return tuple(
            (ctx.pack.sums(each) if is_each else each.sum()) + once
            for each, is_each in zip(changes, ctx.is_each, strict=True)
        )


class _NoTangent(torch.autograd.Function):
    """forward: zero; backward: zero; a tangent of it: an error, because torch itself loses the second of two."""

    generate_vmap_rule = True

    @staticmethod
    def forward(source: Tensor) -> Tensor:
        return source.new_zeros((), dtype=torch.float32)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> None:
        return None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        raise RuntimeError(
            "penalties of equiproj are differentiable once in forward mode; take one of two derivatives in reverse"
        )


def _slopes(ctx: Any, *, followed: bool) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The slopes and the weights; where they are followed, a derivative of the slopes is right or an error."""
    slopes, weights = ctx.saved_tensors[: ctx.n_values], ctx.saved_tensors[ctx.n_values :]
    if not followed:
        return slopes, weights
    if ctx.again is not None:
        return ctx.again(weights), weights
    tied = [
        ctx.pack.join([first_order_only(part, weight) for part, weight in zip(ctx.pack.split(s), weights, strict=True)])
        for s in slopes
    ]
    return tied, weights


def attach_slopes(
    values: Sequence[Tensor],
    slopes: Sequence[Tensor],
    pack: WeightPack,
    weights: Sequence[Tensor],
    again: Slopes | None = None,
) -> tuple[Tensor, ...]:
    """The values, with the rows `slopes` as their derivatives in the weights of a pack.

    Args:
        values: scalars, or vectors of one for each weight, computed outside autograd.
        slopes: the derivative of each in the rows of the pack.
        pack: how weights are rows.
        weights: what `pack.read` returned.
        again: the slopes as a function of the weights; without it, the values are differentiable once.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> pack = WeightPack(bundle(typed_parameters(layer, CyclicGroup(2), output_type="regular")))
        >>> (value,) = attach_slopes([torch.tensor(5.0)], [torch.arange(4.0)[None]], pack, pack.read())
        >>> value.backward()
        >>> layer.weight.grad
        tensor([[0., 1.],
                [2., 3.]])
    """
    attach = _AttachSlopes if torch.compiler.is_compiling() else _AttachSlopesWithTangents
    attached: tuple[Tensor, ...] = attach.apply(pack, again, len(values), *values, *slopes, *weights)
    return attached


def quadratic_slopes(pack: WeightPack, sides: Sequence[str]) -> Slopes:
    """The slopes of ‖W − PW‖_F² and ‖PW‖_F², 2 (W − PW) and 2 PW, for autograd to follow.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> pack = WeightPack(bundle(typed_parameters(nn.Linear(1, 2), CyclicGroup(2), output_type="regular")))
        >>> quadratic_slopes(pack, ["perpendicular"])([torch.tensor([[2.0], [4.0]])])
        [tensor([[-2.,  2.]])]
    """

    def slopes(weights: Sequence[Tensor]) -> list[Tensor]:
        rows = pack.join(weights)
        projected = self_adjoint(rows, pack.project)
        return [2 * (rows - projected if side == "perpendicular" else projected) for side in sides]

    return slopes
