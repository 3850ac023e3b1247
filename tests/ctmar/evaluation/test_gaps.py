"""Superiority, equivalence and power of differences, against closed forms and by simulation."""

import numpy as np
import pytest
from scipy import stats
from tests.ctmar.evaluation.test_crossed_table import mean_squares

from ctmar.evaluation.crossed_table import over_patients_and_seeds
from ctmar.evaluation.gaps import Gap, precision
from ctmar.evaluation.intervals import NOTHING, Variances, over_seeds
from ctmar.evaluation.power import MOST_SEEDS, POWER, Design, decided_distance, decides, expected_half_width, needed

VALUES = np.array([0.02, 0.05, 0.04, 0.01])


def gap(values: np.ndarray, margin: float = 0.1, alpha: float = 0.05) -> Gap:
    return Gap(over_seeds(values), alpha, margin)


@pytest.mark.parametrize("shift", [-0.3, -0.12, -0.1, -0.08, -0.03, 0.0, 0.03, 0.05, 0.08, 0.2])
def test_equivalence_is_two_one_sided_t_tests(shift):
    values = VALUES + shift
    upper = stats.ttest_1samp(values, 0.1, alternative="less").pvalue
    lower = stats.ttest_1samp(values, -0.1, alternative="greater").pvalue
    assert gap(values).close == (max(upper, lower) < 0.05)
    assert gap(values).not_worse == (lower < 0.05)


@pytest.mark.parametrize("shift", [-0.3, -0.1, -0.04, 0.0, 0.05, 0.2])
def test_superiority_is_the_two_sided_t_test(shift):
    values = VALUES + shift
    p_value = stats.ttest_1samp(values, 0).pvalue
    assert gap(values).above == (p_value < 0.05 and values.mean() > 0)
    assert gap(values).below == (p_value < 0.05 and values.mean() < 0)


def test_a_small_difference_can_be_both_above_zero_and_close():
    found = gap(VALUES)
    assert (found.above, found.close, found.far, found.worse) == (True, True, False, False)


def test_without_an_interval_nothing_is_said():
    found = gap(np.array([5.0]))
    assert not any((found.above, found.below, found.close, found.far, found.not_worse, found.worse))
    assert found.text == "+5.00 dB (no interval)"
    assert Gap(NOTHING, 0.05, 0.1).text == "no seed in common"


def test_a_false_equivalence_is_as_rare_as_its_level():
    """At the edge of the margin two one-sided tests say "close" with probability alpha at most."""
    random = np.random.default_rng(0)
    tables = 0.1 + random.normal(0, 0.01, (2000, 7, 1)) + random.normal(0, 0.02, (2000, 1, 10))
    found = [Gap(over_patients_and_seeds(table), 0.05, 0.1).close for table in tables]
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("variances", [(0.1**2, 0.29**2, 0.04**2), (0.1**2, 0.07**2, 0.03**2), (0.0, 0.2**2, 0.0)])
@pytest.mark.parametrize("distance", [0.15, 0.3])
def test_the_named_design_has_the_named_power(variances, distance):
    known = Variances(*variances, n_patients=7, n_seeds=3)
    design = needed(known, distance, 0.05)
    random = np.random.default_rng(1)
    shape = (4000, design.n_patients, design.n_seeds)
    tables = distance + sum(
        random.normal(0, np.sqrt(variance), size)
        for variance, size in zip(variances, ((*shape[:2], 1), (shape[0], 1, shape[2]), shape), strict=True)
    )
    patients, seeds = mean_squares(tables)
    t = stats.t.ppf(0.975, [design.n_patients - 1, design.n_seeds - 1])
    half = np.sqrt((t[0] ** 2 * patients + t[1] ** 2 * seeds) / np.prod(shape[1:]))
    power = (tables.mean(axis=(1, 2)) > half).mean()
    assert POWER - 0.06 < power < POWER + 0.15  # whole seeds round up, and few make big steps


