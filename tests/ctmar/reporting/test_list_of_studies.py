"""The list of all studies of a checkout."""

import os
import re
import subprocess
import sys

import pytest

from ctmar.reporting.studies import (
    StudyDescription,
    list_reports,
    render_list,
    write_description,
)
from ctmar.reporting.study_description import describe_study

DESCRIPTION = StudyDescription(
    title="A title", data="3 slices of 1 patient", n_runs=6, n_diverged=0, networks=["a"], methods=["b"]
)


def add(reports, name, seconds, description=DESCRIPTION):
    folder = reports / name
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>")
    os.utime(folder / "index.html", (seconds, seconds))
    if description:
        write_description(description, folder / "study.json")


def test_every_study_is_listed_newest_first_with_its_date(tmp_path):
    add(tmp_path, "older", 86400 * 365)
    add(tmp_path, "newer", 86400 * 366)
    (tmp_path / "example").mkdir()
    page = list_reports(tmp_path)
    assert page == tmp_path / "index.html"
    text = page.read_text()
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', text) == [
        ("newer/index.html", "newer"),
        ("older/index.html", "older"),
    ]
    assert re.findall(r"<time>(.*?)</time>", text) == ["1971-01-02 00:00", "1971-01-01 00:00"]
    assert "2 studies" in text
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.html"]


def test_names_and_titles_from_outside_are_escaped(tmp_path):
    hostile = "<img src=x onerror=alert(1)>&'\""
    add(tmp_path, hostile.replace("/", ""), 0, DESCRIPTION.model_copy(update={"title": hostile, "networks": [hostile]}))
    text = list_reports(tmp_path).read_text()
    assert "<img" not in text
    assert text.count("&lt;img") == 3
    assert "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%26%27%22/index.html" in text


@pytest.mark.parametrize("text", [None, "", "[]", '{"title": 1}', "\xff"])
def test_a_study_without_a_readable_description_is_listed_all_the_same(tmp_path, text):
    add(tmp_path, "broken", 0, description=None)
    if text is not None:
        (tmp_path / "broken" / "study.json").write_text(text, encoding="latin-1")
    page = list_reports(tmp_path).read_text()
    assert '<a href="broken/index.html">broken</a>' in page
    assert "cannot be read" in page


def test_a_study_that_ends_meanwhile_is_listed(tmp_path, monkeypatch):
    add(tmp_path, "first", 0)

    def render(studies):
        if not (tmp_path / "second").exists():
            add(tmp_path, "second", 1)  # as another process does between our look and our writing
        return render_list(studies)

    monkeypatch.setattr("ctmar.reporting.studies.render_list", render)
    assert "2 studies" in list_reports(tmp_path).read_text()


def test_the_page_reaches_for_nothing(tmp_path):
    add(tmp_path, "one", 0)
    text = list_reports(tmp_path).read_text()
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "<script" not in text


def test_runs_that_diverged_are_told(tmp_path):
    add(tmp_path, "one", 0, DESCRIPTION.model_copy(update={"n_diverged": 2}))
    assert "<small>and 2 diverged</small>" in list_reports(tmp_path).read_text()


def test_a_study_describes_itself(results, config):
    description = describe_study(results, config)
    assert description.n_runs == len(results.runs)
    assert description.title == config.report.title
    assert re.fullmatch(r"\d+ slices of \d+ patients, source package", description.data)
    assert set(description.networks) == set(results.models["network"])


def test_the_list_needs_no_tables_and_no_charts():
    code = "import sys, ctmar.reporting.studies; print({'pandas', 'altair', 'torch', 'vl_convert'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
