"""Warm-started power iteration: the state goes in and comes out, nothing is kept (equations 5.12, 5.13)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Inexact
from torch import Tensor

from equiproj.norms.elementwise import vector_norm
from equiproj.norms.gram import gram_iteration

# Columns followed for the spectral norm; singular values that overtake each other inside the block cost nothing.
_BLOCK_SIZE = 8
# Share of the previous block kept in each step (a spectral shift): a zero matrix leaves the block as it was.
_SHIFT = 1e-3


class PowerIterate(NamedTuple):
    """Result of a power iteration: the norm, its subgradient, and the block of left vectors to start the next from.

    Examples:
        >>> matrix = torch.diag(torch.tensor([3.0, 1.0]))
        >>> round(power_iteration(matrix, start_block(matrix)).value.item(), 4)
        3.0
    """

    value: Tensor
    subgradient: Tensor
    left: Tensor


def start_block(
    matrix: Inexact[Tensor, "*batch rows columns"], p: float = math.inf
) -> Inexact[Tensor, "*batch rows block"]:
    """Leading left singular vectors by SVD: 8 of them for the spectral norm (p = ∞), all for other Schatten norms.

    Examples:
        >>> start_block(torch.eye(3)).shape
        torch.Size([3, 3])
    """
    left = torch.linalg.svd(matrix, full_matrices=False)[0]
    left = left[..., :_BLOCK_SIZE] if p == math.inf else left
    # column after column, as a QR decomposition leaves it: a step that is compiled for the first block fits the next
    return left.mT.contiguous().mT


def power_iteration(
    matrix: Inexact[Tensor, "*batch rows columns"],
    left: Inexact[Tensor, "*batch rows block"],
    p: float = math.inf,
    n_iterations: int = 2,
) -> PowerIterate:
    """Schatten p-norm of A from a block U of orthonormal left vectors, improved by U ← orth(A Aᴴ U) first.

    The spectral norm (p = ∞) is that of the small matrix Aᴴ U, a lower bound up to the excess of Gram
    iteration, at most 10⁻³. Other norms are the p-norm of the column lengths ‖Aᴴ u_i‖ of a full block: exact at the
    singular vectors, an upper bound for p ≤ 2, and wrong only to second order in between. Both subgradients are exact
    derivatives at fixed U.

    How good it is depends on what is trained: within 1e-3 of the SVD at learning rates up to 1e-3 (Adam) where nothing
    acts on the singular values. A spectral penalty presses the followed ones into the many below them, and the value
    then falls short by up to 2 % (derivation.md, section 5.4). Gram iteration does not, and is the better choice but
    for very wide layers.

    Args:
        matrix: (..., rows, columns), float32 or wider.
        left: the block of the previous step, or `start_block(matrix, p)`.
        p: order, 1 ≤ p ≤ ∞.
        n_iterations: steps taken before the norm is read off.

    Examples:
        >>> matrix = torch.diag(torch.tensor([3.0, 4.0]))
        >>> torch.testing.assert_close(power_iteration(matrix, start_block(matrix)).value, torch.tensor(4.0))
    """
    for _ in range(n_iterations):
        right = _unit_columns(matrix.mH @ left)
        left = _orthonormalise(_unit_columns(matrix @ right) + _SHIFT * left)
    projected = matrix.mH @ left
    if p == math.inf:
        value, slope = gram_iteration(projected)
    else:
        lengths = projected.abs().square().sum(-2).sqrt()
        value, weight = vector_norm(lengths, p, -1)
        value, slope = value[..., 0], _unit_columns(projected) * weight[..., None, :]
    return PowerIterate(value, left @ slope.mH, left)


def _unit_columns(block: Tensor) -> Tensor:
    length = block.abs().square().sum(-2, keepdim=True).sqrt()
    return block / torch.where(length > 0, length, 1)


def _orthonormalise(block: Tensor) -> Tensor:
    """Cholesky QR; double precision, because it squares a condition number of up to 1 / _SHIFT."""
    double = block.to(torch.complex128 if block.is_complex() else torch.float64)
    # The unchecked variant does not wait for the GPU; the shift keeps the matrix positive definite.
    factor = torch.linalg.cholesky_ex(double.mH @ double)[0]
    return torch.linalg.solve_triangular(factor.mH, double, upper=True, left=False).to(block.dtype)
