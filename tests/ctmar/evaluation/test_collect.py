"""Tables of a study with known numbers."""

import json

import pandas as pd
import pytest

from ctmar.config import Evaluation
from ctmar.errors import InputError
from ctmar.evaluation.collect import collect
from ctmar.evaluation.results import read_study
from ctmar.evaluation.slices import METRICS, PAIR_COLUMNS
from ctmar.store.tables import write_rows

from .conftest import PAIRS

SETTINGS = Evaluation(bootstrap_samples=200)


@pytest.fixture
def tables(make_run, tmp_path):
    """The tables of plain (30 dB) and a projection that is 2 dB better on every pair, two seeds each."""
    runs = [make_run("plain", seed=seed, psnr=30 + seed) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 0.1, seed, 32 + seed, 0.1) for seed in (0, 1)]
    reference = [
        {"reference": name, **dict(zip(PAIR_COLUMNS, pair, strict=True)), "psnr_db": 20.0, "ssim": 0.5, "rmse_hu": 99.0}
        for name in ("Input", "LI")
        for pair in PAIRS
    ]
    write_rows(tmp_path / "references.csv", ("reference", *PAIR_COLUMNS, *METRICS), reference)
    cost = {"method": "projection", "norm": "frobenius", "ratio_to_plain": 1.01, "penalty_milliseconds": 0.2}
    write_rows(tmp_path / "cost.csv", list(cost), [cost])
    collect(runs, tmp_path / "references.csv", tmp_path / "cost.csv", SETTINGS, tmp_path / "summary")
    return tmp_path / "summary"


def read(folder, name):
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=["", "nan"])


def test_means_are_plain_means(tables):
    models = read(tables, "models").set_index("method")
    assert models.loc["plain", "psnr_db_mean"] == pytest.approx(30.5 + 5.5)
    assert models.loc["plain", "n_pairs"] == 12
    assert models.loc["plain", "n_patients"] == 2
    assert models.loc["projection", "relative_non_equivariance_mean"] == pytest.approx(0.1)


def test_a_constant_gain_has_an_interval_without_width(tables):
    """The pairs differ by 11 dB and the seeds by 1 dB, but the paired difference is 2 dB everywhere."""
    row = read(tables, "models").set_index("method").loc["projection"]
    assert row["psnr_diff_db_mean"] == pytest.approx(2)
    assert row["psnr_diff_db_low"] == pytest.approx(2)
    assert row["psnr_diff_db_high"] == pytest.approx(2)
    assert row["psnr_db_high"] - row["psnr_db_low"] > 1


def test_plain_is_not_compared_with_itself(tables):
    assert pd.isna(read(tables, "models").set_index("method").loc["plain", "psnr_diff_db_mean"])


def test_every_run_epoch_and_reference_has_its_row(tables):
    assert len(read(tables, "runs")) == 4
    assert len(read(tables, "curves")) == 4
    assert read(tables, "references")["reference"].tolist() == ["Input", "LI"]
    assert len(json.loads((tables / "claims.json").read_text())) == 6


def test_runs_on_different_pairs_are_refused(make_run):
    runs = [make_run("plain"), make_run("augmentation", pairs=PAIRS[:-1])]
    with pytest.raises(InputError, match="different test pairs"):
        read_study(runs, SETTINGS)


def test_an_unfinished_run_is_named(make_run):
    folder = make_run("plain")
    (folder / "model.json").unlink()
    with pytest.raises(InputError, match=r"model\.json is missing"):
        read_study([folder], SETTINGS)


def test_a_malformed_run_is_named(make_run):
    folder = make_run("plain")
    (folder / "run.json").write_text("{}")
    with pytest.raises(InputError, match="malformed"):
        read_study([folder], SETTINGS)
