"""`ctmar watch`: on a terminal, in a log, as a page; it ends with the study, and its exit code tells of failures."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from tests.ctmar.run_folders import epoch, finish_run
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.config import Config, Run, validate_section
from ctmar.jobs.attempts import start_attempt
from ctmar.store.attempt_records import AttemptsFile, Granted
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock

RUNS = [Run(network="n", method="plain", seed=seed) for seed in (0, 1)]


@pytest.fixture(autouse=True)
def _as_polite_as_before(monkeypatch):
    """The command lowers its own priority, and here it shares a process with other tests."""
    monkeypatch.setattr(os, "nice", lambda by: 0)


@pytest.fixture
def results(tmp_path) -> Path:
    study = {"networks": {"n": {}}, "seeds": [0, 1], "runs": [{"method": "plain"}], "name": "little"}
    config = validate_section(Config, {"study": study}, "test")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "config.yaml").write_text(json.dumps(config.published()))
    return tmp_path / "results"


def finish(results: Path, run: Run) -> None:
    finish_run(results, run, [epoch(validation_psnr=31.5)])


def watch(results: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["watch", str(results), "--every", "0.2", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_once_shows_what_there_is_and_ends(results, tmp_path):
    finish(results, RUNS[0])
    page = tmp_path / "live" / "page.html"
    code, text = watch(results, "--once", "--page", str(page))
    assert code == 0
    assert text.startswith("little: 1 of 2 runs over\n")
    assert "31.50 dB  Plain, seed 0" in text
    assert "Plain, seed 0" in page.read_text()


def test_it_follows_until_the_study_is_done(results):
    finish(results, RUNS[0])

    at_work = threading.Event()

    def train() -> None:
        with hold_lock(RunFolder.of(results / "runs", RUNS[1]).lock):
            at_work.set()
            time.sleep(2.0)
            finish(results, RUNS[1])

    training = threading.Thread(target=train)
    training.start()
    at_work.wait()
    code, text = watch(results)
    training.join()
    first, *_, last = text.splitlines()
    assert code == 0
    assert "1 of 2 runs over: 1 finished, 1 running" in first
    assert last.endswith("2 of 2 runs over: 2 finished; nothing is left to run")


def test_a_failure_is_told_once_and_by_the_exit_code(results):
    finish(results, RUNS[0])
    folder = RunFolder.of(results / "runs", RUNS[1])
    folder.path.mkdir(parents=True)
    folder.started.write_text("{}")
    file = AttemptsFile(results / "jobs" / "n-0.attempts.jsonl")
    start_attempt(file, Granted(), [RUNS[1].folder_name]).end("error", "a mistake")
    code, text = watch(results)
    assert code == 1
    assert text.count("seed 1: failed, an error: a mistake") == 1


def test_it_waits_for_a_study_that_is_not_there_yet(results):
    config = results / "config.yaml"
    text = config.read_text()
    config.unlink()
    for run in RUNS:
        finish(results, run)
    threading.Timer(0.6, config.write_text, [text]).start()
    code, said = watch(results)
    assert code == 0
    assert said.count("waiting for it") == 1
    assert "2 of 2 runs over" in said


def test_a_terminal_is_drawn_anew_and_left_in_order(results):
    """In a real terminal: the view is there more than once, and a signal ends it without a trace of the cursor's."""
    finish(results, RUNS[0])
    own, others = pty.openpty()
    command = [sys.executable, "-m", "ctmar", "watch", str(results), "--every", "0.3"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "90", "LINES": "30"}
    # a shell's background job ignores SIGINT, and so would all that it starts
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stdout=others, stderr=others, env=environment, start_new_session=True, preexec_fn=heard
    )
    os.close(others)
    at_the_latest = threading.Timer(100, process.kill)  # else a view that hangs would hang the reader
    at_the_latest.start()
    shown, deadline = b"", time.monotonic() + 60
    while shown.count(b"little: 1 of 2 runs over") < 3 and time.monotonic() < deadline:
        shown += os.read(own, 65536)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            more = os.read(own, 65536)
        except OSError:  # how a terminal says that nobody writes any more
            break
        if not more:
            break
        shown += more
    os.close(own)
    at_the_latest.cancel()
    assert process.wait(30) == 0
    text = shown.decode()
    assert text.count("little: 1 of 2 runs over") >= 3
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    assert "Traceback" not in text
    assert (results / "runs" / RUNS[0].folder_name / "run.json").is_file()
