"""The process that mirrors a study while it runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ctmar.tracking.conftest import LittleStudy, after_questions

from ctmar.tracking.workflow import next_attempt, what_is_missing
from ctmar.training.loop import InterruptedTrainingError

CTMAR = Path(sys.executable).with_name("ctmar")
STARTER = """
import sys
from ctmar.tracking import workflow
workflow._PATIENCE_SECONDS = 2.0
follower = workflow.Follower(sys.argv[1], sys.argv[2])
follower.start()
sys.stdin.read()
follower.end()
"""


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def followers(results: Path) -> list[int]:
    """Processes that follow this study."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--follow" in words and os.fsencode(results) in words:
            found.append(int(process.name))
    return found


@contextmanager
def started(results: Path, log: Path) -> Iterator[subprocess.Popen]:
    """A process that has started a follower of the study, as Snakemake does; it ends when its input does."""
    with subprocess.Popen([sys.executable, "-c", STARTER, str(results), str(log)], stdin=subprocess.PIPE) as process:
        until(lambda: followers(results) != [])
        yield process
        process.kill()


@pytest.fixture
def starter(begun_study: LittleStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen]:
    """Such a process on a study that has begun."""
    monkeypatch.setenv("PATH", f"{CTMAR.parent}{os.pathsep}{os.environ['PATH']}")
    with started(begun_study.results, tmp_path / "logs" / "follow.log") as process:
        yield process


@pytest.fixture
def starter_behind_a_script(
    begun_study: LittleStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen]:
    """The same, where `ctmar` is a script, as modules and environments of clusters put it."""
    behind = tmp_path / "bin" / "ctmar"
    behind.parent.mkdir()
    behind.write_text(f'#!/bin/bash\n{CTMAR} "$@"\ntrue\n')
    behind.chmod(0o755)
    monkeypatch.setenv("PATH", f"{behind.parent}{os.pathsep}{os.environ['PATH']}")
    with started(begun_study.results, tmp_path / "logs" / "follow.log") as process:
        yield process


@pytest.mark.slow
def test_a_follower_ends_when_the_process_that_started_it_is_killed(
    begun_study: LittleStudy, starter: subprocess.Popen, tmp_path: Path
) -> None:
    study = begun_study
    with pytest.raises(InterruptedTrainingError):
        study.train(0, interrupted=after_questions(4))
    until(lambda: [len(study.history(run)) for run in _seen(study)] == [1])
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    until(lambda: followers(study.results) == [])
    assert [run.info.status for run in study.stored("run")] == ["KILLED"]
    assert study.stored("study")[0].info.status == "KILLED"
    assert (tmp_path / "logs" / "follow.log").read_text() == ""


@pytest.mark.slow
def test_a_follower_behind_a_script_ends_too(
    begun_study: LittleStudy, starter_behind_a_script: subprocess.Popen
) -> None:
    starter_behind_a_script.kill()
    assert starter_behind_a_script.wait(120) == -signal.SIGKILL  # it did not end before its follower was there
    until(lambda: followers(begun_study.results) == [])


@pytest.mark.slow
@pytest.mark.parametrize("stands_still", [False, True])
def test_nothing_follows_a_study_that_is_over(
    begun_study: LittleStudy, starter: subprocess.Popen, stands_still: bool
) -> None:
    if stands_still:  # as one that a dead disk holds
        os.kill(*followers(begun_study.results), signal.SIGSTOP)
    starter.stdin.close()
    assert starter.wait(120) == 0
    assert followers(begun_study.results) == []


@pytest.mark.slow
def test_nothing_behind_a_script_follows_a_study_that_is_over(
    begun_study: LittleStudy, starter_behind_a_script: subprocess.Popen
) -> None:
    starter_behind_a_script.stdin.close()
    assert starter_behind_a_script.wait(120) == 0
    assert followers(begun_study.results) == []


def _seen(study: LittleStudy) -> list:
    ready = study.client.get_experiment_by_name("equiproj") is not None
    return study.stored("run") if ready else []


@pytest.mark.slow
def test_a_follower_does_not_wait_for_anybody_when_it_is_told_to_end(
    begun_study: LittleStudy, starter: subprocess.Popen
) -> None:
    (process,) = followers(begun_study.results)
    time.sleep(5)  # it has begun to look
    os.kill(process, signal.SIGTERM)
    until(lambda: followers(begun_study.results) == [])
    assert starter.poll() is None


def test_an_attempt_that_failed_asks_for_another_and_one_that_did_not_for_none(study: LittleStudy, monkeypatch) -> None:
    def sync(attempt: int | None = None) -> int:
        command = [str(CTMAR), "sync", str(study.results)]
        options = [] if attempt is None else ["--attempt", str(attempt)]
        return subprocess.run([*command, *options], capture_output=True, text=True).returncode

    results = str(study.results)
    assert next_attempt(results) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert sync(0) == 0  # a mirror fails no study
    assert next_attempt(results) == 1
    assert "ctmar sync" in what_is_missing(results)
    assert sync() == 1
    assert next_attempt(results) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync(1) == 0
    assert (next_attempt(results), what_is_missing(results)) == (1, "")
