import dataclasses
import json
import shutil

import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import SEEDS, SETTINGS

from ctmar.errors import InputError
from ctmar.reporting.study_files import CLAIM_KEYS, ReportInputs, read_results, read_table

SMALL = [("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9), ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.05)]


def test_every_run_is_read_once(results):
    assert len(results.records) == len(results.runs) == len(SEEDS) * len(SETTINGS)
    assert {record.seed for record in results.records} == set(SEEDS)


def test_norm_none_is_text_not_missing(results):
    assert set(results.models.loc[results.models["method"] == "plain", "norm"]) == {"none"}


def test_folders_of_an_earlier_configuration_are_ignored(make_study):
    inputs = make_study(SMALL, [0])
    stale = inputs.runs[0].parent / "seed~77"
    shutil.copytree(inputs.runs[0], stale)
    description = json.loads((stale / "run.json").read_text())
    description["run"]["seed"] = 77
    (stale / "run.json").write_text(json.dumps(description))
    again = ReportInputs.of_study(inputs.summary.parent)
    assert stale in again.runs
    assert all(record.folder.path != stale for record in read_results(again).records)


def test_missing_run_is_named(study):
    with pytest.raises(InputError, match=r"none found for .*train_then_project"):
        read_results(dataclasses.replace(study, runs=study.runs[:-3]))


def test_a_table_that_is_there_must_be_whole(make_study):
    inputs = make_study([("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9)], [0])
    (inputs.summary / "sizes.csv").write_text("network,method\n")
    with pytest.raises(InputError, match=r"sizes\.csv: expected column\(s\) norm"):
        read_results(inputs)


def test_missing_table_is_named(study, tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv: table not found"):
        read_results(dataclasses.replace(study, cost=tmp_path / "absent.csv"))


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "split.csv"
    pd.DataFrame({"fold": [0], "patient": ["a"], "subset": ["train"]}).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"expected column\(s\) n_slices, found fold, patient, subset"):
        read_table(path, "split")


@pytest.mark.parametrize("text", ["", "\x00\x01"])
def test_a_file_that_is_no_table_is_one_line(tmp_path, text):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"split\.csv") as caught:
        read_table(path, "split")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ([{"claim": "c"}], "lacks the key"),
        ([dict.fromkeys(CLAIM_KEYS, "x")], "verdict"),
    ],
)
def test_malformed_claims_are_named(make_study, claims, message):
    inputs = make_study(SMALL, [0])
    (inputs.summary / "claims.json").write_text(json.dumps(claims))
    with pytest.raises(InputError, match=message):
        read_results(inputs)
