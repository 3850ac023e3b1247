"""Parquet tables: types, missing values, whole or not at all."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ctmar.store.parquet import write_parquet

COLUMNS = ("name", "seed", "value")


def test_rows_come_back_with_their_types(tmp_path):
    rows = [{"name": "a", "seed": 1, "value": 0.5}, {"name": "b", "seed": None, "value": None}]
    write_parquet(tmp_path / "t.parquet", COLUMNS, rows)
    table = pq.read_table(tmp_path / "t.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "double"]
    assert table.to_pylist() == rows
    assert pd.read_parquet(tmp_path / "t.parquet")["value"].isna().tolist() == [False, True]


def test_equal_rows_are_equal_files(tmp_path):
    for name in ("one", "two"):
        write_parquet(tmp_path / name, COLUMNS, [{"name": "a", "seed": 1, "value": 0.5}])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("row", [{"name": "a", "seed": 1}, {"name": "a", "seed": 1, "value": 2.0, "extra": 3}])
def test_a_row_with_other_columns_leaves_nothing(tmp_path, row):
    with pytest.raises(ValueError, match="expected the columns"):
        write_parquet(tmp_path / "t.parquet", COLUMNS, [row])
    assert not list(tmp_path.iterdir())
