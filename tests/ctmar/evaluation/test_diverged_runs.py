"""A run that diverged is told, and everything else is compared as if it had not been tried."""

import json
from pathlib import Path

import pandas as pd
import pytest

from ctmar.config import Judgement
from ctmar.evaluation.collect import collect
from ctmar.evaluation.columns import METRICS, diverged_columns, model_columns, run_columns, slice_columns
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.pair_metrics import write_slices
from ctmar.evaluation.primary import judge_primary
from ctmar.evaluation.verdicts import chosen
from ctmar.store.tables import write_rows

from .conftest import PAIRS

PRIMARY = [
    {"method": "projection", "against": "plain"},
    {"method": "strict", "against": "plain"},
]
RATIOS = dict.fromkeys(("ratio_to_plain", "ratio_low", "ratio_high"), 1.01)
COST = RATIOS | {"ratio_coverage": 0.96, "n_repeats": 9, "penalty_milliseconds": 0.2, "n_parameters": 1_600_000}
PENALTY = {"method": "projection", "norm": "frobenius"}


@pytest.fixture
def tables(tmp_path):
    """Collect a study and return what its tables hold: ``tables(name, runs)``."""
    reference = [{"reference": "Input"} | pair | dict.fromkeys(METRICS, 20.0) for pair in PAIRS]
    write_slices(tmp_path / "references.csv", reference, ("reference",))
    cost = {"network": "n", "method": "projection", "norm": "frobenius", **COST}
    write_rows(tmp_path / "cost.csv", list(cost), [cost])
    settings = Judgement.model_validate({"primary": PRIMARY})

    def make(name: str, runs: list[Path]) -> dict[str, pd.DataFrame]:
        folder = tmp_path / name
        collect(runs, tmp_path / "references.csv", tmp_path / "cost.csv", settings, folder)
        found = {path.stem: pd.read_csv(path, keep_default_na=False) for path in folder.glob("*.csv")}
        found["slices"] = pd.read_parquet(folder / "slices.parquet")
        return found | {name: json.loads((folder / f"{name}.json").read_text()) for name in ("claims", "questions")}

    return make


@pytest.fixture
def usual(make_run):
    """Plain, strict and two weights of the penalty, of two seeds each."""
    found = []
    for seed in (0, 1):
        found += [make_run("plain", seed=seed, psnr=30 + seed), make_run("strict", seed=seed, psnr=29 + 2 * seed)]
        found += [make_run(**PENALTY, lam_perp=weight, seed=seed, psnr=31 + seed * weight) for weight in (0.1, 1.0)]
    return found


def test_everything_but_the_counts_is_as_if_it_had_not_been_tried(tables, usual, make_diverged):
    without = tables("without", usual)
    lost = [make_diverged(**PENALTY, lam_perp=1.0, seed=2), make_diverged(**PENALTY, lam_perp=10.0, seed=0)]
    found = tables("with", [lost[0], *usual, lost[1]])
    assert found["models"]["n_diverged"].tolist() == [0, 0, 0, 1]
    for name, table in without.items():
        if name in ("claims", "questions"):
            assert found[name] == table
        elif name not in ("runs", "diverged"):
            pd.testing.assert_frame_equal(
                found[name].drop(columns="n_diverged", errors="ignore"),
                table.drop(columns="n_diverged", errors="ignore"),
            )
    runs = found["runs"]
    pd.testing.assert_frame_equal(runs[:8].astype(str), without["runs"].astype(str))
    assert runs["state"].tolist() == ["finished"] * 8 + ["diverged"] * 2
    measures = [name for name in run_columns() if name in METRICS or name == "validation_psnr"]
    assert (runs.loc[8:, measures] == "").all(axis=None)
    assert runs.loc[8:, "seconds_total"].tolist() == [12.5, 12.5]


def test_every_run_that_diverged_is_in_a_table_of_its_own(tables, usual, make_diverged):
    assert list(tables("none", usual)["diverged"].columns) == diverged_columns()
    lost = [make_diverged(**PENALTY, lam_perp=10.0, asymmetry=epsilon) for epsilon in (0.0, 0.5)]
    found = tables("some", [*usual, *lost])["diverged"]
    assert found["asymmetry"].tolist() == [0.0, 0.5]
    assert found.loc[0, ["method", "lam_perp", "seed"]].tolist() == ["projection", 10.0, 0]
    assert found.loc[0, ["step", "where", "layer", "loss"]].tolist() == [7, "output", "layers.1", "nan"]


