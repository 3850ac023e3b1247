"""The mean over patients and seeds: closed forms in full tables, coverage by simulation in all."""

import numpy as np
import pytest
from scipy import stats

from ctmar.errors import InputError
from ctmar.evaluation.crossed_table import over_patients_and_seeds, patient_means
from ctmar.evaluation.intervals import SIMULATED_COVERAGE, SIMULATED_WIDTH, over_patients, over_seeds

# paired differences in the default study: standard deviation [dB] of a patient, of a pair of slice and metal, of a
# seed, of a fold
MEASURED = {
    "strict - plain": (0.10, 0.17, 0.29, 0.0),
    "test-time average - plain": (0.10, 0.12, 0.07, 0.0),
    "EQ-Reg - plain": (0.05, 0.07, 0.09, 0.0),
    "strict - plain, folds differ": (0.10, 0.17, 0.29, 0.15),
    "test-time average - plain, folds differ": (0.10, 0.12, 0.07, 0.15),
    "absolute": (3.0, 1.0, 0.2, 0.1),
}
N_DRAWS = 10_000
N_LARGE, N_SINGLE = 5, 4  # patients of many slices, which train in some folds; and of one slice, which only test


def measured_cells(n_seeds: int, n_folds: int) -> np.ndarray:
    """Which seed tests which patient (n_patients, n_seeds) where fold k tests the large patients k + 3 and k + 4."""
    table = np.zeros((N_LARGE + N_SINGLE, n_seeds), bool)
    table[N_LARGE:] = True
    for seed in range(n_seeds):
        fold = seed % n_folds
        table[[(fold + 3) % N_LARGE, (fold + 4) % N_LARGE], seed] = True
    return table[table.any(axis=1)]


# cells that are measured, and the fold of each seed
DESIGNS = {
    **{f"{p} patients x {s} seeds": (np.ones((p, s), bool), np.arange(s)) for p, s in ((3, 2), (3, 3), (10, 3))},
    "7 patients x 10 seeds": (np.ones((7, 10), bool), np.arange(10)),
    **{
        f"{n_seeds} seeds in {n_folds} folds": (measured_cells(n_seeds, n_folds), np.arange(n_seeds) % n_folds)
        for n_seeds, n_folds in ((3, 10), (5, 10), (10, 10), (10, 5), (20, 10))
    },
}


def drawn(cells: np.ndarray, folds: np.ndarray, deviations: tuple[float, ...], shared: bool = False) -> np.ndarray:
    """Tables (n_draws, n_patients, n_seeds) with mean 0; the first patient has 80 pairs, every other four.

    What a pair adds is the same for every seed (``shared``) or drawn anew for each.
    """
    n_patients, n_seeds = cells.shape
    random = np.random.default_rng([n_patients, n_seeds, int(shared)])
    of_patient, of_pair, of_seed, of_fold = deviations
    patient = random.normal(0, of_patient, (N_DRAWS, n_patients, 1))
    seed = random.normal(0, of_seed, (N_DRAWS, 1, n_seeds))
    fold = random.normal(0, of_fold, (N_DRAWS, 1, folds.max() + 1))[:, :, folds]
    n_pairs = np.array([80] + [4] * (n_patients - 1))[None, :, None]
    pairs = random.normal(0, of_pair, (N_DRAWS, n_patients, 1 if shared else n_seeds)) / np.sqrt(n_pairs)
    return np.where(cells, patient + seed + fold + pairs, np.nan)


def completed(tables: np.ndarray) -> np.ndarray:
    """Tables without holes: what the additive fit by least squares (normal equations) says of every cell."""
    cells = ~np.isnan(tables[0])
    n_patients = len(cells)
    normal = np.block([[np.diag(cells.sum(axis=1)), cells], [cells.T, np.diag(cells.sum(axis=0))]])
    filled = np.nan_to_num(tables)
    totals = np.concatenate([filled.sum(axis=2), filled.sum(axis=1)], axis=1)
    effects = np.linalg.lstsq(normal.astype(float), totals.T, rcond=None)[0].T
    return effects[:, :n_patients, None] + effects[:, None, n_patients:]


