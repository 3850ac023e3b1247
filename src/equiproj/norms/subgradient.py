"""Give a value computed outside autograd its gradient.

Every norm of this package returns its value together with the *minimum-norm* element of its subdifferential, the one
element that is unique, zero at zero, and shares every symmetry of the norm: ties are shared, never decided (section
5.2 of docs/derivation.md).
"""

from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor


class _AttachSubgradient(torch.autograd.Function):
    """forward: the value; backward: the value's gradient times the subgradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, value: Tensor, subgradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        matrix, _, subgradient = inputs
        ctx.save_for_backward(matrix, subgradient)

    @staticmethod
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor, None, None]:
        matrix, subgradient = ctx.saved_tensors
        return (grad_value[..., None, None] * first_order_only(subgradient, matrix)).to(matrix.dtype), None, None


class _FirstOrderOnly(torch.autograd.Function):
    """forward: the gradient as it is; backward: an error."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor, source: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad_gradient: Tensor) -> tuple[Tensor, Tensor]:
        raise RuntimeError("norms and penalties of equiproj are differentiable once; a second derivative was asked for")


def first_order_only(gradient: Tensor, source: Tensor) -> Tensor:
    """The gradient, tied to the tensor it belongs to so that differentiating it again is an error and not a zero.

    Examples:
        >>> first_order_only(torch.ones(1), torch.zeros(1))
        tensor([1.])
    """
    return _FirstOrderOnly.apply(gradient, source) if torch.is_grad_enabled() else gradient


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
    return _AttachSubgradient.apply(matrix, value, subgradient)


def widen(matrix: Inexact[Tensor, "*batch rows columns"]) -> Inexact[Tensor, "*batch rows columns"]:
    """The matrix in the precision norms are computed in: float16 and bfloat16 become float32.

    Examples:
        >>> widen(torch.ones(1, 1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
