"""Gram iteration for the spectral norm: matrix products only, batched, no state (equations 5.10, 5.11)."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from equiproj.norms.elementwise import entrywise_norm

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

    Examples:
        >>> torch.testing.assert_close(gram_iteration(torch.diag(torch.tensor([3.0, 4.0])))[0], torch.tensor(4.0))
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        value, gradient = gram_iteration(matrix.mH)
        return value, gradient.mH
    if matrix.shape[-2] == 1:
        # One singular value. (Inductor inlines products of 1×1 matrices, 2^k of them here.)
        return entrywise_norm(matrix, 2.0)
    largest = matrix.abs().amax((-2, -1), keepdim=True)
    scaled = matrix / torch.where(largest > 0, largest, 1)
    gram = scaled @ scaled.mH
    n_squarings = _n_squarings(matrix.shape[-2])
    power, traces = _normalise(gram, [])
    for _ in range(n_squarings):
        power, traces = _normalise(power @ power, traces)
    trace = (power * gram.conj()).real.sum((-2, -1))
    value = _root(trace, traces, 2**n_squarings)
    slope = (value / trace)[..., None, None] * (power @ scaled)
    zero = largest == 0
    return (largest * value[..., None, None]).masked_fill(zero, 0)[..., 0, 0], slope.masked_fill(zero, 0)


def _n_squarings(rank: int) -> int:
    order = math.log(rank) / math.log1p(RELATIVE_EXCESS)
    return max(1, math.ceil(math.log2(order / 2 - 1)))


def _normalise(gram: Tensor, traces: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Divide by the trace, between λ₁ and r λ₁, and remember it. A zero matrix gives NaN, masked in the end."""
    trace = gram.diagonal(dim1=-2, dim2=-1).real.sum(-1)
    return gram / trace[..., None, None], [*traces, trace]


def _root(trace: Tensor, traces: list[Tensor], order: int) -> Tensor:
    """(trace · Π t_j^(N/2^j))^(1/(2N+2)): logarithms are averaged, not summed, to keep their precision."""
    weights = torch.arange(len(traces), dtype=trace.dtype, device=trace.device).neg().exp2()
    log_scale = (torch.stack(traces, -1).log() * weights).sum(-1)
    return ((trace.log() + order * log_scale) / (2 * order + 2)).exp()
