"""Gram iteration for the spectral norm: matrix products only, batched, no state (derivation.md, section 5)."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

# With this relative excess the worst case (all singular values equal) still meets the promised 1e-3.
RELATIVE_EXCESS = 1e-3


def gram_iteration(
    matrix: Inexact[Tensor, "*batch rows columns"],
) -> tuple[Float[Tensor, "*batch"], Inexact[Tensor, "*batch rows columns"]]:
    """Upper bound s of the spectral norm, σ₁ ≤ s ≤ (1 + 1e-3) σ₁, and the exact gradient of s.

    G ← G² is repeated k times from G = A Aᴴ; with N = 2^k, s = tr(G^(N+1))^(1/(2N+2)) is the Schatten norm of order
    2N + 2, and k is the smallest number for which r^(1/(2N+2)) ≤ 1 + 1e-3 at rank r. The gradient of s is
    s G^N A / tr(G^(N+1)); where largest singular values are equal they share it.

    Args:
        matrix: (..., rows, columns), real or complex, float32 or wider.

    References:
        Delattre, Barthélemy, Araujo, Allauzen: Efficient bound of Lipschitz constant for convolutional layers by Gram
        iteration, ICML 2023. The trace in place of the Frobenius norm makes the gradient as cheap as the value.

    Example:
        >>> torch.testing.assert_close(gram_iteration(torch.diag(torch.tensor([3.0, 4.0])))[0], torch.tensor(4.0))
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        value, gradient = gram_iteration(matrix.mH)
        return value, gradient.mH
    largest = matrix.abs().amax((-2, -1), keepdim=True)
    scaled = matrix / torch.where(largest > 0, largest, 1)
    gram = scaled @ scaled.mH
    power, log_scale = _normalise(gram)
    n_squarings = _n_squarings(matrix.shape[-2])
    for step in range(1, n_squarings + 1):
        power, log_norm = _normalise(power @ power)
        # The logarithm of the scale is averaged, not summed, so that it keeps its precision after 2^k factors.
        log_scale = log_scale + log_norm / 2**step
    trace = (power * gram.conj()).real.sum((-2, -1), keepdim=True)
    order = 2**n_squarings
    value = ((trace.log() + order * log_scale) / (2 * order + 2)).exp()
    gradient = (power @ scaled) * (value / torch.where(trace > 0, trace, 1))
    return (largest * value)[..., 0, 0], gradient


def _n_squarings(rank: int) -> int:
    order = math.log(max(rank, 2)) / math.log1p(RELATIVE_EXCESS)
    return max(1, math.ceil(math.log2(order / 2 - 1)))


def _normalise(gram: Tensor) -> tuple[Tensor, Tensor]:
    norm = gram.abs().square().sum((-2, -1), keepdim=True).sqrt()
    safe = torch.where(norm > 0, norm, 1)
    return gram / safe, safe.log()
