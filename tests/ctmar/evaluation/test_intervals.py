"""Means of one source of variation, quantiles and p-values, against scipy."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from ctmar.errors import InputError
from ctmar.evaluation.intervals import REALS, over_patients, over_seeds, t_quantile


def test_the_p_value_is_the_level_at_which_the_interval_touches_zero():
    estimate = over_seeds(np.random.default_rng(5).normal(0.4, 0.2, 4))
    assert estimate.half_width(estimate.p_value()) == pytest.approx(estimate.mean)


def test_p_values_of_extremes():
    assert over_seeds(np.zeros(3)).p_value() == 1
    assert over_seeds(np.full(3, 2.0)).p_value() < 1e-90
    assert over_seeds(np.array([1.0, -1.0])).p_value() == pytest.approx(1)
    assert over_seeds(np.array([1e9, 1e9 + 1])).p_value() == pytest.approx(
        stats.ttest_1samp([1e9, 1e9 + 1], 0).pvalue, rel=1e-6
    )


def test_seeds_of_one_fold_are_one_draw_of_its_patients():
    """Three folds of two seeds: the t interval of the folds' means."""
    values = np.random.default_rng(2).normal(size=6)
    found = over_seeds(values, np.array([0, 1, 2, 0, 1, 2])).interval(0.05)
    low, high = stats.ttest_1samp((values[:3] + values[3:]) / 2, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_study_of_one_fold_speaks_about_its_seeds():
    values = np.random.default_rng(2).normal(size=6)
    assert over_seeds(values, np.full(6, 3)) == over_seeds(values)


def test_unequal_folds_keep_the_mean_of_the_seeds():
    """Weights n_k / S in the mean, and in the variance that follows from it."""
    values = np.array([1.0, 2.0, 4.0])
    found = over_seeds(values, np.array([0, 0, 1]))
    assert found.mean == pytest.approx(7 / 3)
    around = np.array([2 / 3 * (1.5 - 7 / 3), 1 / 3 * (4 - 7 / 3)])
    assert found.parts == ((pytest.approx(2 * (around**2).sum()), 1),)


@pytest.mark.parametrize("over", [over_seeds, over_patients])
def test_one_value_has_no_interval(over):
    assert over(np.array([4.0])).mean == 4
    assert over(np.array([4.0])).variances is None
    assert np.isnan(over(np.array([4.0])).half_width(0.05))


@pytest.mark.parametrize("degrees", [1, 2, 9])
def test_quantiles_are_those_of_scipy(degrees):
    assert t_quantile(degrees, 0.025) == pytest.approx(stats.t.ppf(0.975, degrees))


@pytest.mark.parametrize("over", [over_seeds, over_patients])
def test_no_value_is_one_line(over):
    with pytest.raises(InputError, match="expected at least one value"):
        over(np.zeros(0))


@pytest.mark.parametrize("n", [2, 3, 9])
def test_limits_lie_in_the_range_and_come_near_those_of_t_where_the_ends_are_far(n):
    generator = np.random.default_rng(n)
    for values, within in (
        (generator.beta(49, 1, n), (0.0, 1.0)),
        (generator.beta(0.5, 0.5, n), (0.0, 1.0)),
        (generator.lognormal(0, 2, n), (0.0, np.inf)),
    ):
        found = over_seeds(values).interval(0.05, within)
        assert within[0] < found.low < found.mean < found.high < within[1]
        assert found.mean == values.mean()
    values = 0.5 + 1e-5 * generator.normal(size=n)
    whole, bounded = (over_seeds(values).interval(0.05, within) for within in (REALS, (0.0, 1.0)))
    assert (bounded.low, bounded.high) == pytest.approx((whole.low, whole.high), abs=1e-6)


def test_on_the_other_scale_the_limits_are_as_far_from_the_mean_as_the_derivative_says():
    estimate = over_seeds(np.array([0.9, 0.95, 0.99]))
    half, mean = estimate.half_width(0.05), estimate.mean
    share, size = estimate.interval(0.05, (0.0, 1.0)), estimate.interval(0.05, (0.0, np.inf))
    for limit, sign in ((share.low, -1), (share.high, 1)):
        assert logit(limit) == pytest.approx(logit(mean) + sign * half / (mean * (1 - mean)))
    assert np.log([size.low, size.high]) == pytest.approx(np.log(mean) + np.array([-1, 1]) * half / mean)


def test_at_an_end_of_the_range_all_values_are_alike_and_the_interval_is_a_point():
    for value in (0.0, 1.0):
        found = over_seeds(np.full(3, value)).interval(0.05, (0.0, 1.0))
        assert (found.low, found.high) == (value, value)


def test_near_an_end_the_interval_covers_better_than_that_of_t():
    """Nine shares with the mean 0.98: the simulated coverages that the module tells of."""
    draws = np.random.default_rng(1).beta(49, 1, (4000, 9))
    covered = dict.fromkeys((REALS, (0.0, 1.0)), 0)
    for values in draws:
        estimate = over_seeds(values)
        for within in covered:
            found = estimate.interval(0.05, within)
            covered[within] += found.low <= 0.98 <= found.high
    t, bounded = (n / len(draws) for n in covered.values())
    assert t == pytest.approx(0.90, abs=0.015)
    assert bounded == pytest.approx(0.93, abs=0.015)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("of", [over_seeds, over_patients])
def test_an_infinite_value_leaves_no_number(of):
    estimate = of(np.array([1.0, np.inf, 2.0]))
    assert np.isnan([estimate.mean, estimate.half_width(0.05), estimate.p_value()]).all()
