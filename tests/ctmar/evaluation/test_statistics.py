"""The bootstrap against closed forms of balanced designs, and against scipy."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from ctmar.errors import InputError
from ctmar.evaluation.statistics import bootstrap_means, mean_interval, seed_interval

N = 20_000  # bootstrap samples: standard errors are then known to 0.5 %


def balanced(n_patients: int, n_slices: int, n_pairs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Names of patients and slices, one for each pair."""
    names = [(f"p{i}", f"p{i}/{j}") for i in range(n_patients) for j in range(n_slices) for _ in range(n_pairs)]
    return tuple(np.array(column) for column in zip(*names, strict=True))


def test_constant_values_have_an_interval_of_no_width():
    interval = mean_interval(np.full((3, 6), 2.5), *balanced(2, 3), 500, 0, 0.95)
    assert (interval.mean, interval.low, interval.high) == (2.5, 2.5, 2.5)


def test_one_patient_and_one_seed_is_the_plain_bootstrap_over_slices():
    values = np.random.default_rng(0).normal(size=(1, 30))
    means = bootstrap_means(values, *balanced(1, 30), N, 0)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / np.sqrt(30), rel=0.02)
    interval = mean_interval(values, *balanced(1, 30), N, 0, 0.9)
    theirs = bootstrap((values[0],), np.mean, confidence_level=0.9, method="percentile", n_resamples=N, rng=1)
    assert (interval.low, interval.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


def test_variance_over_patients_and_slices():
    # Var = Var(patient means) / P + mean(Var within) / (P n), variances with divisor P and n
    values = np.random.default_rng(1).normal(size=(4, 5)) + np.array([[0.0], [1.0], [-2.0], [3.0]])
    means = bootstrap_means(values.reshape(1, 20), *balanced(4, 5), N, 0)
    expected = values.mean(axis=1).var() / 4 + values.var(axis=1).mean() / (4 * 5)
    assert means.var() == pytest.approx(expected, rel=0.03)


def test_variance_over_seeds_adds_up_when_effects_add():
    seeds, slices = np.array([0.0, 1.0, 5.0]), np.random.default_rng(2).normal(size=12)
    means = bootstrap_means(seeds[:, None] + slices, *balanced(1, 12), N, 0)
    assert means.var() == pytest.approx(seeds.var() / 3 + slices.var() / 12, rel=0.03)


def test_pairs_of_a_slice_stay_together():
    # four copies of each slice hold no more information than one
    values = np.random.default_rng(3).normal(size=8)
    once = bootstrap_means(values[None], *balanced(1, 8), N, 0)
    copied = bootstrap_means(np.repeat(values, 4)[None], *balanced(1, 8, 4), N, 0)
    np.testing.assert_allclose(once, copied)


def test_patients_of_different_sizes_keep_the_mean():
    values = np.random.default_rng(4).normal(size=(2, 40))
    patients = np.array(["a"] * 4 + ["b"] * 16 + ["c"] * 20)
    slices = np.array([f"{patient}/{k}" for k, patient in enumerate(patients)])
    interval = mean_interval(values, patients, slices, 2000, 0, 0.95)
    assert interval.mean == values.mean()
    assert interval.low < interval.mean < interval.high


def test_pairing_removes_what_both_methods_share():
    random = np.random.default_rng(5)
    hard, gain = random.normal(0, 10, size=(2, 20)), random.normal(1, 0.1, size=(2, 20))
    difference = mean_interval((hard + gain) - hard, *balanced(4, 5), 2000, 0, 0.95)
    assert 0.9 < difference.low < difference.high < 1.1
    alone = mean_interval(hard + gain, *balanced(4, 5), 2000, 0, 0.95)
    assert alone.high - alone.low > 20 * (difference.high - difference.low)


def test_order_of_pairs_and_names_do_not_matter():
    values = np.random.default_rng(6).normal(size=(1, 6))
    patients, slices = balanced(2, 3)
    order = [5, 4, 3, 2, 1, 0]
    renamed = np.array([{"p0": "x", "p1": "y"}[name] for name in patients])
    first = bootstrap_means(values, patients, slices, 500, 0)
    np.testing.assert_allclose(first, bootstrap_means(values, renamed, slices, 500, 0))
    moved = bootstrap_means(values[:, order], patients[order], slices[order], 500, 0)
    np.testing.assert_allclose(first, moved)


@pytest.mark.parametrize(("n_patients", "share"), [(2, 0.5), (3, 0.75)])
def test_few_patients_give_the_range_of_their_means(n_patients, share):
    """Which holds the mean of a symmetric population with probability 1 − 2^(1−P): the interval is no 95 % interval."""
    random = np.random.default_rng(7)
    covered = 0
    for draw in range(200):
        means = random.normal(size=n_patients)
        interval = mean_interval(means.repeat(4)[None], *balanced(n_patients, 4), 8000, draw, 0.95)
        assert (interval.low, interval.high) == pytest.approx((means.min(), means.max()))
        covered += interval.low <= 0 <= interval.high
    assert covered / 200 == pytest.approx(share, abs=0.08)


def test_frozen_interval():
    interval = mean_interval(np.arange(12.0).reshape(2, 6), *balanced(2, 3), 1000, 0, 0.95)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((5.5, 0.833333, 10.166667))


def test_seeds_alone():
    values = np.array([1.0, 2.0, 6.0])
    interval = seed_interval(values, N, 0, 0.95)
    # all three draws equal has probability 1/27 > 2.5 %: the interval is the range
    assert (interval.mean, interval.low, interval.high) == (3.0, 1.0, 6.0)
    assert seed_interval(values, N, 0, 0.8).low > 1


def test_a_single_seed_has_no_interval():
    interval = seed_interval(np.array([4.0]), 100, 0, 0.95)
    assert interval.mean == 4
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (3,), (2, 4)])
def test_shapes_that_do_not_fit_are_one_line(shape):
    with pytest.raises(InputError, match="expected values"):
        bootstrap_means(np.zeros(shape), *balanced(1, 3), 10, 0)
