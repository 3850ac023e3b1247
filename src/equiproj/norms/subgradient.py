"""Give a value computed outside autograd its gradient.

Every norm of this package returns its value together with the *minimum-norm* element of its subdifferential, the one
element that is unique, zero at zero, and shares every symmetry of the norm: ties are shared, never decided.
"""

from typing import Any

import torch
from jaxtyping import Float, Inexact
from torch import Tensor
from torch.autograd.function import once_differentiable


class _AttachSubgradient(torch.autograd.Function):
    """forward: the value; backward: the value's gradient times the subgradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, value: Tensor, subgradient: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        matrix, _, subgradient = inputs
        ctx.dtype = matrix.dtype
        ctx.save_for_backward(subgradient)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_value: Tensor) -> tuple[Tensor, None, None]:
        (subgradient,) = ctx.saved_tensors
        return (grad_value[..., None, None] * subgradient).to(ctx.dtype), None, None


def attach_subgradient(
    matrix: Inexact[Tensor, "*batch rows columns"],
    value: Float[Tensor, "*batch"],
    subgradient: Inexact[Tensor, "*batch rows columns"],
) -> Float[Tensor, "*batch"]:
    """The value, with `subgradient` as its derivative in `matrix`; differentiable once.

    Example:
        >>> matrix = torch.tensor([[3.0, 4.0]], requires_grad=True)
        >>> norm = attach_subgradient(matrix, torch.tensor(5.0), torch.tensor([[0.6, 0.8]]))
        >>> norm.backward(); matrix.grad
        tensor([[0.6000, 0.8000]])
    """
    return _AttachSubgradient.apply(matrix, value, subgradient)


def widen(matrix: Inexact[Tensor, "*batch rows columns"]) -> Inexact[Tensor, "*batch rows columns"]:
    """The matrix in the precision norms are computed in: float16 and bfloat16 become float32.

    Example:
        >>> widen(torch.ones(1, 1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return matrix.float() if matrix.dtype in (torch.float16, torch.bfloat16) else matrix
