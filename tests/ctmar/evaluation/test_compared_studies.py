"""Two studies side by side: differences that were put in, patients and seeds that both share, settings of one alone."""

import math
from pathlib import Path

import pytest
from scipy import stats
from tests.ctmar.evaluation.conftest import PAIRS, MakeRun

from ctmar.config import Judgement
from ctmar.evaluation.compared_studies import ONLY_COLUMNS, SETTING_COLUMNS, shared_settings, unshared_settings
from ctmar.evaluation.measured_study import MeasuredStudy, read_study

PSNR = ("psnr_diff_db_mean", "psnr_diff_db_low", "psnr_diff_db_high")


@pytest.fixture
def make_study(make_run: MakeRun, tmp_path: Path):
    """A study of runs that `make_run` is told of, each in a folder of its own."""

    def make(name: str, runs: list[dict]) -> MeasuredStudy:
        folders = [make_run(**run) for run in runs]
        (tmp_path / name).mkdir()
        return read_study([folder.rename(tmp_path / name / folder.name) for folder in folders], Judgement())

    return make


def plain(seeds, **changes):
    return [{"method": "plain", "seed": seed} | changes for seed in seeds]


def test_a_constant_that_was_added_is_the_difference(make_study):
    one = make_study("a", plain((0, 1), psnr=30.0, non_equivariance=0.5))
    other = make_study("b", plain((0, 1), psnr=30.5, non_equivariance=0.9))
    (row,) = shared_settings(one, other)
    assert tuple(row) == SETTING_COLUMNS
    assert [row[name] for name in PSNR] == pytest.approx([0.5] * 3)
    assert row["ssim_diff_mean"] == 0.0
    assert row["defect_diff_mean"] == pytest.approx(0.04)  # a tenth of what is above
    assert (row["n_seeds"], row["n_patients"], row["n_pairs"]) == (2, 2, len(PAIRS))
    (back,) = shared_settings(other, one)
    assert back["psnr_diff_db_mean"] == pytest.approx(-0.5)


def test_the_interval_is_that_of_the_seeds_where_only_they_vary(make_study):
    one = make_study("a", plain((0, 1, 2)))
    other = make_study("b", [run for seed, gain in enumerate((0.1, 0.4, 0.7)) for run in plain([seed], psnr=30 + gain)])
    (row,) = shared_settings(one, other)
    half = stats.t.ppf(0.975, 2) * 0.3 / math.sqrt(3)
    assert [row[name] for name in PSNR] == pytest.approx([0.4, 0.4 - half, 0.4 + half])


def test_seeds_of_one_fold_are_one_draw(make_study):
    folds = (["x"], ["x"], ["y"], ["y"])
    gains = (0.1, 0.3, 0.5, 0.7)
    one = make_study("a", [run for seed in range(4) for run in plain([seed])])
    other = make_study(
        "b", [run for k in range(4) for run in plain([k], fold=folds[k], psnr=30 + gains[k])]
    )  # A took all of its file: only B has folds
    (row,) = shared_settings(one, other)
    half = stats.t.ppf(0.975, 1) * math.sqrt(2) * 0.2 / math.sqrt(2)
    assert [row[name] for name in PSNR] == pytest.approx([0.4, 0.4 - half, 0.4 + half])


def test_identical_studies_differ_by_nothing(make_study):
    one = make_study("a", [*plain((0, 1)), *plain((0, 1), method="strict")])
    rows = shared_settings(one, one)
    assert [row["method"] for row in rows] == ["plain", "strict"]
    for row in rows:
        assert {value for name, value in row.items() if name.endswith(("_mean", "_low", "_high"))} == {0.0}
    assert unshared_settings(one, one) == []


def test_only_shared_patients_and_seeds_are_paired_whatever_their_order(make_study):
    b, c = ([pair | {"patient": name, "slice_id": f"{name}/1"} for pair in PAIRS[:1]] for name in "bc")
    one = make_study("a", plain((0, 1, 2), pairs=[*PAIRS, *b]))  # PSNR of b: 30 + 12
    other = make_study("b", plain((1, 2, 3), pairs=[*c, *b], psnr=40.0))  # that of b: 40 + 1
    (row,) = shared_settings(one, other)
    assert (row["n_seeds"], row["n_patients"], row["n_pairs"]) == (2, 1, 1)
    assert row["psnr_diff_db_mean"] == pytest.approx(-1.0)
    assert math.isnan(row["psnr_diff_db_low"])  # one patient says nothing of others
    assert math.isnan(row["defect_diff_mean"])  # it was measured on other pairs


@pytest.mark.parametrize("seeds", [(0, 1), (5, 6)])
def test_without_a_shared_patient_or_seed_nothing_is_paired(make_study, seeds):
    others = [pair | {"patient": "z"} for pair in PAIRS] if seeds == (0, 1) else PAIRS
    (row,) = shared_settings(make_study("a", plain((0, 1))), make_study("b", plain(seeds, pairs=others)))
    assert (row["n_seeds"], row["n_patients"], row["n_pairs"]) == (0, 0, 0)
    assert all(math.isnan(value) for name, value in row.items() if name.endswith(("_mean", "_low", "_high")))


def test_settings_of_one_study_or_condition_alone_are_listed(make_study):
    one = make_study("a", [*plain((0, 1)), *plain([0], method="strict"), *plain([0], method="strict", asymmetry=0.2)])
    other = make_study("b", [*plain([0]), *plain([0], method="augmentation")])
    assert [row["method"] for row in shared_settings(one, other)] == ["plain"]
    rows = unshared_settings(one, other)
    assert all(tuple(row) == ONLY_COLUMNS for row in rows)
    assert [(row["study"], row["method"], row["asymmetry"]) for row in rows] == [
        ("A", "strict", 0.0),
        ("A", "strict", 0.2),
        ("B", "augmentation", 0.0),
    ]


def test_a_setting_that_diverged_in_the_other_study_says_so(make_study, make_run, make_diverged):
    one = make_study("a", [*plain((0, 1)), *plain([0], method="strict")])
    lost = make_diverged(method="strict", seed=0)
    other = read_study([make_run(**plain([0])[0]), lost], Judgement())
    (row,) = unshared_settings(one, other)
    assert (row["study"], row["method"], row["why"]) == ("A", "strict", "every run of the other study diverged")
