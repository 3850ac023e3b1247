"""Power of a study before it runs: the design that its file describes, and the closed form of what it decides."""

import math
from pathlib import Path
from statistics import NormalDist

import pytest
from scipy import stats

from ctmar.config import Config, validate_section
from ctmar.estimate.primary_power import common_seeds, patients_of_study, power_text, primary_power, read_variances
from ctmar.evaluation.columns import VARIANCE_COLUMNS
from ctmar.evaluation.intervals import Variances
from ctmar.store.tables import write_rows

LARGE = ["p0", "p1", "p2", "p3", "p4"]
FOLDS = [
    {"train": [LARGE[k % 5], LARGE[(k + 1 + k // 5) % 5]], "validation": [LARGE[(k + 2 - k // 5) % 5]]}
    for k in range(10)
]
PRIMARY = {"method": "projection", "against": "plain"}


def study(seeds: list[int], primary: tuple[dict, ...] = (PRIMARY,), **sections: dict) -> Config:
    runs = [{"method": "plain"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1, 1.0]}]
    values = {"study": {"seeds": seeds, "runs": runs}, "judgement": {"primary": list(primary)}}
    return validate_section(Config, values | sections, "study.yaml")


def crossed(seeds: list[int], n_folds: int = 10) -> Config:
    folds = {"folds": FOLDS[:n_folds]}
    source = {"kind": "package", "patients": [*LARGE, "s0", "s1", "s2", "s3"]}
    return study(seeds, split=folds, source=source)


@pytest.mark.parametrize(
    ("seeds", "n_folds", "expected"),
    [(range(10), 10, (9, 10, 10)), (range(5), 10, (9, 5, 5)), (range(3), 10, (8, 3, 3)), (range(10), 5, (9, 10, 5))],
)
def test_the_design_is_that_of_the_folds(seeds, n_folds, expected):
    config = crossed(list(seeds), n_folds)
    (found,) = primary_power(config, patients_of_study(config, None), {})
    assert (found.n_patients, found.n_seeds, found.n_folds) == expected


def test_half_width_and_difference_are_those_of_the_closed_form():
    """Full table, one comparison, known variances."""
    config = study(list(range(6)), split={"fractions": {"train": 0.5, "validation": 0.2, "test": 0.3}})
    known = {"projection against plain": Variances(0.01, 0.09, 0.0, 2, 2)}
    (found,) = primary_power(config, patients_of_study(config, 20), known)
    assert (found.n_patients, found.n_seeds, found.n_folds) == (6, 6, 1)
    t = stats.t.ppf(0.975, 5)
    half = t * math.sqrt(0.1 / 6)
    assert found.half_width_db == pytest.approx(half)
    assert found.decided_db == pytest.approx(half + NormalDist().inv_cdf(0.8) * math.sqrt(0.1 / 6))


def test_a_fold_for_every_seed_decides_more_than_seeds_that_share_folds():
    apart, shared = (
        primary_power(crossed(list(range(10)), n), patients_of_study(crossed([0]), None), {}) for n in (10, 5)
    )
    assert apart[0].decided_db < 0.8 * shared[0].decided_db


def test_more_primary_comparisons_decide_less():
    both = (PRIMARY, {"method": "plain", "against": "projection"})
    (alone,), (among, _) = (
        primary_power(study(list(range(5)), primary), [f"{k}" for k in range(20)], {}) for primary in ((PRIMARY,), both)
    )
    assert among.half_width_db > alone.half_width_db


def test_seeds_are_those_that_both_sides_have_at_their_largest_setting():
    runs = [
        {"method": "plain", "seeds": [0, 1, 2, 3]},
        {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1], "seeds": [0]},
        {"method": "projection", "norm": ["frobenius"], "lam_perp": [1.0], "seeds": [1, 2, 9]},
    ]
    values = {"study": {"runs": runs}, "judgement": {"primary": [PRIMARY]}}
    config = validate_section(Config, values, "study.yaml")
    assert common_seeds(config, config.judgement.primary[0]) == [1, 2]


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path):
    text = power_text(study([0]), [f"{k}" for k in range(20)], tmp_path / "variances.csv")
    assert "1 seeds, 4 patients tested: no interval" in text


def test_whose_variances_these_are_is_said(tmp_path: Path):
    config = study(list(range(5)))
    path = tmp_path / "variances.csv"
    patients = [f"{k}" for k in range(20)]
    assumed = power_text(config, patients, path)
    assert "as in an audit of another, 0.1 of a patient, 0.29 of a seed" in assumed
    row = dict.fromkeys(VARIANCE_COLUMNS, 0.0) | {
        "comparison": "projection against plain",
        "sd_seed_db": 0.5,
        "n_folds": 0,
    }
    write_rows(path, list(VARIANCE_COLUMNS), [row])
    assert read_variances(path)["projection against plain"].seed == pytest.approx(0.25)
    measured = power_text(config, patients, path)
    assert f"variances of the finished study, {path}" in measured
    assert measured.splitlines()[1] != assumed.splitlines()[1]


def test_unknown_patients_are_asked_for(tmp_path: Path):
    assert "say it with --patients" in power_text(
        study([0, 1]), patients_of_study(study([0, 1]), None), tmp_path / "none"
    )
    assert "names no primary comparison" in power_text(study([0], ()), ["a"], tmp_path / "none")
