"""Norms of the entries: entry-wise p, mixed (p, q), induced 1 and ∞ (equations 5.1, 5.3, 5.4)."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

# Two magnitudes that differ by a few roundings are one tie: W − PW has mathematically equal entries all the time.
_TIE_ROUNDINGS = 16


def vector_norm(
    vectors: Inexact[Tensor, "*shape"], p: float, dim: int | tuple[int, ...]
) -> tuple[Float[Tensor, "*norms"], Inexact[Tensor, "*shape"]]:
    """p-norm (Σ|x_i|^p)^(1/p) over the axes `dim`, kept with length one, and its subgradient (equations 5.6, 5.7).

    The subgradient is sgn(x_i) (|x_i| / ‖x‖_p)^(p−1); zero at x = 0; for p = 1 zero where x_i = 0; for p = ∞ shared
    equally by all entries of largest magnitude.

    Args:
        vectors: entries along the axes `dim`, any other axes are a batch.
        p: order, 1 ≤ p ≤ ∞.
        dim: the axes to reduce.

    Examples:
        >>> value, subgradient = vector_norm(torch.tensor([3.0, -3.0, 1.0]), math.inf, 0)
        >>> value, subgradient
        (tensor([3.]), tensor([ 0.5000, -0.5000,  0.0000]))
    """
    magnitude = vectors.abs()
    if p == 1:
        return magnitude.sum(dim, keepdim=True), vectors.sgn()
    largest = magnitude.amax(dim, keepdim=True)
    if p == math.inf:
        tied = _tied(magnitude, largest)
        return largest, vectors.sgn() * (tied / tied.sum(dim, keepdim=True).clamp_min(1))
    # Division by the largest entry keeps |x|^p from under- and overflowing.
    divisor = torch.where(largest > 0, largest, 1)
    if p == 2:
        length = magnitude.div_(divisor).square_().sum(dim, keepdim=True).sqrt() * divisor
        return length, vectors / torch.where(length > 0, length, 1)
    scaled = magnitude.div_(divisor)
    root = scaled.pow(p).sum(dim, keepdim=True).pow(1 / p)
    slope = scaled.div_(torch.where(root > 0, root, 1)).pow_(p - 1)
    return largest * root, slope.mul_(vectors.sgn()) if not vectors.is_complex() else vectors.sgn() * slope


def mixed_norm(
    matrix: Inexact[Tensor, "*batch rows columns"], p: float, q: float
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """L_{p,q} norm (Σ_j (Σ_i |a_ij|^p)^(q/p))^(1/q): the p-norm of each column j over its rows i, then q over columns.

    `mixed:2,1` is therefore the sum of the Euclidean lengths of the columns.

    Examples:
        >>> mixed_norm(torch.tensor([[3.0, 0.0], [4.0, 2.0]]), 2.0, 1.0)[0]
        tensor(7.)
    """
    columns, inner = vector_norm(matrix, p, -2)
    squares = inner.abs().square().sum(-2, keepdim=True)
    value, outer = norm_of_norms(columns, squares, q)
    return value[..., 0, 0], outer * inner


def norm_of_norms(
    lengths: Float[Tensor, "*batch parts"], squares: Float[Tensor, "*batch parts"], q: float
) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch parts"]]:
    """q-norm over parts that have been measured already, and the factor for the subgradient of each part.

    For q = ∞ the tied parts share the gradient in inverse proportion to the squared length of their own subgradients:
    the convex combination that is shortest (equation 5.8).

    Args:
        lengths: norms of the parts.
        squares: squared Frobenius norms of the parts' subgradients.
        q: order, 1 ≤ q ≤ ∞.

    Examples:
        >>> norm_of_norms(torch.tensor([2.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 1.0]), math.inf)[1]
        tensor([0.7500, 0.2500, 0.0000])
    """
    value, outer = vector_norm(lengths, q, -1)
    if q == math.inf:
        outer = torch.where(outer > 0, 1 / torch.where(squares > 0, squares, 1), 0)
        total = outer.sum(-1, keepdim=True)
        outer = outer / torch.where(total > 0, total, 1)
    return value, outer


def entrywise_norm(
    matrix: Inexact[Tensor, "*batch rows columns"], p: float
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """(Σ_ij |a_ij|^p)^(1/p), the largest magnitude for p = ∞; p = 2 is the Frobenius norm.

    Examples:
        >>> entrywise_norm(torch.tensor([[3.0, -4.0]]), 2.0)
        (tensor(5.), tensor([[ 0.6000, -0.8000]]))
    """
    value, subgradient = vector_norm(matrix, p, (-2, -1))
    return value[..., 0, 0], subgradient


def induced_norm(
    matrix: Inexact[Tensor, "*batch rows columns"], p: float
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """Operator norm sup ‖Ax‖_p / ‖x‖_p for p = 1 (largest column sum of |a_ij|) or p = ∞ (largest row sum).

    Examples:
        >>> matrix = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
        >>> induced_norm(matrix, 1.0)[0], induced_norm(matrix, math.inf)[0]
        (tensor(5.), tensor(3.))
    """
    if p == 1:
        return mixed_norm(matrix, 1.0, math.inf)
    value, subgradient = mixed_norm(matrix.mT, 1.0, math.inf)
    return value, subgradient.mT


def _tied(magnitude: Tensor, largest: Tensor) -> Tensor:
    tied = magnitude >= largest * (1 - _TIE_ROUNDINGS * torch.finfo(magnitude.dtype).eps)
    return tied.to(magnitude.dtype)
