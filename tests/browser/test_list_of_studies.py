"""The list of all studies as a reader meets it: offline, wide and narrow, light and dark, by keyboard."""

import time

import pytest

from ctmar.reporting.studies import StudyDescription, list_reports, write_description

pytestmark = pytest.mark.browser
METHODS = ["plain training", "data augmentation", "projection with 9 norms", "train, then project", "strict"]
TITLE = "Approximate equivariance on CT metal artefact reduction <b>&amp;</b>"


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for name, n_runs in (("config", 91), ("a-long-name.of_a-study", 5000), ("second", 6)):
        (folder / name).mkdir()
        (folder / name / "index.html").write_text("<!doctype html><title>The report</title><p>The report")
        data = "106 slices of 5 patients, source package"
        description = StudyDescription(
            title=TITLE, data=data, n_runs=n_runs, n_diverged=1, networks=["dncnn"], methods=METHODS
        )
        write_description(description, folder / name / "study.json")
    list_reports(folder)
    return folder


def test_the_list_asks_for_nothing_and_complains_of_nothing(browser, reports):
    browser.open(reports / "index.html")
    assert browser.problems() == []
    assert browser.requests() == [(reports / "index.html").as_uri()]
    assert browser.run("document.querySelectorAll('tbody tr').length") == 3
    assert browser.run("document.querySelectorAll('b').length") == 0
    assert "<b>" in browser.run("document.querySelector('tbody small').textContent")


@pytest.mark.parametrize("width", [1400, 800, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_no_part_of_it_is_wider_than_the_screen(browser, reports, width, dark):
    browser.open(reports / "index.html", width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    table = browser.run("document.querySelector('.scroll').getBoundingClientRect().width")
    assert table > 0.75 * min(width, 1200)


def test_a_name_leads_to_its_report(browser, reports):
    browser.open(reports / "index.html")
    link = browser.run("document.querySelector('tbody a').href")
    assert link.startswith(reports.as_uri())
    browser.send("Page.navigate", url=link)
    deadline = time.monotonic() + 120
    while browser.run("document.title") != "The report":
        assert time.monotonic() < deadline, browser.run("document.title")