def test_more_seeds_of_the_same_folds_leave_what_a_fold_adds():
    """Ten seeds in five folds, against the closed form; no number of seeds goes below what the folds add."""
    known = Variances(0.01, 0.0841, 0.0, n_patients=9, n_seeds=10, fold=0.0225, n_folds=5)
    for n_seeds in (10, 50):
        square = 0.0841 / n_seeds + 0.0225 / 5
        t = stats.t.ppf(0.975, [8, 4])
        half = np.sqrt(t[0] ** 2 * 0.01 / 9 + t[1] ** 2 * square)
        error = np.sqrt(0.01 / 9 + square)
        found = decided_distance(known, Design(9, n_seeds), 0.05)
        assert found == pytest.approx(half + stats.norm.ppf(POWER) * error)
        assert expected_half_width(known, Design(9, n_seeds), 0.05) == pytest.approx(half)
    assert needed(known, 0.2, 0.05) is None
    estimate = over_seeds(np.array([0.1, 0.4, -0.2, 0.3, 0.0, 0.2]), np.array([0, 1, 2, 0, 1, 2]))
    assert "seeds in 3 folds for 80% power" in Gap(estimate, 0.05, 0.1).precision((0.5,), decided=False)


def test_one_seed_fewer_does_not_do():
    known = Variances(0.01, 0.0841, 0.0014, n_patients=7, n_seeds=3)
    design = needed(known, 0.3, 0.05)
    assert design.n_patients == 7
    assert decides(known, design, 0.3, 0.05)
    assert not decides(known, Design(7, design.n_seeds - 1), 0.3, 0.05)


def test_where_seeds_do_not_do_patients_are_asked_for():
    known = Variances(0.01, 0.0049, 0.0007, n_patients=3, n_seeds=3)
    design = needed(known, 0.1, 0.05)
    assert design.n_patients > 3
    assert not decides(known, Design(design.n_patients - 1, MOST_SEEDS), 0.1, 0.05)


def test_what_nothing_can_decide():
    assert needed(Variances(100.0, 100.0, 0.0, 3, 3), 0.01, 0.05) is None
    assert needed(Variances(0.1, 0.1, 0.0, 3, 3), 0.0, 0.05) is None


def test_a_mean_over_seeds_asks_for_seeds_alone():
    design = needed(Variances(0.0, 1.0, 0.0, 1, 4), 1.0, 0.05)
    n = design.n_seeds
    assert design.n_patients == 1
    half = [stats.t.ppf(0.975, k - 1) / np.sqrt(k) + stats.norm.ppf(POWER) / np.sqrt(k) for k in (n - 1, n)]
    assert half[1] <= 1 < half[0]
    assert "would need about" in gap(np.array([0.4, -0.2, 0.5])).precision((0.0,), decided=False)
    assert "patients" not in gap(np.array([0.4, -0.2, 0.5])).precision((0.0,), decided=False)


def test_a_decided_difference_shows_its_half_width_alone():
    assert gap(VALUES + 0.1).precision((0.0,), decided=True) == "Half-width now 0.03 dB."


def test_a_limit_next_to_a_threshold_is_a_close_call():
    """The two-sided interval decides "above", the one-sided limits "close": both are looked at."""
    found = gap(VALUES)
    for alpha in (0.05, 0.1):
        interval = found.estimate.interval(alpha)
        for limit in (interval.low, interval.high):
            assert found.is_close_call((limit + 0.09 * found.half_width,))
    assert not found.is_close_call((found.mean, found.interval.low - 0.11 * found.half_width))
    assert found.precision((found.interval.low,), decided=True) == (
        "Half-width now 0.03 dB and a limit within a tenth of that from the threshold, so that rounding may turn the"
        " verdict."
    )


def test_small_distances_are_not_asked_for():
    assert gap(VALUES).distance((0.0,)) == 0.1  # the mean is 0.03 dB
    assert gap(VALUES + 1).distance((0.0,)) == pytest.approx(1.03)
    assert gap(VALUES + 1).distance((-0.1, 0.1)) == pytest.approx(0.93)
    assert gap(VALUES - 1).distance((-0.1, 0.1)) == pytest.approx(0.87)
    assert gap(VALUES + 1).distance((-0.1,)) == pytest.approx(1.13)  # "not worse" has one side
    assert "from −0.1." in gap(VALUES - 0.15).precision((-0.1,), decided=False)


def test_of_several_the_least_certain_is_named():
    random = np.random.default_rng(2)
    found = {"sure": gap(random.normal(1, 0.01, 4)), "unsure": gap(random.normal(0, 1, 4))}
    assert precision(found, (0.0,), decided=False).startswith("Least certain, unsure: half-width now")
    assert precision({}, (0.0,), decided=False) == ""
