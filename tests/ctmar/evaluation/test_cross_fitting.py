"""Studies whose seeds test different patients, and studies under several conditions."""

import numpy as np
import pandas as pd
import pytest

from ctmar.config import Judgement
from ctmar.errors import InputError
from ctmar.evaluation.collect import _rows_of_condition, collect
from ctmar.evaluation.columns import METRICS, dial_columns
from ctmar.evaluation.compared_models import over_common_seeds
from ctmar.evaluation.crossed_table import over_patients_and_seeds
from ctmar.evaluation.dial import dial_rows
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.pair_metrics import write_slices
from ctmar.store.tables import read_rows, write_rows

from .conftest import PAIRS

SETTINGS = Judgement()
PATIENTS = "abcdefg"
LARGE = "abcde"  # train in some folds; f and g are tested by every seed


def in_test(fold: int) -> list[str]:
    return [LARGE[(fold + 3) % 5], LARGE[(fold + 4) % 5], "f", "g"]


def in_training(fold: int) -> list[str]:
    return [LARGE[fold % 5], LARGE[(fold + 1 + fold // 5) % 5]]


def effects(method: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(len(method))
    return {
        "patient": random.normal(0, 0.1, 7),
        "seed": random.normal(0, 0.3, 10),
        "both": random.normal(0, 0.05, (7, 10)),
    }


@pytest.fixture
def cross_fitted(make_run):
    """Two methods, ten seeds of a fold each; PSNR is a patient's effect, a seed's, and one of both."""

    def make(**settings):
        runs = []
        for method, level in (("plain", 30.0), ("strict", 30.5)):
            found = effects(method)
            for seed in range(10):
                own = [
                    {**PAIRS[0], "patient": name, "slice_id": f"{name}/1/{k}", "mask_index": k}
                    for name in in_test(seed)
                    for k in range(2 if name in LARGE else 1)
                ]
                folder = make_run(method, seed=seed, pairs=own, fold=in_training(seed), **settings)
                places = [PATIENTS.index(pair["patient"]) for pair in own]
                values = level + found["patient"][places] + found["seed"][seed] + found["both"][places, seed]
                rows = read_rows(folder / "slices.csv", ())
                write_slices(folder / "slices.csv", [r | {"psnr_db": v} for r, v in zip(rows, values, strict=True)])
                runs.append(folder)
        return runs

    return make


def test_differences_are_paired_within_a_seed_on_the_patients_that_it_tests(cross_fitted):
    study = read_study(cross_fitted(), SETTINGS)
    ours, theirs = effects("strict"), effects("plain")
    table = np.full((7, 10), np.nan)
    for seed in range(10):
        for place in map(PATIENTS.index, in_test(seed)):
            sides = [one["patient"][place] + one["seed"][seed] + one["both"][place, seed] for one in (ours, theirs)]
            table[place, seed] = 0.5 + sides[0] - sides[1]
    expected = over_patients_and_seeds(table, [tuple(sorted(in_training(seed))) for seed in range(10)])
    found = study.difference(study.models[1], study.models[0], "psnr_db")
    assert (found.mean, found.half_width(0.05)) == pytest.approx((expected.mean, expected.half_width(0.05)))
    assert found.variances.n_seeds == 10
    assert found.variances.n_patients == 7


def test_seeds_of_one_fold_are_told_by_their_training_patients(make_run):
    pairs = [[pair for pair in PAIRS if pair["patient"] == name] for name in "ab"]
    folds = {0: ["x"], 1: ["y"], 2: ["x"], 3: ["y"]}
    runs = [
        make_run(method, seed=seed, psnr=30 + seed, pairs=pairs[seed % 2], fold=fold)
        for method in ("plain", "strict")
        for seed, fold in folds.items()
    ]
    study = read_study(runs, SETTINGS)
    assert study.models[0].folds() == [("x",), ("y",), ("x",), ("y",)]
    change = over_common_seeds(*study.models, lambda measured: measured.defect_mean)
    assert change.parts == ((0.0, 1),)  # two folds


def test_every_table_holds_what_was_tested_and_no_more(cross_fitted, tmp_path):
    runs = cross_fitted()
    pairs = {
        (row["patient"], row["slice_id"], row["mask_index"]): row
        for run in runs
        for row in read_rows(run / "slices.csv", ())
    }
    rows = [{"reference": "LI"} | row | dict.fromkeys(METRICS, 20.0) for row in reversed(pairs.values())]
    write_slices(tmp_path / "references.csv", rows, ("reference",))
    cost = {
        "network": "n",
        "method": "plain",
        "norm": "none",
        "ratio_to_plain": 1,
        "ratio_low": 1,
        "ratio_high": 1,
        "ratio_coverage": 0.96,
        "n_repeats": 9,
        "penalty_milliseconds": 0,
        "n_parameters": 7,
    }
    write_rows(tmp_path / "cost.csv", list(cost), [cost])
    collect(runs, tmp_path / "references.csv", tmp_path / "cost.csv", SETTINGS, tmp_path / "summary")
    slices = pd.read_parquet(tmp_path / "summary" / "slices.parquet")
    assert slices.groupby("method").size().to_dict() == {"LI": 12, "plain": 60, "strict": 60}
    assert set(slices.query("method == 'plain' and seed == 0")["patient"]) == set(in_test(0))
    models = pd.read_csv(tmp_path / "summary" / "models.csv").set_index("method")
    assert models.loc["plain", ["n_pairs", "n_patients", "n_seeds"]].tolist() == [12, 7, 10]
    of_runs = pd.read_csv(tmp_path / "summary" / "runs.csv").query("method == 'plain'").set_index("seed")
    own = slices.query("method == 'plain' and seed == 3").groupby("patient")["psnr_db"].mean()
    assert of_runs.loc[3, "psnr_db"] == pytest.approx(own.mean())
    assert (tmp_path / "summary" / "dial.csv").read_text().strip() == ",".join(dial_columns())


def test_models_of_one_seed_have_to_be_of_one_fold(make_run):
    runs = [make_run("plain", fold=["x"]), make_run("strict", fold=["y"])]
    with pytest.raises(InputError, match="of seed 0 were trained on different patients"):
        read_study(runs, SETTINGS)


def test_runs_of_one_fold_have_to_be_tested_on_the_same_pairs(make_run):
    runs = [make_run("plain", fold=["x"]), make_run("plain", seed=1, fold=["x"], pairs=PAIRS[:-1])]
    with pytest.raises(InputError, match="different test pairs"):
        read_study(runs, SETTINGS)


def conditions(make_run, n_seeds: int = 3) -> list:
    """Plain, strict and penalty where strict loses with the asymmetry; every condition has its own pairs."""
    settings = {"projection": {"norm": "frobenius", "lam_perp": 0.1}}
    levels = {(0.0, 0): (30, 32, 31.9), (0.4, 0): (30, 30.5, 31.0), (0.4, 5): (29, 31, 30.9)}
    return [
        make_run(method, seed=seed, psnr=level + seed, asymmetry=ε, slices=slices, **settings.get(method, {}))
        for (ε, slices), of_methods in levels.items()
        for method, level in zip(("plain", "strict", "projection"), of_methods, strict=True)
        for seed in range(n_seeds)
    ]


def test_models_of_other_conditions_stay_out_of_the_tables(make_run):
    study = read_study(conditions(make_run), SETTINGS)
    assert study.condition == (0.0, 0)
    assert [model.method for model in study.models] == ["plain", "strict", "projection"]
    assert list(study.conditions) == [(0.0, 0), (0.4, 0), (0.4, 5)]


def test_the_list_of_runs_has_those_of_every_condition(make_run):
    study = read_study(conditions(make_run), SETTINGS)
    listed = [row for under in study.conditions.values() for row in _rows_of_condition(under)]
    assert len({(row["method"], row["asymmetry"], row["slices"], row["seed"]) for row in listed}) == 27
    assert {(row["asymmetry"], row["slices"]) for row in listed} == set(study.conditions)


def test_without_the_symmetric_scanner_the_first_condition_is_the_base(make_run):
    runs = [make_run("plain", asymmetry=ε) for ε in (0.7, 0.2)]
    assert read_study(runs, SETTINGS).condition == (0.7, 0)


def test_the_dial_has_a_row_for_every_condition_and_method(make_run):
    rows = dial_rows(read_study(conditions(make_run), SETTINGS))
    assert all(list(row) == dial_columns() for row in rows)
    assert [(row["asymmetry"], row["slices"], row["method"]) for row in rows] == [
        (ε, slices, method)
        for ε, slices in ((0.0, 0), (0.4, 0), (0.4, 5))
        for method in ("plain", "strict", "projection")
    ]
    penalty = rows[5]
    assert penalty["psnr_diff_db_mean"] == pytest.approx(1.0)
    assert penalty["psnr_to_strict_db_mean"] == pytest.approx(0.5)
    assert np.isnan([rows[0]["psnr_diff_db_mean"], rows[1]["psnr_to_strict_db_mean"]]).all()
    # under each condition: both differences of the penalty, one of the others
    assert {row["method"]: row["n_compared"] for row in rows} == {"plain": 3, "strict": 3, "projection": 6}


def test_limits_of_the_dial_hold_together(cross_fitted):
    """Bonferroni over every difference of the method."""
    study = read_study(cross_fitted() + cross_fitted(asymmetry=0.4), SETTINGS)
    row = dial_rows(study)[1]
    expected = study.difference(study.models[1], study.models[0], "psnr_db").interval(0.05 / row["n_compared"])
    assert row["n_compared"] == 2
    assert (row["psnr_diff_db_low"], row["psnr_diff_db_high"]) == pytest.approx((expected.low, expected.high))


def test_a_study_of_one_asymmetry_has_no_dial(make_run):
    assert dial_rows(read_study([make_run("plain"), make_run("plain", slices=5)], SETTINGS)) == []


def test_the_model_of_a_condition_is_the_one_that_validation_prefers_there(make_run):
    runs = [
        make_run("projection", "frobenius", lam, asymmetry=ε, validation_psnr=30 + (lam if ε else -lam))
        for lam in (0.1, 1.0)
        for ε in (0.0, 0.4)
    ]
    assert [row["lam_perp"] for row in dial_rows(read_study(runs, SETTINGS))] == [0.1, 1.0]
