"""The mean of single examples' gradients and how much it varies by chance, in one pass over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equiproj.adaptive.linearised import LinearisedLoss


@dataclass(frozen=True)
class Variance:
    """A mean vector and its variance by chance.

    Attributes:
        mean: (n,).
        of_entries: variance of each entry of the mean, (n,).
        total: their sum, the trace of the covariance C of the mean.
        square: tr C².
        draws: means of deviations with random signs, (k, n): other means of the same covariance.

    Examples:
        >>> found = Variance(torch.zeros(2), torch.ones(2), total=2.0, square=2.0, draws=torch.zeros(0, 2))
        >>> found.degrees(2.0), round(found.p_value(2.0, 2.0), 4)  # exp(−1), of the exponential distribution
        (2.0, 0.3679)
    """

    mean: Tensor
    of_entries: Tensor
    total: float
    square: float
    draws: Tensor

    def degrees(self, dimension: float) -> float:
        """(tr C)² / tr C², the degrees of freedom of the χ² that ‖mean‖² is like where its expectation is 0."""
        return max(1.0, min(dimension, self.total**2 / self.square)) if self.square > 0 else dimension

    def p_value(self, score: float, dimension: float) -> float:
        """Probability of ‖mean‖² or more where the expectation is 0 (Satterthwaite)."""
        if self.total == 0:
            return 1.0 if score == 0 else 0.0
        half = torch.tensor(0.5 * self.degrees(dimension), dtype=torch.float64)
        return float(torch.special.gammaincc(half, half * score / self.total))


def variance_of_mean(
    linearised: LinearisedLoss,
    probes: Sequence[Tensor],
    observations: str,
    chunk_size: int,
    *,
    n_draws: int = 0,
    seed: int = 0,
) -> list[Variance]:
    """Mean gradient and its variance for each parameter.

    tr C² comes from pairs of different observations, Σ_{i≠j} (g_i·g_j)², whose mean over probes v of unit variance is
    |Σ_i (g_i·v) g_i|² less its diagonal: observations are seen one at a time, and nothing quadratic is held.

    Args:
        linearised: the loss.
        probes: (k, n) for each parameter.
        observations: single examples or whole batches.
        chunk_size: examples at a time.
        n_draws: means with random signs.
        seed: of the signs.

    Raises:
        ValueError: fewer than two observations, or a word that is neither.
    """
    if observations not in ("examples", "batches"):
        raise ValueError(f"expected observations 'examples' or 'batches', found {observations!r}")
    n_examples, n_observed = linearised.n_examples, linearised.n_examples
    if observations == "batches":
        n_observed = len(linearised.batches)
    if n_observed < 2:
        raise ValueError(f"expected at least two {observations} to tell noise from a gradient, found {n_observed}")
    means = [torch.zeros_like(vectors[0]) for vectors in probes]
    for n, gradients in linearised.batch_gradients():
        means = [mean + n / n_examples * gradient[0] for mean, gradient in zip(means, gradients, strict=True)]
    generator = torch.Generator().manual_seed(seed)
    sums = [_Sums(vectors, n_draws) for vectors in probes]
    for gradients in _observed(linearised, observations, chunk_size):
        # one sign for an observation, whatever the weight: weights stay as dependent as they are
        signs = 2 * torch.randint(0, 2, (n_draws, len(gradients[0])), generator=generator) - 1
        for total, gradient, mean in zip(sums, gradients, means, strict=True):
            total.add(gradient - mean, signs)
    return [total.variance(mean, n_observed) for total, mean in zip(sums, means, strict=True)]


def _observed(linearised: LinearisedLoss, observations: str, chunk_size: int) -> Iterator[list[Tensor]]:
    if observations == "examples":
        yield from linearised.example_gradients(chunk_size)
        return
    mean_size = linearised.n_examples / len(linearised.batches)
    for n, gradients in linearised.batch_gradients():
        yield [n / mean_size * gradient for gradient in gradients]


class _Sums:
    """Over deviations g: Σ g², Σ (g·v) g and Σ (g·v)² |g|² for probes v, and Σ ± g."""

    def __init__(self, probes: Tensor, n_draws: int) -> None:
        self.probes = probes
        self.squares = torch.zeros_like(probes[0], dtype=torch.float64)
        self.draws = probes.new_zeros(n_draws, probes.shape[1])
        self.along, self.diagonal = torch.zeros_like(probes), torch.zeros_like(probes[:, 0])

    def add(self, deviations: Tensor, signs: Tensor) -> None:
        squares, dots = deviations.square(), deviations @ self.probes.T
        self.squares += squares.sum(0)
        self.along += dots.T @ deviations
        self.draws += signs.to(deviations) @ deviations
        self.diagonal += dots.square().T @ squares.sum(1)

    def variance(self, mean: Tensor, n: int) -> Variance:
        of_entries = self.squares / (n * (n - 1))
        pairs = float((self.along.square().sum(1) - self.diagonal).double().mean())
        square = pairs / (n * (n - 1)) / n**2
        return Variance(mean, of_entries, float(of_entries.sum()), square, self.draws / n)
