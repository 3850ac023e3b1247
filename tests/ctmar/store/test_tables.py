import csv

import pytest

from ctmar.errors import InputError
from ctmar.store.quarantine import Quarantined, Refused, summarise, write_quarantine
from ctmar.store.tables import read_rows, write_rows


def test_rows_survive_commas_quotes_and_new_lines(tmp_path):
    rows = [{"a": 'x, "y"', "b": "two\nlines"}, {"a": "ü", "b": ""}]
    write_rows(tmp_path / "t.csv", ["a", "b"], rows)
    assert read_rows(tmp_path / "t.csv", ["a", "b"]) == rows


def test_a_missing_column_is_named(tmp_path):
    write_rows(tmp_path / "t.csv", ["a"], [{"a": "1"}])
    with pytest.raises(InputError, match="missing b"):
        read_rows(tmp_path / "t.csv", ["a", "b"])


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: table not found"):
        read_rows(tmp_path / "t.csv", ["a"])


def test_an_unknown_key_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="fields not in"):
        write_rows(tmp_path / "t.csv", ["a"], [{"a": 1, "b": 2}])
    assert list(tmp_path.iterdir()) == []


def test_the_summary_counts_the_commonest_reasons(tmp_path):
    rows = [Quarantined("f", reason, "r") for reason in "aaabbcd"]
    assert summarise(rows, n_reasons=2) == "3 × a; 2 × b; 2 × other reasons"
    write_quarantine(tmp_path / "q.csv", rows)
    assert len(read_rows(tmp_path / "q.csv", ["file", "reason", "remedy"])) == 7


def test_a_refusal_survives_the_way_between_processes():
    import pickle

    back = pickle.loads(pickle.dumps(Refused("why", "what to do")))
    assert (back.reason, back.remedy) == ("why", "what to do")


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "'=1", "''=1", "-", "="]


@pytest.mark.parametrize("text", [*FORMULAS, "CC BY 4.0", "'quoted'", "-0.5", "1e-3", "-inf", "nan", "", "−1"])
def test_a_spreadsheet_runs_no_text(tmp_path, text):
    write_rows(tmp_path / "t.csv", ["a"], [{"a": text}])
    with (tmp_path / "t.csv").open(newline="") as file:
        (_, (written,)) = list(csv.reader(file)) or [(), ("",)]
    assert (written[:1] == "'") == (text in FORMULAS or text == "'quoted'")
    assert read_rows(tmp_path / "t.csv", ["a"]) == [{"a": text}]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a,b\n1\n", b"a,b\n1,2,3\n", b'a,b\n"1,2\n', b"a,b\n\x00\xe9,1\n"])
def test_what_is_no_table_is_one_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv: [^\n]+$"):
        read_rows(tmp_path / "t.csv", ["a", "b"])


def test_a_carriage_return_is_a_new_line(tmp_path):
    write_rows(tmp_path / "t.csv", ["a", "b"], [{"a": "x\r\ny", "b": "\r=1"}])
    assert read_rows(tmp_path / "t.csv", ["a", "b"]) == [{"a": "x\ny", "b": "\n=1"}]