def mean_squares(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of patients and of seeds, for many full tables at once."""
    mean = tables.mean(axis=(1, 2))[:, None]
    patients = tables.shape[2] * ((tables.mean(axis=2) - mean) ** 2).sum(axis=1) / (tables.shape[1] - 1)
    seeds = tables.shape[1] * ((tables.mean(axis=1) - mean) ** 2).sum(axis=1) / (tables.shape[2] - 1)
    return patients, seeds


def half_widths(tables: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """Of full tables of seeds without folds: patients and seeds by the analysis of variance."""
    t = stats.t.ppf(1 - alpha / 2, [tables.shape[1] - 1, tables.shape[2] - 1]) ** 2
    patients, seeds = mean_squares(tables)
    return np.sqrt((t[0] * patients + t[1] * seeds) / (tables.shape[1] * tables.shape[2]))


def intervals(tables: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and half-widths: tables are completed, and folds of equal size are columns of their means."""
    full = completed(tables)
    columns = np.stack([full[:, :, folds == fold].mean(axis=2) for fold in np.unique(folds)], axis=2)
    return columns.mean(axis=(1, 2)), half_widths(columns)


def known_half_width(cells: np.ndarray, folds: np.ndarray, deviations: tuple[float, ...]) -> float:
    """Half the interval if patients, seeds and folds were all that varies and their variances were known."""
    of_patient, _, of_seed, of_fold = deviations
    variance = of_patient**2 / len(cells) + of_seed**2 / len(folds) + of_fold**2 / len(set(folds))
    return 1.96 * float(np.sqrt(variance))


def test_coverage_with_the_variances_of_the_study():
    """The table that the report quotes; run with -s to see it."""
    coverage, width = {}, {}
    for design, (cells, folds) in DESIGNS.items():
        for name, deviations in MEASURED.items():
            for shared in (True, False):
                mean, half = intervals(drawn(cells, folds, deviations, shared), folds)
                coverage[design, name, shared] = float((abs(mean) <= half).mean())
            width[design, name] = float(half.mean() / known_half_width(cells, folds, deviations))
            worst = min(coverage[design, name, shared] for shared in (True, False))
            print(f"{design:24} {name:40} coverage {worst:.3f} mean half-width {half.mean():.3f} dB,", end=" ")
            print(f"{width[design, name]:.2f} of that with known variances")
    assert min(coverage.values()) >= 0.94  # wanted is 0.93
    assert tuple(round(edge(coverage.values()), 2) for edge in (min, max)) == SIMULATED_COVERAGE
    own = [ratio for (design, name), ratio in width.items() if design == "10 seeds in 10 folds" and "-" in name]
    assert (round(min(own), 1), round(max(own), 1)) == SIMULATED_WIDTH


@pytest.mark.parametrize("design", DESIGNS)
def test_simulated_is_what_is_used(design):
    cells, folds = DESIGNS[design]
    tables = drawn(cells, folds, MEASURED["strict - plain, folds differ"])[:20]
    estimates = [over_patients_and_seeds(table, folds) for table in tables]
    mean, half = intervals(tables, folds)
    np.testing.assert_allclose([one.half_width(0.05) for one in estimates], half)
    np.testing.assert_allclose([one.mean for one in estimates], mean, atol=1e-12)


def test_a_full_table_of_seeds_without_folds_has_the_mean_squares_of_its_analysis_of_variance():
    cells, folds = DESIGNS["7 patients x 10 seeds"]
    tables = drawn(cells, folds, MEASURED["strict - plain"])[:20]
    for one, table, half in zip(map(over_patients_and_seeds, tables), tables, half_widths(tables), strict=True):
        assert (one.mean, one.half_width(0.05)) == pytest.approx((table.mean(), half))


@pytest.mark.parametrize("mix", [(0.3, 0, 0, 0), (0, 0, 0.3, 0), (0, 0.3, 0, 0), (0.2, 0.2, 0.2, 0.2), (0, 0, 0, 0.3)])
@pytest.mark.parametrize("design", ["3 patients x 2 seeds", "5 seeds in 10 folds", "10 seeds in 5 folds"])
def test_whatever_the_variances_the_level_is_kept(design, mix):
    """The theorem, whose conditions hold in full tables: at least 95 %, up to 3.5 standard errors of the simulation."""
    cells, folds = DESIGNS[design]
    mean, half = intervals(drawn(cells, folds, mix), folds)
    assert (abs(mean) <= half).mean() >= 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / N_DRAWS)


def test_folds_that_are_not_told_apart_would_cover_too_little():
    """Why seeds of one fold count as one: 10 seeds in 5 folds, seeds taken for independent."""
    cells, folds = DESIGNS["10 seeds in 5 folds"]
    tables = drawn(cells, folds, (0.1, 0.12, 0.07, 0.15))
    together, apart = intervals(tables, folds), intervals(tables, np.arange(10))
    assert (abs(apart[0]) <= apart[1]).mean() < 0.91 < 0.95 < (abs(together[0]) <= together[1]).mean()


