"""Differentiation of an orthogonal projection: its adjoint is itself (equation 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def self_adjoint(weight: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a self-adjoint linear map to a weight; the backward pass applies it again.

    This replaces autograd's scatter in the backward pass of a gather by another gather, and keeps no graph.

    Args:
        weight: what is mapped.
        project: the map; it has to accept any leading batch axes.

    Examples:
        >>> self_adjoint(torch.ones(2), lambda weight: 2 * weight)
        tensor([2., 2.])
    """
    applied: Tensor = (_SelfAdjoint if torch.compiler.is_compiling() else _WithTangents).apply(weight, project)
    return applied


class _SelfAdjoint(torch.autograd.Function):
    """forward and backward: the map."""

    @staticmethod
    def forward(weight: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
        return project(weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Callable[[Tensor], Tensor]], output: Tensor) -> None:
        ctx.project = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return self_adjoint(gradient, ctx.project), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, None], weight: Tensor, project: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, int | None]:
        """A mapped axis is one more batch axis."""
        axis = in_dims[0]
        if axis is None:
            return self_adjoint(weight, project), None
        return self_adjoint(weight.movedim(axis, 0), project), 0


class _WithTangents(_SelfAdjoint):
    """In forward mode too, which a compiler of graphs refuses to look into."""

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return self_adjoint(tangent, ctx.project)
