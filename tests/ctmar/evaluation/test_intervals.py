"""The interval over patients and seeds against closed forms, and its coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from ctmar.errors import InputError
from ctmar.evaluation.intervals import (
    SIMULATED_COVERAGE,
    over_patients,
    over_patients_and_seeds,
    over_seeds,
    patient_means,
    t_quantile,
)

# paired differences in the default study: standard deviation [dB] of a patient, of a pair of slice and metal, of a seed
MEASURED = {
    "strict - plain": (0.10, 0.17, 0.29),
    "test-time average - plain": (0.10, 0.12, 0.07),
    "EQ-Reg - plain": (0.05, 0.07, 0.09),
}
DESIGNS = [(3, 2), (3, 3), (5, 3), (7, 10), (9, 10), (10, 3)]
N_DRAWS = 10_000


def drawn(n_patients: int, n_seeds: int, deviations: tuple[float, float, float], shared: bool) -> np.ndarray:
    """Tables (n_draws, n_patients, n_seeds) with mean 0; the first patient has 80 pairs, every other four.

    What a pair adds is the same for every seed (``shared``) or drawn anew for each.
    """
    random = np.random.default_rng([n_patients, n_seeds, int(shared)])
    of_patient, of_pair, of_seed = deviations
    patient = random.normal(0, of_patient, (N_DRAWS, n_patients, 1))
    seed = random.normal(0, of_seed, (N_DRAWS, 1, n_seeds))
    n_pairs = np.array([80] + [4] * (n_patients - 1))[None, :, None]
    pairs = random.normal(0, of_pair, (N_DRAWS, n_patients, 1 if shared else n_seeds)) / np.sqrt(n_pairs)
    return patient + seed + pairs


def mean_squares(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of patients and of seeds, for many tables at once."""
    mean = tables.mean(axis=(1, 2))[:, None]
    patients = tables.shape[2] * ((tables.mean(axis=2) - mean) ** 2).sum(axis=1) / (tables.shape[1] - 1)
    seeds = tables.shape[1] * ((tables.mean(axis=1) - mean) ** 2).sum(axis=1) / (tables.shape[2] - 1)
    return patients, seeds


def half_widths(tables: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """The formula of the module, for many tables at once."""
    _, n_patients, n_seeds = tables.shape
    t = stats.t.ppf(1 - alpha / 2, [n_patients - 1, n_seeds - 1]) ** 2
    patients, seeds = mean_squares(tables)
    return np.sqrt((t[0] * patients + t[1] * seeds) / (n_patients * n_seeds))


def coverages() -> dict[tuple, float]:
    found = {}
    for design in DESIGNS:
        for name, deviations in MEASURED.items():
            for shared in (True, False):
                tables = drawn(*design, deviations, shared)
                found[design, name, shared] = float((abs(tables.mean(axis=(1, 2))) <= half_widths(tables)).mean())
    return found


def test_coverage_with_the_variances_of_the_study():
    found = coverages()
    assert min(found.values()) >= 0.94  # wanted is 0.93
    assert (np.floor(100 * min(found.values())) / 100, round(max(found.values()), 2)) == SIMULATED_COVERAGE


@pytest.mark.parametrize("design", DESIGNS)
def test_simulated_is_what_is_used(design):
    tables = drawn(*design, MEASURED["strict - plain"], shared=False)[:20]
    estimates = [over_patients_and_seeds(table) for table in tables]
    np.testing.assert_allclose([one.half_width(0.05) for one in estimates], half_widths(tables))
    np.testing.assert_allclose([one.mean for one in estimates], tables.mean(axis=(1, 2)))


@pytest.mark.parametrize("mix", [(0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3), (0.2, 0.2, 0.2), (0.01, 0, 1)])
@pytest.mark.parametrize("design", [(2, 2), (2, 5), (20, 3), (7, 10)])
def test_whatever_the_variances_the_level_is_kept(design, mix):
    """The theorem: at least 95 %, up to 3.5 standard errors of the simulation."""
    tables = drawn(*design, mix, shared=False)
    assert (abs(tables.mean(axis=(1, 2))) <= half_widths(tables)).mean() >= 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / N_DRAWS)


@pytest.mark.parametrize("axis", [0, 1])
def test_where_one_source_varies_it_is_the_t_interval_of_that_source(axis):
    values = np.random.default_rng(axis).normal(0.3, 1, 6)
    table = np.repeat(np.expand_dims(values, 1 - axis), 4, axis=1 - axis)
    theirs = stats.ttest_1samp(values, 0)
    low, high = theirs.confidence_interval(0.95)
    for estimate in (over_patients_and_seeds(table), over_seeds(values), over_patients(values)):
        found = estimate.interval(0.05)
        assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high))
        assert estimate.p_value() == pytest.approx(theirs.pvalue)


