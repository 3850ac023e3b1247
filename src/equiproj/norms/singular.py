"""Schatten norms, the p-norms of the singular values: spectral (∞), Frobenius (2), nuclear (1).

Equations 5.2 and 5.9 of docs/derivation.md.
"""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from equiproj.norms.elementwise import vector_norm


def schatten_norm(
    matrix: Inexact[Tensor, "*batch rows columns"], p: float, *, double_gram: bool = False
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """(Σ σ_i^p)^(1/p) and U diag(w) Vᴴ, with w the subgradient of the p-norm at the singular values.

    Singular values below rounding (max(rows, columns)·eps·σ₁) carry no gradient, and equal largest ones share it, so
    the result does not depend on the basis a decomposition happens to choose. A matrix with an entry that is not finite
    has the norm NaN: decompositions would refuse it, and the others of its batch with it.

    Args:
        matrix: (..., rows, columns), real or complex, float32 or wider.
        p: order, 1 ≤ p ≤ ∞.
        double_gram: take the eigenvalues of the smaller Gram matrix in double precision instead of an SVD; exact to
            float32 rounding for float32 matrices and many times faster for wide ones.

    Examples:
        >>> schatten_norm(torch.diag(torch.tensor([3.0, 4.0])), 1.0)[0]
        tensor(7.)
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        value, subgradient = schatten_norm(matrix.mH, p, double_gram=double_gram)
        return value, subgradient.mH
    finite = matrix.abs().amax((-2, -1)).isfinite()
    matrix = torch.where(finite[..., None, None], matrix, 0)
    left, sigma, right = _by_double_gram(matrix) if double_gram else torch.linalg.svd(matrix, full_matrices=False)
    value, subgradient = _from_decomposition(left, sigma, right, p, max(matrix.shape[-2:]))
    return torch.where(finite, value, math.nan), torch.where(finite[..., None, None], subgradient, math.nan)


def _from_decomposition(left: Tensor, sigma: Tensor, right: Tensor, p: float, size: int) -> tuple[Tensor, Tensor]:
    tolerance = size * torch.finfo(sigma.dtype).eps * sigma.amax(-1, keepdim=True)
    value, weight = vector_norm(sigma, p, -1)
    if p == math.inf:
        # An SVD's rounding grows with the matrix, so its ties are wider than those of entries.
        tied = ((sigma >= value - tolerance) & (sigma > 0)).to(sigma.dtype)
        weight = tied / tied.sum(-1, keepdim=True).clamp_min(1)
    weight = torch.where(sigma > tolerance, weight, 0)
    return value[..., 0], (left * weight[..., None, :]) @ right


def _by_double_gram(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    double = matrix.to(torch.complex128 if matrix.is_complex() else torch.float64)
    squares, left = torch.linalg.eigh(double @ double.mH)
    sigma = squares.clamp_min(0).sqrt()
    inverse = torch.where(sigma > 0, 1 / torch.where(sigma > 0, sigma, 1), 0)
    right = inverse[..., None] * (left.mH @ double)
    return left.to(matrix.dtype), sigma.to(matrix.real.dtype), right.to(matrix.dtype)