def test_a_model_of_which_a_seed_diverged_is_not_preferred_to_one_of_which_none_did(usual, make_run, make_diverged):
    best = [make_run(**PENALTY, lam_perp=3.0, seed=0, psnr=40.0), make_diverged(**PENALTY, lam_perp=3.0, seed=1)]
    assert chosen(read_study([*usual, *best], Judgement()), "projection").lam_perp == 1.0


def test_without_plain_there_is_no_difference_and_no_invented_one(tables, usual, make_diverged):
    rest = [path for path in usual if "plain" not in path.name]
    lost = [make_diverged(method="plain", seed=seed) for seed in (0, 1)]
    found = tables("no-plain", [*lost, *rest])
    assert found["models"]["method"].tolist() == ["strict", "projection", "projection"]
    assert (found["models"]["psnr_diff_db_mean"].astype(str).isin(["", "nan"])).all()
    assert [row["verdict"] for row in found["questions"][:2]] == ["not decided", "not decided"]
    assert [row["measured"] for row in found["questions"][:2]] == [
        "nothing to compare: “Plain” diverged with every seed"
    ] * 2


def test_a_primary_comparison_of_which_a_side_diverged_is_told_and_counts(tables, make_run, make_diverged):
    rest = [make_run("plain", seed=seed, psnr=psnr) for seed, psnr in enumerate((30.0, 31.0, 30.5))]
    rest += [make_run(**PENALTY, lam_perp=1.0, seed=seed, psnr=psnr) for seed, psnr in enumerate((31.0, 31.2, 31.8))]
    lost = [make_diverged(method="strict", seed=seed) for seed in (0, 1)]
    first, second = tables("no-strict", [*rest, *lost])["questions"][:2]
    assert second["verdict"] == "not decided"
    assert second["measured"] == "nothing to compare: “Strictly equivariant” diverged with every seed"
    assert first["source"] == "primary comparison 1 of 2"
    alone = Judgement.model_validate({"primary": PRIMARY[:1]})
    uncorrected = judge_primary(read_study(rest, alone), [])[0]["measured"].partition("p after Holm ")[2]
    corrected = first["measured"].partition("p after Holm ")[2]
    assert float(corrected) == pytest.approx(min(1, 2 * float(uncorrected)), abs=2e-3)


def test_a_study_of_which_every_run_diverged_has_tables_without_rows(tables, make_diverged):
    lost = [make_diverged(**PENALTY, lam_perp=1.0, seed=seed) for seed in (0, 1)] + [make_diverged(method="plain")]
    found = tables("all", lost)
    assert {name for name, table in found.items() if isinstance(table, pd.DataFrame) and len(table)} == {
        "runs",
        "diverged",
        "variances",
    }
    assert list(found["models"].columns) == model_columns([])
    assert list(found["slices"].columns) == slice_columns()
    assert (found["variances"]["mean_db"] == "").all()
    assert {row["verdict"] for row in found["claims"]} == {"not decided"}
    assert [row["measured"] for row in found["questions"]] == [
        "nothing to compare: “Projection” and “Plain” diverged with every seed",
        "nothing to compare: “Plain” diverged with every seed",
    ]


def test_the_base_condition_stays_the_base_though_every_run_of_it_diverged(make_run, make_diverged):
    lost = [make_diverged(method="plain", seed=seed) for seed in (0, 1)]
    study = read_study([make_run("plain", asymmetry=0.5, seed=seed) for seed in (0, 1)] + lost, Judgement())
    assert study.condition == (0.0, 0)
    assert study.models == []
    assert len(study.conditions[0.5, 0].models) == 1
    assert study.metrics == METRICS
    assert study.angles_deg == [15.0]


def test_verdicts_are_about_the_first_network_though_every_run_of_it_diverged(tables, make_run, make_diverged):
    lost = [make_diverged(method="plain", network="first")]
    found = tables("two", [*lost, make_run("plain"), make_run(**PENALTY, lam_perp=1.0)])
    assert all(row["measured"].startswith("first: ") for row in found["claims"] + found["questions"])
    assert {row["verdict"] for row in found["claims"] + found["questions"]} <= {"not decided", "agrees", "disagrees"}
    assert found["questions"][0]["measured"] == "first: nothing to compare: “Plain” diverged with every seed"
