"""Intervals of a median: the binomial law, the quantile test of scipy, and how many rounds decide."""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm, quantile_test

from ctmar.evaluation.medians import CONFIDENCE, FEWEST_ROUNDS, coverage_of, median_interval, rounds_to_decide
from ctmar.evaluation.power import POWER


@pytest.mark.parametrize("n_rounds", [6, 7, 9, 12, 30])
def test_the_coverage_is_that_of_fair_coins(n_rounds):
    found = median_interval(range(n_rounds))
    assert found.coverage == pytest.approx(1 - 2 * binom.cdf(found.low, n_rounds, 0.5))
    assert found.coverage >= CONFIDENCE > coverage_of(n_rounds, int(found.low) + 2)


def test_closed_forms():
    assert coverage_of(6, 1) == 1 - 2 * 2**-6
    assert coverage_of(3, 1) == 0.75  # of the three repeats on which verdicts on cost once hung
    assert math.isclose(coverage_of(9, 2), 1 - 20 / 512)


def test_scipy_finds_the_same_limits():
    values = np.random.default_rng(0).lognormal(size=25)
    found, oracle = median_interval(values.tolist()), quantile_test(values, q=0, p=0.5)
    limits = oracle.confidence_interval(confidence_level=CONFIDENCE)
    assert (found.low, found.high) == (limits.low, limits.high)


def test_fewer_rounds_have_no_such_interval():
    with pytest.raises(ValueError, match="6 rounds or more, found 5"):
        median_interval([1.0] * (FEWEST_ROUNDS - 1))
    assert coverage_of(FEWEST_ROUNDS - 1, 1) < CONFIDENCE < coverage_of(FEWEST_ROUNDS, 1)


def test_rounds_to_decide_have_the_power_that_they_are_said_to_have():
    """Of normal rounds, by simulation: with so many the interval lies beside the threshold four times out of five."""
    n_rounds, distance = 401, 0.3
    interval = median_interval(norm.ppf((np.arange(n_rounds) + 0.5) / n_rounds).tolist())
    needed = rounds_to_decide(interval, n_rounds, interval.middle + distance)
    rounds = np.sort(np.random.default_rng(1).normal(size=(2000, needed)), axis=1)
    limits = median_interval(range(needed))
    assert np.mean(rounds[:, limits.high] < distance) == pytest.approx(POWER, abs=0.05)


def test_what_lies_on_the_threshold_is_never_decided():
    interval = median_interval([1, 2, 3, 4, 5, 6])
    assert rounds_to_decide(interval, 6, 3.5) is None
    assert rounds_to_decide(interval, 6, 3.5 + 1e-6) is None
