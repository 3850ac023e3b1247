"""A report that is about to be made again does not look current until it is."""

import os
import re
import sys

import pytest
from tests.ctmar.reporting.test_list_of_studies import add

from ctmar.cli import main
from ctmar.reporting.outdated import discard, page_of, set_aside
from ctmar.reporting.studies import list_reports

PAGE = '<body><nav></nav><main id="main" tabindex="-1"><section>30.5 dB</section></main><main></main></body>'


@pytest.fixture
def report(tmp_path):
    add(tmp_path, "mine", 86400 * 365)
    folder = tmp_path / "mine"
    (folder / "index.html").write_text(PAGE)
    os.utime(folder / "index.html", (86400 * 365, 86400 * 365))
    for card in ("model_card.md", "dataset_card.md"):
        (folder / card).write_text("# Card\n")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_moves_and_says_so_before_anything_else(report):
    assert set_aside(report)
    assert names(report) == ["outdated"]
    assert names(report / "outdated") == ["dataset_card.md", "index.html", "model_card.md", "study.json"]
    text = (report / "outdated" / "index.html").read_text()
    said = r"A run of this study that began on \d{4}-\d\d-\d\d \d\d:\d\d UTC was to make it again, and has not"
    assert re.search(
        rf'<main[^>]*>\s*<aside class="banner" role="alert"><h2>This report is not current</h2><p>{said}', text
    )
    assert text.count("not current") == 1
    assert "<section>30.5 dB</section>" in text
    assert re.match(
        rf"> \*\*This card is not current\.\*\* {said}", (report / "outdated" / "model_card.md").read_text()
    )


def test_the_front_matter_of_a_card_stays_at_its_beginning(report):
    (report / "model_card.md").write_text("---\nlicense: mit\n---\n\n# Card\n")
    set_aside(report)
    text = (report / "outdated" / "model_card.md").read_text()
    assert text.startswith("---\nlicense: mit\n---\n\n> **This card is not current.** ")
    assert text.endswith("\n\n# Card\n")


@pytest.mark.parametrize(("name", "stays"), [("references.bib", False), ("thesis.tex", True)])
def test_figures_for_a_paper_go_with_their_page_and_a_users_own_files_stay(report, name, stays):
    (report / "paper").mkdir()
    (report / "paper" / name).write_text("text")
    set_aside(report)
    assert (report / "paper").exists() == stays


def test_the_list_links_it_with_the_date_at_which_it_was_made(report):
    set_aside(report)
    text = list_reports(report.parent).read_text()
    assert '<a href="mine/outdated/index.html">mine</a><small>A title</small>' in text
    assert "<time>1971-01-01 00:00</time>" in text
    assert "not current: a later run has not made it again" in text


def test_it_stays_when_the_next_run_fails_too(report):
    set_aside(report)
    before = (report / "outdated" / "index.html").read_bytes()
    assert not set_aside(report)
    assert (report / "outdated" / "index.html").read_bytes() == before


def test_a_new_report_takes_its_place(report):
    set_aside(report)
    (report / "index.html").write_text("new")
    discard(report)
    assert names(report) == ["index.html"]
    assert "not current" not in list_reports(report.parent).read_text()
    discard(report)


def test_a_kill_half_way_leaves_a_page_that_is_set_aside_next_time(report, monkeypatch):
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        set_aside(report)
    monkeypatch.undo()
    assert (report / "index.html").read_text() == PAGE
    assert set_aside(report)
    assert (report / "outdated" / "index.html").read_text().count("not current") == 1


def test_what_somebody_else_put_there_stays(report):
    set_aside(report)
    (report / "outdated" / "notes.txt").write_text("mine")
    discard(report)
    assert names(report / "outdated") == ["notes.txt"]
    assert page_of(report) is None


def test_the_command_rewrites_the_list_and_does_nothing_where_there_is_no_report(report, monkeypatch, capsys):
    for said in ("set aside the report of an earlier run", ""):
        monkeypatch.setattr(sys, "argv", ["ctmar", "set-report-aside", str(report)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == 0
        assert said in capsys.readouterr().out
        assert "mine/outdated/index.html" in (report.parent / "index.html").read_text()
