"""Every column of every table that is written has a meaning, and no meaning is left over."""

import csv

import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import study_config

from ctmar.config import Run
from ctmar.reporting.paper.column_meanings import MEANINGS, UNITS
from ctmar.reporting.paper.data_dictionary import dictionary, dictionary_csv, key_of, unit_of, written_tables


@pytest.fixture(scope="module")
def config():
    whole = study_config()
    evaluation = whole.evaluation.model_copy(update={"metrics": ["my_metrics:haar_psi"]})
    return whole.model_copy(update={"evaluation": evaluation})


def test_every_column_has_an_entry(config):
    entries = list(dictionary(config))
    assert {entry.table for entry in entries} == set(written_tables(config))
    assert all(entry.meaning for entry in entries)
    assert len(entries) == len({(entry.table, entry.column) for entry in entries})


def test_no_meaning_is_dead(config):
    used = {key_of(name)[0] for _, names in written_tables(config).values() for name in names}
    assert set(MEANINGS) - used == set()
    assert not set(MEANINGS) & set(Run.model_fields)  # those are described by the configuration
    names = [name for _, own in written_tables(config).values() for name in own]
    assert set(UNITS.values()) <= {unit_of(name) for name in names}


def test_the_tables_of_a_study_on_the_disk_are_those_of_the_dictionary(study):
    """Whatever evaluation writes, here the summary of a finished study, stands in the dictionary."""
    known = written_tables(study_config())
    files = [path for path in study.summary.iterdir() if path.suffix in (".csv", ".parquet")]
    assert {f"summary/{path.name}" for path in files} == {name for name in known if name.startswith("summary/")}
    for path in files:
        found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        assert list(found.columns) == known[f"summary/{path.name}"][1], path.name


def test_it_reads_as_csv(config):
    rows = {(row["table"], row["column"]): row for row in csv.DictReader(dictionary_csv(config).splitlines())}
    row = rows["summary/models.csv", "rmse_near_metal_diff_hu_high"]
    assert row["unit"] == "HU"
    assert row["meaning"] == (
        "root mean square error near the metal; paired difference to the plain model; upper limit of the interval"
    )
    assert rows["summary/models.csv", "defect_15deg_floor_mean"]["meaning"].endswith("at 15°; mean")
    assert "own_my_metrics_haar_psi" in {column for _, column in rows}
