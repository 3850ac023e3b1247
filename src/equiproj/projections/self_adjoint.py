"""Differentiation of an orthogonal projection: its adjoint is itself (equation 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class SelfAdjoint(torch.autograd.Function):
    """Applies a self-adjoint linear map to a weight; the backward pass applies it again.

    This replaces autograd's scatter in the backward pass of a gather by another gather, and keeps no graph.
    The map has to accept any leading batch axes.
    """

    @staticmethod
    def forward(weight: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply the map."""
        return project(weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Callable[[Tensor], Tensor]], output: Tensor) -> None:
        """Keep the map for the backward pass."""
        ctx.project = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The adjoint is the map itself."""
        return SelfAdjoint.apply(gradient, ctx.project), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        """The map is linear."""
        return SelfAdjoint.apply(tangent, ctx.project)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, None], weight: Tensor, project: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, int | None]:
        """A mapped axis is one more batch axis."""
        axis = in_dims[0]
        if axis is None:
            return SelfAdjoint.apply(weight, project), None
        return SelfAdjoint.apply(weight.movedim(axis, 0), project), 0
