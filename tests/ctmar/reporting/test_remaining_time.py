"""How long a study still takes: closed forms."""

import pytest

from ctmar.config import Run
from ctmar.reporting.remaining_time import Pace, seconds_left

PLAIN = [Run(network="a", method="plain", seed=seed) for seed in range(4)]
STRICT = Run(network="a", method="strict")
OTHER = Run(network="b", method="plain")


def test_without_a_pace_or_with_nothing_running_there_is_no_telling():
    assert seconds_left([(PLAIN[0], 10.0)], [], 2) is None
    assert seconds_left([(PLAIN[0], 10.0)], [Pace(PLAIN[1], 1.0)], 0) is None


def test_runs_share_the_machine_and_none_is_faster_than_itself():
    paces = [Pace(PLAIN[3], 0.5)]
    assert seconds_left([(run, 100.0) for run in PLAIN[:3]], paces, 2) == 75.0
    assert seconds_left([(PLAIN[0], 100.0)], paces, 8) == 50.0
    assert seconds_left([], paces, 2) == 0.0


def test_a_pause_of_one_run_is_no_pace():
    paces = [Pace(run, seconds) for run, seconds in zip(PLAIN, (0.5, 0.5, 3600.0, 0.6), strict=True)]
    assert seconds_left([(PLAIN[0], 100.0)], paces, 1) == pytest.approx(55.0)


def test_the_own_method_counts_before_the_network_and_that_before_all():
    paces = [Pace(PLAIN[0], 1.0), Pace(PLAIN[1], 1.0), Pace(STRICT, 2.0)]
    assert seconds_left([(STRICT, 10.0)], paces, 1) == 20.0
    assert seconds_left([(Run(network="a", method="augmentation"), 10.0)], paces, 1) == 10.0
    assert seconds_left([(OTHER, 10.0)], [*paces, Pace(STRICT, 3.0)], 1) == 15.0
