"""The squared Frobenius penalty with its gradient in closed form."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from equiproj.norms.subgradient import first_order_only


class _SquaredFrobenius(torch.autograd.Function):
    """Keeps the gradient itself instead of a graph: P(W − PW) = 0, so that no projection has to be differentiated."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, projector: Callable[[Tensor], Tensor], perpendicular: float, equivariant: float
    ) -> Tensor:
        projected = projector(weights)
        slope = torch.sub(weights, projected)
        value = perpendicular * slope.square().sum()
        slope = slope * (2 * perpendicular)
        if equivariant:
            value = value + equivariant * projected.square().sum()
            slope = slope.add_(projected, alpha=2 * equivariant)
        ctx.save_for_backward(weights, slope)
        return value

    @staticmethod
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor, None, None, None]:
        weights, slope = ctx.saved_tensors
        return grad_value * first_order_only(slope, weights), None, None, None


def squared_frobenius(
    weights: Float[Tensor, "..."],
    projector: Callable[[Tensor], Tensor],
    weight_perpendicular: float,
    weight_equivariant: float = 0.0,
) -> Float[Tensor, ""]:
    """λ_⊥ ‖W − PW‖² + λ_G ‖PW‖² over a stack of weights, with gradient 2 λ_⊥ (W − PW) + 2 λ_G PW; differentiable once.

    Args:
        weights: stack of weights.
        projector: orthogonal projection P.
        weight_perpendicular: λ_⊥.
        weight_equivariant: λ_G.

    References:
        docs/derivation.md, equation 6.4.

    Examples:
        >>> weights = torch.tensor([1.0, 3.0], requires_grad=True)
        >>> value = squared_frobenius(weights, lambda w: w.mean().expand_as(w), 1.0)
        >>> value.backward(); value.item(), weights.grad
        (2.0, tensor([-2.,  2.]))
    """
    return _SquaredFrobenius.apply(weights, projector, weight_perpendicular, weight_equivariant)
