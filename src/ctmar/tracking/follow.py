"""Mirroring a study while it runs."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.tracking.mirror import Mirror
from ctmar.tracking.mirror_summary import Summary

SECONDS_BETWEEN_LOOKS = 5.0
_LONGEST_PAUSE = 60.0  # while MLflow does not answer
_LOWEST_PRIORITY = 19


def follow(
    results: Path,
    pid: int,
    interrupted: Callable[[], bool],
    said: Callable[[str], None],
    pause: float = SECONDS_BETWEEN_LOOKS,
) -> None:
    """Mirror a study again and again until a process has ended, and then once more.

    It runs at the lowest priority and only reads what training writes anyway. While MLflow does not answer it looks
    ever more seldom; nothing is lost by that, for the files stay.

    Args:
        results: the folder of the study's results; its configuration may not be there yet.
        pid: the process; it need not be the parent of this one, for a script may stand between them.
        interrupted: whether to end after the run that is being written.
        said: is told every change of what cannot be mirrored.
        pause: seconds between two looks.
    """
    works_on = _process(pid)
    os.nice(_LOWEST_PRIORITY)
    mirror, told, wait = Mirror(results, following=True), "", pause
    while True:
        mirror.following = works_on() and not interrupted()
        summary = _look(mirror, interrupted)
        if summary is not None:
            if summary.missing not in ("", told) and not interrupted():  # then another goes on
                said(summary.missing)
            told = summary.missing
            wait = min(2 * wait, _LONGEST_PAUSE) if told else pause
        if not mirror.following:
            return
        _sleep(wait, lambda: interrupted() or not works_on())


def _process(pid: int) -> Callable[[], bool]:
    """Whether this very process, and not a later one of its number, goes on."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return lambda: False

    def works_on() -> bool:
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return works_on


def _look(mirror: Mirror, interrupted: Callable[[], bool]) -> Summary | None:
    try:
        return mirror.synchronise(interrupted)
    except (InputError, InterruptedWorkError):
        # the configuration is not written yet, or the last synchronisation of the study is at work
        return None


def _sleep(seconds: float, ended: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended():
        time.sleep(0.2)