def test_variances_are_those_of_a_balanced_analysis_of_variance():
    """Henderson's estimates from sums of squares written out with loops."""
    table = np.random.default_rng(3).normal(size=(4, 5)) + np.arange(4.0)[:, None] + 2 * np.arange(5.0)
    mean = table.mean()
    squares = {"patient": 0.0, "seed": 0.0, "rest": 0.0}
    for p in range(4):
        for s in range(5):
            squares["patient"] += (table[p].mean() - mean) ** 2 / 3
            squares["seed"] += (table[:, s].mean() - mean) ** 2 / 4
            squares["rest"] += (table[p, s] - table[p].mean() - table[:, s].mean() + mean) ** 2 / 12
    found = over_patients_and_seeds(table).variances
    assert found.rest == pytest.approx(squares["rest"])
    assert found.patient == pytest.approx((squares["patient"] - squares["rest"]) / 5)
    assert found.seed == pytest.approx((squares["seed"] - squares["rest"]) / 4)


def test_variances_are_recovered():
    tables = drawn(7, 10, (0.3, 0.0, 0.2), shared=True) + np.random.default_rng(1).normal(0, 0.1, (N_DRAWS, 7, 10))
    found = [over_patients_and_seeds(table).variances for table in tables[:1000]]
    means = np.mean([(one.patient, one.seed, one.rest) for one in found], axis=0)
    np.testing.assert_allclose(means, [0.09, 0.04, 0.01], rtol=0.06)


def test_frozen_interval():
    table = np.array([[0.1, 0.5, 0.4], [0.3, 0.6, 0.2], [0.0, 0.4, 0.3]])
    found = over_patients_and_seeds(table)
    interval = found.interval(0.05)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.311111, -0.176429, 0.798651), abs=1e-6)
    assert found.p_value() == pytest.approx(0.110999, abs=1e-5)


def test_the_p_value_is_the_level_at_which_the_interval_touches_zero():
    estimate = over_patients_and_seeds(np.random.default_rng(5).normal(0.4, 0.2, (4, 3)))
    assert estimate.half_width(estimate.p_value()) == pytest.approx(estimate.mean)


def test_p_values_of_extremes():
    assert over_seeds(np.zeros(3)).p_value() == 1
    assert over_seeds(np.full(3, 2.0)).p_value() < 1e-90
    assert over_seeds(np.array([1.0, -1.0])).p_value() == pytest.approx(1)
    assert over_seeds(np.array([1e9, 1e9 + 1])).p_value() == pytest.approx(
        stats.ttest_1samp([1e9, 1e9 + 1], 0).pvalue, rel=1e-6
    )


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_patient_or_one_seed_has_no_interval(shape):
    found = over_patients_and_seeds(np.ones(shape))
    assert found.mean == 1
    assert found.variances is None
    assert np.isnan([found.half_width(0.05), found.p_value()]).all()


@pytest.mark.parametrize("over", [over_seeds, over_patients])
def test_one_value_has_no_interval(over):
    assert over(np.array([4.0])).mean == 4
    assert np.isnan(over(np.array([4.0])).half_width(0.05))


def test_order_and_names_do_not_matter():
    values = np.random.default_rng(6).normal(size=(3, 12))
    patients = np.array(list("aabbbbccccdd"))
    order = np.random.default_rng(7).permutation(12)
    once = over_patients_and_seeds(patient_means(values, patients))
    moved = over_patients_and_seeds(patient_means(values[::-1][:, order], np.char.upper(patients)[order]))
    assert (once.mean, once.half_width(0.05)) == pytest.approx((moved.mean, moved.half_width(0.05)))


def test_more_pairs_of_a_patient_are_no_new_information():
    values, patients = np.random.default_rng(8).normal(size=(3, 4)), np.array(list("abcd"))
    once = patient_means(values, patients)
    np.testing.assert_allclose(patient_means(np.repeat(values, 9, axis=1), np.repeat(patients, 9)), once)


@pytest.mark.parametrize("degrees", [1, 2, 9])
def test_quantiles_are_those_of_scipy(degrees):
    assert t_quantile(degrees, 0.025) == pytest.approx(stats.t.ppf(0.975, degrees))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (3,)])
def test_shapes_that_do_not_fit_are_one_line(shape):
    with pytest.raises(InputError, match="expected values"):
        over_patients_and_seeds(np.zeros(shape))


@pytest.mark.parametrize("over", [over_seeds, over_patients])
def test_no_value_is_one_line(over):
    with pytest.raises(InputError, match="expected at least one value"):
        over(np.zeros(0))
