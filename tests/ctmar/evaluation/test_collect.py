"""Tables of a study with known numbers."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from tests.ctmar.run_folders import epoch

from ctmar.config import Judgement
from ctmar.errors import InputError
from ctmar.evaluation.collect import collect
from ctmar.evaluation.columns import METRICS, difference, interval_columns, model_columns, own_metric, slice_columns
from ctmar.evaluation.measured_study import read_study
from ctmar.evaluation.pair_metrics import write_slices
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import write_rows

from .conftest import PAIRS

SETTINGS = Judgement()
RATIOS = dict.fromkeys(("ratio_to_plain", "ratio_low", "ratio_high"), 1.01)
COST = RATIOS | {"ratio_coverage": 0.96, "n_repeats": 9, "penalty_milliseconds": 0.2, "n_parameters": 1_600_000}
OWN = own_metric("my_metrics:error")


@pytest.fixture
def tables(make_run, tmp_path):
    """The tables of plain (30 dB) and a projection that is 2 dB better on every pair, two seeds each."""
    runs = [make_run("plain", seed=seed, psnr=30 + seed) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 0.1, seed, 32 + seed, 0.1) for seed in (0, 1)]
    metrics = dict.fromkeys(METRICS, 20.0)
    reference = [{"reference": name} | pair | metrics for name in ("Input", "LI", "NMAR") for pair in PAIRS]
    write_slices(tmp_path / "references.csv", reference, ("reference",))
    cost = {"network": "n", "method": "projection", "norm": "frobenius", **COST}
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
    assert models.loc["projection", "defect_mean"] == pytest.approx(0.01)
    assert models.loc["projection", "defect_of_correction_mean"] == pytest.approx(0.2)
    assert models.loc["projection", "non_equivariance_growth_mean"] == pytest.approx(-0.3)
    assert pd.isna(models.loc["projection", "non_equivariance_of_start_mean"])  # of an equivariant start


def test_runs_are_compared_with_the_plain_run_of_their_seed(tables):
    runs = read(tables, "runs").set_index("method")
    assert runs.loc["projection", "psnr_diff_db"].tolist() == pytest.approx([2, 2])
    assert runs.loc["plain", "psnr_diff_db"].isna().all()  # not with itself
    models = read(tables, "models").set_index("method")
    mean = runs.loc["projection", "psnr_official_diff_db"].mean()
    assert mean == pytest.approx(models.loc["projection", "psnr_official_diff_db_mean"])


def test_detectability_stands_beside_that_of_the_images_without_a_network(tables):
    models = read(tables, "models").set_index("method")
    row = models.loc["projection"]
    assert row["auc_mean"] == pytest.approx(0.75)
    assert row["auc_gain_mean"] == pytest.approx(0.75 - row["auc_input_mean"]) == pytest.approx(0.15)
    assert row["auc_diff_mean"] == pytest.approx(0.0)
    assert pd.isna(models.loc["plain", "auc_diff_mean"])
    assert (row["signal_bias_hu_mean"], row["signal_contrast_li_mean"], row["n_signals"]) == (8.0, 0.7, 60)


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
    assert read(tables, "references")["reference"].tolist() == ["Input", "LI", "NMAR"]
    assert len(json.loads((tables / "claims.json").read_text())) == 6


def test_columns_are_those_that_readers_know(tables):
    assert read(tables, "models").columns.tolist() == model_columns([15.0])
    assert {"softness", "psnr_official_db_mean", "rmse_near_metal_hu_mean", "defect_15deg_mean"} <= set(
        read(tables, "models").columns
    )
    models = read(tables, "models").set_index("method")
    assert models.loc["plain", ["defect_15deg_mean", "defect_15deg_floor_mean"]].tolist() == [0.05, 0.01]
    assert models.loc["plain", "psnr_turned_270deg_db_mean"] == 27
    assert models.loc["plain", ["peak_memory_mb", "prediction_peak_memory_mb", "n_slices"]].tolist() == [100, 300, 6]


def test_a_region_without_pixels_has_no_number(tables):
    assert pd.isna(read(tables, "models")["rmse_bone_hu_mean"]).all()
    assert pd.read_parquet(tables / "slices.parquet").query("method == 'plain'")["rmse_bone_hu"].isna().all()


def test_a_gain_without_spread_is_beyond_chance_and_plain_is_not_tested(tables):
    models = read(tables, "models").set_index("method")
    assert models.loc["projection", "p_value"] == models.loc["projection", "p_value_holm"] < 1e-6
    assert models.loc["plain", ["p_value", "p_value_holm"]].isna().all()


def test_a_patient_counts_once_whatever_its_number_of_slices(make_run):
    pairs = [PAIRS[0], *({**PAIRS[6], "slice_id": f"b/1/{k}"} for k in range(9))]  # PSNR 30, and 31 to 39
    study = read_study([make_run("plain", pairs=pairs, seed=seed) for seed in (0, 1)], SETTINGS)
    assert study.mean_of(study.models[0], "psnr_db").mean == pytest.approx((30 + 35) / 2)


def test_a_reference_has_an_interval_over_patients_without_a_seed(tables):
    row = read(tables, "sizes").set_index(["method", "metal_size"]).loc[("NMAR", 5)]
    assert row[["psnr_db_low", "psnr_db_high"]].tolist() == [20, 20]


@pytest.mark.parametrize(("seeds", "patients"), [((0,), "ab"), ((0, 1), "a")])
def test_one_seed_or_one_patient_has_no_interval(make_run, seeds, patients):
    pairs = [pair for pair in PAIRS if pair["patient"] in patients]
    runs = [make_run(method, seed=seed, pairs=pairs) for method in ("plain", "augmentation") for seed in seeds]
    study = read_study(runs, SETTINGS)
    gap = study.difference(*study.models, "psnr_db")
    assert gap.mean == 0
    assert np.isnan([gap.half_width(study.alpha), gap.p_value()]).all()


def test_sizes_and_materials_split_the_pairs(tables):
    # pair k has 30.5 + k (plain, mean of its seeds); odd pairs have the larger metal
    sizes = read(tables, "sizes").set_index(["method", "metal_size"])
    assert sizes.loc[("plain", 4), "psnr_db_mean"] == pytest.approx(30.5 + 6)
    assert sizes.loc[("plain", 5), "psnr_db_mean"] == pytest.approx(30.5 + 5)
    assert sizes.loc[("NMAR", 5), ["psnr_db_mean", "n_seeds", "n_pairs", "n_patients"]].tolist() == [20, 1, 6, 2]
    materials = read(tables, "materials").set_index(["method", "metal"])
    assert materials.loc[("plain", "steel"), "psnr_db_mean"] == pytest.approx(30.5 + (2 + 3 + 8 + 9) / 4)
    assert materials.loc[("projection", "titanium"), "n_pairs"] == 8


def test_every_model_seed_slice_and_mask_has_its_row(tables):
    rows = pd.read_parquet(tables / "slices.parquet")
    assert rows.columns.tolist() == slice_columns()
    assert len(rows) == (2 * 2 + 3) * len(PAIRS)
    assert not rows.duplicated(["method", "seed", "slice_id", "mask_index"]).any()
    assert rows.groupby("network").size().to_dict() == {"n": 48, "reference": 36}
    assert rows.query("method == 'Input'")["seed"].isna().all()
    first = rows.query("method == 'projection' and seed == 1").iloc[0]
    assert (first["patient"], first["mask_index"], first["metal"], first["psnr_db"]) == ("a", 0, "titanium", 33)


@pytest.fixture
def own_tables(make_run, tmp_path):
    """A study with a metric of its own: plain 3, projection 5, references 7 on every pair."""
    runs = [make_run("plain", seed=seed, own={OWN: 3}) for seed in (0, 1)]
    runs += [make_run("projection", "frobenius", 0.1, seed, own={OWN: 5}) for seed in (0, 1)]
    metrics = dict.fromkeys([*METRICS, OWN], 7.0)
    write_slices(tmp_path / "references.csv", [{"reference": "LI"} | pair | metrics for pair in PAIRS], ("reference",))
    cost = {"network": "n", "method": "projection", "norm": "frobenius", **COST}
    write_rows(tmp_path / "cost.csv", list(cost), [cost])
    collect(runs, tmp_path / "references.csv", tmp_path / "cost.csv", SETTINGS, tmp_path / "summary")
    return tmp_path / "summary"


def test_a_metric_of_the_studys_own_is_in_every_table_with_its_difference_to_plain(own_tables):
    models = read(own_tables, "models").set_index("method")
    assert models.loc["projection", list(interval_columns(OWN))].tolist() == pytest.approx([5, 5, 5])
    assert models.loc["projection", list(interval_columns(difference(OWN)))].tolist() == pytest.approx([2, 2, 2])
    assert pd.isna(models.loc["plain", f"{difference(OWN)}_mean"])
    assert read(own_tables, "references")[f"{OWN}_mean"].tolist() == [7]
    assert read(own_tables, "runs")[OWN].tolist() == [3, 3, 5, 5]
    slices = pd.read_parquet(own_tables / "slices.parquet")
    assert slices.groupby("method")[OWN].unique().map(list).to_dict() == {"LI": [7], "plain": [3], "projection": [5]}


def test_runs_measured_by_different_metrics_are_refused(make_run):
    runs = [make_run("plain"), make_run("projection", "frobenius", 0.1, own={OWN: 5})]
    with pytest.raises(InputError, match=f"expected the same metrics, found {OWN} in one of them alone"):
        read_study(runs, SETTINGS)


def test_references_without_the_metric_are_refused(make_run, tmp_path):
    rows = [{"reference": "LI"} | pair | dict.fromkeys(METRICS, 1.0) for pair in PAIRS]
    write_slices(tmp_path / "references.csv", rows, ("reference",))
    with pytest.raises(InputError, match=f"references.csv: expected the columns .*, missing {OWN}"):
        collect([make_run("plain", own={OWN: 3})], tmp_path / "references.csv", tmp_path, SETTINGS, tmp_path / "out")


def test_references_on_other_pairs_are_refused(make_run, tmp_path):
    rows = [{"reference": "LI"} | pair | dict.fromkeys(METRICS, 1.0) for pair in PAIRS[1:]]
    write_slices(tmp_path / "references.csv", rows, ("reference",))
    with pytest.raises(InputError, match="LI was measured on different test pairs"):
        collect([make_run("plain")], tmp_path / "references.csv", tmp_path / "cost.csv", SETTINGS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_epoch_that_training_kept_is_the_one_that_counts(make_run):
    folder = RunFolder(make_run("plain"))
    folder.write_epochs([epoch(epoch=k, validation_psnr=value) for k, value in enumerate((31.0, 33.0, 32.0), 1)])
    for kept, psnr in ((3, 32.0), (2, 33.0)):
        folder.write_description(folder.read_description().model_copy(update={"kept_epoch": kept}))
        assert read_study([folder.path], SETTINGS).models[0].validation_psnr() == psnr
    folder.write_description(folder.read_description().model_copy(update={"kept_epoch": 4}))
    with pytest.raises(InputError, match=r"run\.json: 'kept_epoch': expected 1 to 3, found 4"):
        read_study([folder.path], SETTINGS)


def test_softness_tells_models_apart(make_run):
    runs = [make_run("softness", softness=share) for share in (0.25, 0.5)]
    assert [model.run.softness for model in read_study(runs, SETTINGS).models] == [0.25, 0.5]


def test_runs_on_different_pairs_are_refused(make_run):
    runs = [make_run("plain"), make_run("augmentation", pairs=PAIRS[:-1])]
    with pytest.raises(InputError, match="different test pairs"):
        read_study(runs, SETTINGS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.json", None, "expected a file written by `ctmar evaluate`, found No such file"),
        ("run.json", "{}", "expected the key 'run', found none"),
        ("metrics.jsonl", "", "expected a line for each epoch, found none"),
        ("slices.csv", None, "table not found"),
    ],
)
def test_an_unfinished_or_malformed_run_is_named(make_run, name, content, message):
    folder = make_run("plain")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match=rf"{re.escape(str(folder / name))}: {message}"):
        read_study([folder], SETTINGS)


def test_a_run_counts_once(make_run):
    folder = make_run("plain")
    with pytest.raises(InputError, match="of seed 0: expected once, found in several folders"):
        read_study([folder, make_run("augmentation"), folder], SETTINGS)


@pytest.mark.parametrize(("name", "column"), [("cost", "ratio_to_plain"), ("references", "psnr_db")])
def test_a_text_in_place_of_a_number_is_named_and_nothing_is_written(make_run, tables, tmp_path, name, column):
    table = pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False)
    table.loc[0, column] = "fast"
    table.to_csv(tmp_path / f"{name}.csv", index=False)
    inputs = (tmp_path / "references.csv", tmp_path / "cost.csv")
    with pytest.raises(InputError, match=rf"{name}\.csv: expected a number in row 1, {column}, found 'fast'"):
        collect([make_run("plain")], *inputs, SETTINGS, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_runs_measured_at_different_angles_are_refused(make_run):
    runs = [make_run("plain"), make_run("augmentation")]
    tables = {"defect_at_angles": {"30": 0.1}, "defect_floor_at_angles": {"30": 0.0}}
    folder = RunFolder(runs[1])
    folder.write_measurements(folder.read_measurements().model_copy(update=tables))
    with pytest.raises(InputError, match=r"expected defects at the same angles, found \[15.0\] and \[30.0\]"):
        read_study(runs, SETTINGS)


def test_a_run_without_every_quarter_turn_is_named(make_run):
    folder = RunFolder(make_run("plain"))
    folder.write_measurements(folder.read_measurements().model_copy(update={"psnr_turned_db": {"0": 30.0}}))
    with pytest.raises(InputError, match=r"model\.json: 'psnr_turned_db': expected 0, 90, 180, 270, found 0"):
        read_study([folder.path], SETTINGS)
