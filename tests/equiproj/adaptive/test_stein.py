"""Stein's estimates are unbiased, and choose the norm that a matrix was made for."""

import pytest
import torch
from torch import Tensor

from equiproj.adaptive import ScoreTest, choose_norm
from equiproj.adaptive.stein import risk_of_entries, risk_of_singular_values, stein_risks

SHAPE = (10, 14)


def dense() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def low_rank() -> Tensor:
    left, right = torch.randn(2, 14, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return torch.outer(left[:10], right)


def sparse() -> Tensor:
    entries = torch.zeros(SHAPE, dtype=torch.float64)
    entries[[0, 3, 7], [5, 2, 11]] = torch.tensor([6.0, -8.0, 5.0], dtype=torch.float64)
    return entries


TRUTHS = {"dense": dense(), "low rank": low_rank(), "sparse": sparse()}


def soft(values: Tensor, threshold: float) -> Tensor:
    return values.sign() * (values.abs() - threshold).clamp_min(0)


def thresholded(noisy: Tensor, threshold: float, norm: str) -> Tensor:
    if norm == "entrywise:1":
        return soft(noisy, threshold)
    left, sigma, right = torch.linalg.svd(noisy, full_matrices=False)
    return left @ (soft(sigma, threshold)[..., None] * right)


@pytest.mark.parametrize("norm", ["entrywise:1", "nuclear"])
@pytest.mark.parametrize("kind", TRUTHS)
def test_theorem_the_estimated_risk_is_the_risk_on_average(norm, kind):
    threshold, scale, truth = 1.5 if norm == "entrywise:1" else 4.0, 0.8, TRUTHS[kind]
    noise = torch.randn(400, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    noisy = truth + scale * noise
    risks = (thresholded(noisy, threshold, norm) - truth).square().sum((1, 2))
    thresholds = torch.tensor([threshold], dtype=torch.float64)
    if norm == "entrywise:1":
        variances = torch.full(SHAPE, scale**2, dtype=torch.float64)
        estimated = [risk_of_entries(each, variances, thresholds).item() for each in noisy]
    else:
        estimated = [risk_of_singular_values(each, scale**2, thresholds).item() for each in noisy]
    difference = torch.tensor(estimated) - risks
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / len(difference) ** 0.5 + 0.01 * risks.mean()


@pytest.mark.parametrize(("kind", "norm"), [("dense", "frobenius"), ("low rank", "nuclear"), ("sparse", "entrywise:1")])
def test_each_kind_of_matrix_gets_its_norm(kind, norm):
    variances = torch.full(SHAPE, 0.25, dtype=torch.float64)
    draws = torch.randn(39, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    size = (0.25 + TRUTHS[kind].square().mean()).sqrt()
    chosen = [
        choose_norm(ScoreTest((), {"w": TRUTHS[kind] + 0.5 * noise}, {"w": variances}, {"w": size * draws})).norm
        for noise in torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    ]
    assert chosen.count(norm) >= 18


def test_the_risk_of_linear_shrinkage_in_closed_form():
    ones = torch.ones(2, 2)
    assert stein_risks(2 * ones, ones)["frobenius"].risk == pytest.approx(4 - 16 / 16)  # v − v²/‖z‖², v = 4
    assert stein_risks(2 * ones, ones)["frobenius"].threshold == pytest.approx(0.25)


def test_zeros_and_equal_singular_values_have_risks():
    zero = torch.zeros(3, 3)
    assert all(risk.risk == 0 for risk in stein_risks(zero, zero).values())
    found = stein_risks(torch.eye(3), torch.full((3, 3), 0.01))
    assert all(torch.tensor(risk.risk).isfinite() for risk in found.values())


def test_too_few_draws_cannot_choose():
    ones = torch.ones(3, 3)
    with pytest.raises(ValueError, match=r"expected score_test\(n_draws=39\) or more to choose a norm, found 5 draws"):
        choose_norm(ScoreTest((), {"w": ones}, {"w": ones}, {"w": ones.expand(5, 3, 3)}))
