"""The section about single runs: every planned run is in it, with its state, and nothing of this machine."""

import csv
import io
from dataclasses import replace
from urllib.parse import unquote

import pytest
from tests.ctmar.reporting.conftest import SEEDS, SETTINGS

from ctmar.reporting import runs_section as section
from ctmar.reporting.page import render_page, series_marks
from ctmar.reporting.runs_section import runs_section


@pytest.fixture(scope="module")
def shown(results, config):
    return runs_section(results, config, series_marks(results))


def table(shown) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(unquote(shown.download.partition(",")[2]))))


def test_every_planned_run_is_a_row_of_the_page_and_of_the_download(shown, page, results):
    n = len(SETTINGS) * len(SEEDS)
    assert (shown.n_runs, len(shown.rows), len(table(shown))) == (n, n, n)
    assert shown.states == f"{n} finished"
    assert page.count("<tr data-run=") == n
    assert page.count("<g style=") >= n


def test_the_table_to_take_away_has_the_numbers_of_the_epochs(shown, results):
    rows = {
        (row["method"], row["norm"], row["lam_perp"], row["softness"], row["lam_equi"], row["seed"]): row
        for row in table(shown)
    }
    assert len(rows) == len(SETTINGS) * len(SEEDS)
    for record in results.records:
        run = record.description.run
        row = rows[run.method, run.norm, str(run.lam_perp), str(run.softness), str(run.lam_equi), str(run.seed)]
        last = record.folder.read_epochs()[-1]
        assert float(row["validation_psnr"]) == last.validation_psnr
        assert float(row["loss"]) == last.loss
        assert (row["epochs"], row["state"], row["gpu_kj"]) == ("8", "finished", "")


def test_a_row_that_was_not_run_is_shown_with_its_reason_and_no_number(results, config):
    first = replace(
        results.planned[0], state="failed", why="/home/somebody/study/pairs.h5: no such file", description=None
    )
    changed = replace(results, planned=[first, *results.planned[1:]])
    html = render_page(changed, config)
    assert "pairs.h5: no such file" in html
    assert "/home/somebody" not in html
    assert "1 failed" in runs_section(changed, config, {}).states


def test_of_more_runs_than_there_is_room_for_the_unfinished_are_shown_and_all_are_taken_away(
    results, config, monkeypatch
):
    monkeypatch.setattr(section, "MAXIMUM_ROWS", 5)
    planned = [*results.planned[:-1], replace(results.planned[-1], state="killed", why="")]
    shown = runs_section(replace(results, planned=planned), config, series_marks(results))
    assert len(shown.rows) == 5
    assert shown.rows[0].row.planned.state == "killed"
    assert sum(len(picture.curves) for picture in shown.networks) <= 5
    assert len(table(shown)) == len(planned)
    assert "The table has room for 5 of" in render_page(replace(results, planned=planned), config)
