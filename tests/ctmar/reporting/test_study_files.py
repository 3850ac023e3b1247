import json
import shutil

import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import SEEDS, SETTINGS, study_config

from ctmar.errors import InputError
from ctmar.reporting.checked_files import CLAIM_KEYS, read_claims
from ctmar.reporting.study_files import read_results, read_table

SMALL = [("plain", "none", 0.0, 0.0, 0.0, 0.3, 0.9), ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.05)]


def test_every_run_is_read_once(results):
    assert len(results.records) == len(results.runs) == len(SEEDS) * len(SETTINGS)
    assert {record.seed for record in results.records} == set(SEEDS)


def test_norm_none_is_text_not_missing(results):
    assert set(results.models.loc[results.models["method"] == "plain", "norm"]) == {"none"}


def test_folders_of_an_earlier_configuration_are_ignored(make_study):
    inputs = make_study(SMALL, [0])
    stale = inputs.runs[0].parent / "seed-77"
    shutil.copytree(inputs.runs[0], stale)
    description = json.loads((stale / "run.json").read_text())
    description["run"]["seed"] = 77
    (stale / "run.json").write_text(json.dumps(description))
    assert stale in inputs.runs
    found = read_results(inputs, study_config(SMALL, [0]))
    assert all(record.folder.path != stale for record in found.records)
    assert found.lacks.found == []


def test_a_whole_study_lacks_nothing(results):
    assert results.lacks.found == []
    assert {one.state for one in results.planned} == {"finished"}


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "split.csv"
    pd.DataFrame({"fold": [0], "patient": ["a"], "subset": ["train"]}).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"expected column\(s\) n_slices, found fold, patient, subset"):
        read_table(path, "split")


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"fold,patient\n\xff\xfe\n", b"\x1f\x8b\x08\x00\x80"])
def test_a_file_that_is_no_table_is_one_line(tmp_path, content):
    path = tmp_path / "split.csv"
    path.write_bytes(content)
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
def test_malformed_claims_are_named(tmp_path, claims, message):
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(claims))
    with pytest.raises(InputError, match=message):
        read_claims(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fold,patient,subset,n_slices\n0,a,train,6\n0,b,te", "found a table that is cut off"),
        ("fold,patient,subset,n_slices\n0,a,train,six\n", "expected numbers in the column n_slices, found texts"),
        ("fold,patient,subset,n_slices\n", "expected the patients of the study, found none"),
    ],
    ids=["cut off", "a text for a number", "a heading alone"],
)
def test_a_damaged_table_is_no_table(tmp_path, text, message):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(path, "split")
