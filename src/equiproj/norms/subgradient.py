"""Give a value computed outside autograd its gradient.

Every norm of this package returns its value together with the *minimum-norm* element of its subdifferential, the one
element that is unique, zero at zero, and shares every symmetry of the norm: ties are shared, never decided (section
5.2 of docs/derivation.md).
"""

from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

_ONCE = "norms and penalties of equiproj are differentiable once; a second derivative was asked for"


class _AttachSubgradient(torch.autograd.Function):
    """forward: the value; backward: the value's gradient times the subgradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, value: Tensor, subgradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        matrix, _, subgradient = inputs
        ctx.has_tangents = False
        ctx.save_for_backward(matrix, subgradient)
        ctx.save_for_forward(matrix, subgradient)

    @staticmethod
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor, None, None]:
        matrix, subgradient = ctx.saved_tensors
        if torch.is_grad_enabled() or ctx.has_tangents:
            subgradient = first_order_only(subgradient, matrix)
        return (grad_value[..., None, None] * subgradient).to(matrix.dtype), None, None


class _AttachSubgradientWithTangents(_AttachSubgradient):
    """In forward mode too, which a compiler of graphs refuses to look into."""

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Tensor | None) -> Tensor:
        ctx.has_tangents = True
        matrix, subgradient = ctx.saved_tensors
        change = first_order_only(subgradient, matrix).conj() * tangent
        return (change.real if change.is_complex() else change).sum((-2, -1))


class _NoDerivative(torch.autograd.Function):
    """forward: zero; derivatives of it: an error."""

    generate_vmap_rule = True

    @staticmethod
    def forward(source: Tensor) -> Tensor:
        return source.new_zeros(())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise RuntimeError(_ONCE)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        raise RuntimeError(_ONCE)


def first_order_only(gradient: Tensor, source: Tensor) -> Tensor:
    """The gradient, tied to the tensor it belongs to so that differentiating it again is an error and not a zero.

    Derivatives in whatever else the gradient was computed from pass through.

    Examples:
        >>> first_order_only(torch.ones(1), torch.zeros(1))
        tensor([1.])
    """
    return gradient + _NoDerivative.apply(source)


def attach_subgradient(
    matrix: Inexact[Tensor, "*batch rows columns"],
    value: Float[Tensor, "*batch"],
    subgradient: Inexact[Tensor, "*batch rows columns"],
) -> Float[Tensor, "*batch"]:
    """The value, with `subgradient` as its derivative in `matrix`; differentiable once.

    Examples:
        >>> matrix = torch.tensor([[3.0, 4.0]], requires_grad=True)
        >>> norm = attach_subgradient(matrix, torch.tensor(5.0), torch.tensor([[0.6, 0.8]]))
        >>> norm.backward(); matrix.grad
        tensor([[0.6000, 0.8000]])
    """
    attach = _AttachSubgradient if torch.compiler.is_compiling() else _AttachSubgradientWithTangents
    return attach.apply(matrix, value, subgradient)


def widen(matrix: Inexact[Tensor, "*batch rows columns"]) -> Inexact[Tensor, "*batch rows columns"]:
    """The matrix in the precision norms are computed in: float16 and bfloat16 become float32.

    Examples:
        >>> widen(torch.ones(1, 1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
