"""Which norm suits what is left of a gradient once its noise is taken off: Stein's unbiased estimate of the risk.

Equations 9.8 to 9.10 of docs/derivation.md. Soft thresholds are taken on a grid of the estimate's own scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from equiproj.adaptive.score_rows import ScoreTest
from equiproj.norms.names import NormName
from equiproj.regularisers.checks import Power

_N_THRESHOLDS = 64
# How rarely a dense matrix may promise another norm as much as was found: 5 %, shared by two norms.
_LEVEL = 0.025
_TINY = 1e-30
_OTHERS: tuple[NormName, ...] = ("nuclear", "entrywise:1")


class SteinRisk(NamedTuple):
    """Estimated squared error of the best shrinkage of one kind, and its threshold: λ⊥ of the norm at power 1.

    Examples:
        >>> SteinRisk(risk=0.5, threshold=0.1).risk
        0.5
    """

    risk: float
    threshold: float


@dataclass(frozen=True)
class NormChoice:
    """The norm, what to give `ProjectionPenalty` for it, and why.

    Attributes:
        norm: of all weights.
        power: 2 for the Frobenius norm, else 1.
        weights: λ⊥ of each weight for this norm and power.
        risks: Stein's estimate for each norm, summed over the weights.
        p_values: of each other norm, that a dense symmetry breaking promises it so much.

    Examples:
        >>> risks = {"frobenius": 2.0, "nuclear": 1.0, "entrywise:1": 2.1}
        >>> NormChoice("nuclear", 1, {"weight": 0.1}, risks, {"nuclear": 0.01, "entrywise:1": 0.4}).norm
        'nuclear'
    """

    norm: NormName
    power: Power
    weights: Mapping[str, float]
    risks: Mapping[str, float]
    p_values: Mapping[str, float]


def choose_norm(found: ScoreTest) -> NormChoice:
    """Squared Frobenius, nuclear or entrywise 1-norm: whichever shrinkage of the score has the least estimated risk.

    The gradient of a weight at the strict solution is what breaks the symmetry, bent by the curvature, plus noise of
    known variance. Each norm shrinks it in its own way: all entries alike, its singular values or its entries by a
    threshold. Stein's formula tells the risk of each from the gradient alone; raw rank and sparsity would be those of
    the noise. Another norm replaces the Frobenius norm where gradients that a dense Gaussian W − P(W) would make, for
    which the Frobenius norm is right, promise it as much in less than 25 of 1000 draws.

    Args:
        found: of `score_test(n_draws=...)`, with 39 draws or more.

    Raises:
        ValueError: fewer draws, which could not tell.

    Examples:
        >>> spike, seed = torch.zeros(8, 8), torch.Generator().manual_seed(0)
        >>> spike[0, 0] = 10.0
        >>> noisy, draws = spike + torch.randn(8, 8, generator=seed), 1.6 * torch.randn(39, 8, 8, generator=seed)
        >>> choose_norm(ScoreTest((), {"weight": noisy}, {"weight": torch.ones(8, 8)}, {"weight": draws})).norm
        'entrywise:1'
    """
    n_draws = min((len(drawn) for drawn in found.draws.values()), default=0)
    if n_draws < round(1 / _LEVEL) - 1:
        raise ValueError(f"expected score_test(n_draws=39) or more to choose a norm, found {n_draws} draws")
    each = {name: stein_risks(gradient, found.variances[name]) for name, gradient in found.gradients.items()}
    drawn = [
        _total([stein_risks(draws[k], found.variances[name]) for name, draws in found.draws.items()])
        for k in range(n_draws)
    ]
    risks = _total(list(each.values()))
    p_values: dict[str, float] = {
        norm: (1 + sum(_promise(total, norm) >= _promise(risks, norm) for total in drawn)) / (1 + n_draws)
        for norm in _OTHERS
    }
    allowed = [norm for norm in _OTHERS if p_values[norm] <= _LEVEL and _promise(risks, norm) > 0]
    if not allowed:
        return NormChoice("frobenius", 2, found.weights, risks, p_values)
    best = min(allowed, key=lambda norm: risks[norm])
    return NormChoice(best, 1, {name: risk[best].threshold for name, risk in each.items()}, risks, p_values)


def _total(risks: Sequence[Mapping[str, SteinRisk]]) -> dict[str, float]:
    return {norm: sum(risk[norm].risk for risk in risks) for norm in ("frobenius", *_OTHERS)}


def _promise(risks: Mapping[str, float], norm: str) -> float:
    return risks["frobenius"] - risks[norm]


def stein_risks(
    estimate: Float[Tensor, "rows columns"], variances: Float[Tensor, "rows columns"]
) -> dict[str, SteinRisk]:
    """The least estimated risk of each shrinkage of a noisy matrix.

    Args:
        estimate: a matrix plus Gaussian noise.
        variances: of the noise, entry by entry; singular values take their mean.

    References:
        Donoho and Johnstone, JASA 90, 1995; Candès, Sing-Long and Trzasko, IEEE Trans. Signal Process. 61, 2013.

    Examples:
        >>> ones = torch.ones(4, 4)
        >>> risks = stein_risks(3 * ones, 0.01 * ones)
        >>> min(risks, key=lambda norm: risks[norm].risk)
        'nuclear'
    """
    estimate, variances = estimate.double(), variances.double()
    total, size = float(variances.sum()), float(estimate.square().sum())
    kept = max(0.0, 1 - total / size) if size > 0 else 0.0
    steps = torch.linspace(0, 1, _N_THRESHOLDS, dtype=estimate.dtype)
    by_entries, by_values = steps * estimate.abs().max(), steps * torch.linalg.matrix_norm(estimate, 2)
    return {
        "frobenius": SteinRisk(total * (2 * kept - 1) + (1 - kept) ** 2 * size, 1 - kept),
        "nuclear": _least(risk_of_singular_values(estimate, total / estimate.numel(), by_values), by_values),
        "entrywise:1": _least(risk_of_entries(estimate, variances, by_entries), by_entries),
    }


def risk_of_entries(
    estimate: Float[Tensor, "rows columns"], variances: Float[Tensor, "rows columns"], thresholds: Float[Tensor, " k"]
) -> Float[Tensor, " k"]:
    """Stein's estimate of the risk of a soft threshold for each entry (equation 9.9).

    Examples:
        >>> risk_of_entries(torch.tensor([[3.0]]), torch.tensor([[1.0]]), torch.tensor([0.0, 1.0, 4.0]))
        tensor([1., 2., 8.])
    """
    sizes, thresholds = estimate.abs().flatten(), thresholds[:, None]
    kept = (sizes > thresholds) * variances.flatten()
    return 2 * kept.sum(1) - variances.sum() + torch.minimum(sizes, thresholds).square().sum(1)


def risk_of_singular_values(
    estimate: Float[Tensor, "rows columns"], variance: float, thresholds: Float[Tensor, " k"]
) -> Float[Tensor, " k"]:
    """Stein's estimate of the risk of a soft threshold for each singular value (equation 9.10).

    Examples:
        >>> risk_of_singular_values(torch.tensor([[3.0]]), 1.0, torch.tensor([0.0, 1.0, 4.0]))
        tensor([1., 2., 8.])
    """
    sigma, thresholds = torch.linalg.svdvals(estimate), thresholds[:, None]
    shrunk = (sigma - thresholds).clamp_min(0)
    alone = (shrunk > 0) * (1 + abs(estimate.shape[0] - estimate.shape[1]) * shrunk / sigma.clamp_min(_TINY))
    # pairs of singular values: the quotient of differences of σ (σ − t)₊ and σ², its derivative where they are equal
    products, squares = sigma * shrunk, sigma.square()
    difference = squares[:, None] - squares
    near = difference.abs() <= 1e-9 * squares[0]
    quotient = (products[:, :, None] - products[:, None]) / torch.where(near, 1, difference)
    slope = torch.where(shrunk > 0, 1 - thresholds / (2 * sigma.clamp_min(_TINY)), 0)
    pairs = torch.where(near, slope[:, :, None], quotient) * (1 - torch.eye(len(sigma), dtype=sigma.dtype))
    divergence = alone.sum(1) + pairs.sum((1, 2))
    residual = torch.minimum(sigma, thresholds).square().sum(1)
    return residual + variance * (2 * divergence - estimate.numel())


def _least(risks: Tensor, thresholds: Tensor) -> SteinRisk:
    best = int(risks.argmin())
    return SteinRisk(float(risks[best]), float(thresholds[best]))