@pytest.mark.parametrize(("deviation", "expected"), [(0.05, 0.95), (0.10, 0.93), (0.15, 0.90)])
def test_training_patients_that_folds_share_are_not_in_the_interval(deviation, expected):
    """What the report warns of: ten folds are the ten pairs of five patients, and no draws of other patients."""
    cells, folds = DESIGNS["10 seeds in 10 folds"]
    shares = np.zeros((10, N_LARGE))
    for fold in range(10):
        shares[fold, [fold % N_LARGE, (fold + 1 + fold // N_LARGE) % N_LARGE]] = 0.5
    # of two patients each, so that models of different folds differ with this deviation
    patients = np.random.default_rng(0).normal(0, deviation * np.sqrt(2), (N_DRAWS, N_LARGE))
    mean, half = intervals(drawn(cells, folds, MEASURED["strict - plain"]) + (patients @ shares.T)[:, None], folds)
    assert (abs(mean) <= half).mean() == pytest.approx(expected, abs=0.008)


def test_which_patients_a_seed_tests_does_not_move_the_mean():
    """Patients that differ by decibels and seeds alike: the additive fit finds the mean of the full table."""
    cells, folds = DESIGNS["10 seeds in 10 folds"]
    random = np.random.default_rng(0)
    full = random.normal(0, 3, (9, 1)) + random.normal(0, 1, 10)
    found = over_patients_and_seeds(np.where(cells, full, np.nan), folds)
    assert found.mean == pytest.approx(full.mean())
    assert found.half_width(0.05) == pytest.approx(float(half_widths(full[None])[0]))


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


@pytest.mark.parametrize("design", ["7 patients x 10 seeds", "10 seeds in 10 folds", "20 seeds in 10 folds"])
def test_variances_are_recovered(design):
    cells, folds = DESIGNS[design]
    tables = drawn(cells, folds, (0.3, 0.0, 0.4, 0.3))[:1000]
    tables = tables + np.random.default_rng(1).normal(0, 0.1, tables.shape)
    found = [over_patients_and_seeds(table, folds).variances for table in tables]
    means = np.mean([(one.patient, one.seed, one.fold, one.rest * cells.mean()) for one in found], axis=0)
    apart = len(set(folds)) < len(folds)
    expected = [0.09, 0.16 if apart or design.startswith("7") else 0.25, 0.09 if apart else 0.0, 0.01]
    np.testing.assert_allclose(means, expected if not design.startswith("7") else [0.09, 0.25, 0, 0.01], rtol=0.1)


def test_frozen_interval():
    table = np.array([[0.1, 0.5, 0.4], [0.3, 0.6, 0.2], [0.0, 0.4, 0.3]])
    found = over_patients_and_seeds(table)
    interval = found.interval(0.05)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.311111, -0.176429, 0.798651), abs=1e-6)
    assert found.p_value() == pytest.approx(0.110999, abs=1e-5)


def test_patients_and_seeds_without_a_value_do_not_count():
    table = np.random.default_rng(4).normal(size=(4, 3))
    wider = np.pad(table, ((0, 1), (0, 1)), constant_values=np.nan)
    once, again = over_patients_and_seeds(table, np.arange(3)), over_patients_and_seeds(wider, np.arange(4))
    assert (once.mean, once.half_width(0.05)) == pytest.approx((again.mean, again.half_width(0.05)))
    assert once.variances == again.variances


def test_folds_that_test_disjoint_patients_are_the_units():
    """Plain cross-validation, two patients and two seeds in each of six folds: the t interval of the folds' means."""
    random = np.random.default_rng(9)
    table = np.full((12, 12), np.nan)
    for k in range(6):
        own = slice(2 * k, 2 * k + 2)
        table[own, own] = random.normal(0, 0.3) + random.normal(0, 0.1, (2, 2))
    found = over_patients_and_seeds(table, np.arange(12) // 2)
    means = [np.nanmean(table[2 * k : 2 * k + 2]) for k in range(6)]
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (found.interval(0.05).low, found.interval(0.05).high) == pytest.approx((low, high))


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_patient_or_one_seed_has_no_interval(shape):
    found = over_patients_and_seeds(np.ones(shape))
    assert found.mean == 1
    assert found.variances is None
    assert np.isnan([found.half_width(0.05), found.p_value()]).all()


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


@pytest.mark.parametrize("table", [np.zeros((0, 3)), np.zeros((2, 0)), np.zeros(3), np.full((2, 3), np.nan)])
def test_tables_without_values_are_one_line(table):
    with pytest.raises(InputError, match="expected values"):
        over_patients_and_seeds(table)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("folds", [None, [0, 0, 1]])
def test_an_infinite_value_leaves_no_number(folds):
    table = np.array([[1.0, np.inf, 2.0], [1.5, 2.0, np.nan]])
    estimate = over_patients_and_seeds(table, folds)
    assert np.isnan([estimate.mean, estimate.half_width(0.05), estimate.p_value()]).all()
