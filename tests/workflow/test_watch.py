"""`ctmar watch` beside a real study: what it saw, and that it ended with it."""

import re

import pytest
from tests.workflow.conftest import seen_of

pytestmark = pytest.mark.workflow


def test_it_waited_for_the_study_followed_it_and_ended_with_it(finished_study):
    seen = seen_of(finished_study)
    assert (seen / "exit_code.txt").read_text() == "0"
    first, *_, last = (seen / "log.txt").read_text().splitlines()
    assert first.startswith("ctmar: results/small/config.yaml: expected the configuration of a study")
    assert last.endswith("6 of 6 runs over: 6 finished; nothing is left to run")


def test_it_saw_ever_more_runs_that_were_over_and_none_that_failed(finished_study):
    lines = (seen_of(finished_study) / "log.txt").read_text().splitlines()[1:]
    over = [int(found[1]) for line in lines if (found := re.search(r"(\d) of 6 runs over", line))]
    assert over == sorted(over)
    assert not [line for line in lines if "failed" in line or "killed" in line or "damaged" in line]


def test_its_last_page_has_every_run_and_is_not_loaded_again(finished_study):
    page = (seen_of(finished_study) / "page.html").read_text()
    assert page.count("<circle") == 6
    assert page.count('class="spark"') == 6
    assert "location.reload()" not in page
