"""What became of a planned run, told from its folder and from the attempts of its job."""

import dataclasses
import math

import pytest
from tests.ctmar.run_folders import PROVENANCE, description, epoch, measurements

from ctmar.config import Config, Network, Run, Training, validate_section
from ctmar.store.attempt_records import AttemptsFile, End, Granted, Start
from ctmar.store.planned_runs import planned_runs
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock
from ctmar.store.run_records import Divergence, Grid, RunOrigin
from ctmar.store.writer import this_writer

RUN = Run(network="n", method="plain")
STUDY = {"networks": {"n": {}}, "seeds": [0], "runs": [{"method": "plain"}, {"method": "strict"}]}
CONFIG = validate_section(Config, {"study": STUDY}, "test configuration")
DEAD = dataclasses.replace(this_writer(), started=0)
ELSEWHERE = dataclasses.replace(this_writer(), host="other", machine="01234567")


@pytest.fixture
def folder(tmp_path):
    return RunFolder.of(tmp_path / "runs", RUN)


def begin(folder):
    grid = Grid(image_size=32, pixel_mm=1.0, preset="benchmark")
    settings = {"run": RUN, "network": Network(), "training": Training(), "grid": grid, "provenance": PROVENANCE}
    folder.path.mkdir(parents=True)
    folder.begin(RunOrigin(**settings), 1.0)


def train(folder):
    begin(folder)
    for path in folder.of_network:
        path.write_bytes(b"")
    folder.write_epochs([epoch()])
    folder.write_description(description(run=RUN))


def measure(folder):
    train(folder)
    folder.write_measurements(measurements())
    for path in (folder.slices, folder.examples):
        path.write_bytes(b"")


def attempt(tmp_path, outcome=None, message="", writer=DEAD, runs=(RUN.folder_name,)):
    """Write an attempt down; without an outcome it has no end."""
    file = AttemptsFile(tmp_path / "jobs" / "n-0.attempts.jsonl")
    name = f"attempt {len(file.read())}"
    file.append(Start(attempt=name, runs=list(runs), granted=Granted(), writer=writer, time="2026-11-28T15:00:00+0000"))
    if outcome:
        file.append(End(attempt=name, outcome=outcome, message=message, seconds=1.0))


def told(tmp_path):
    one = planned_runs(tmp_path, CONFIG)[0]
    return one.state, one.why


def test_of_a_finished_and_of_a_diverged_run(tmp_path, folder):
    measure(folder)
    assert told(tmp_path) == ("finished", "")
    where = Divergence(step=7, where="loss", layer=None, loss=math.inf)
    folder.write_divergence(description(run=RUN, diverged=where, kept_epoch=None), {})
    assert told(tmp_path) == ("diverged", "at step 7 (loss, loss inf)")
    assert planned_runs(tmp_path, CONFIG)[0].description.diverged == where


@pytest.mark.parametrize(
    ("outcome", "begun", "not_begun"),
    [
        (None, ("killed", "its process ended without a word"), "its process ended without a word"),
        ("error", ("failed", "an error: no such key"), "an error: no such key"),
        ("machine", ("failed", "a fault of the machine: no such key"), "a fault of the machine: no such key"),
        ("out of memory", ("failed", "the memory did not suffice: no such key"), "the memory did not suffice"),
        ("out of time", ("stopped", "its time limit was near"), "its time limit was near"),
        ("stopped", ("stopped", "a signal asked it to stop"), "a signal asked it to stop"),
    ],
)
def test_the_last_attempt_tells_why_a_run_is_not_finished(tmp_path, folder, outcome, begun, not_begun):
    assert told(tmp_path) == ("not run", "its job has not begun")
    attempt(tmp_path, "error", "an earlier mistake")
    attempt(tmp_path, outcome, "no such key")
    state, why = told(tmp_path)
    assert state == "not run"
    assert why.startswith(f"its job did not come to it; {not_begun}")
    begin(folder)
    assert told(tmp_path) == begun
    assert len(planned_runs(tmp_path, CONFIG)[0].attempts) == 2


def test_a_training_that_nobody_wrote_down_was_killed(tmp_path, folder):
    begin(folder)
    assert told(tmp_path) == ("killed", "its process ended without a word")


@pytest.mark.parametrize("missing", ["weights", "kernels", "metrics", "slices", "model", "examples"])
def test_a_finished_run_that_lacks_a_file_is_damaged(tmp_path, folder, missing):
    measure(folder)
    attempt(tmp_path, "finished")
    getattr(folder, missing).unlink()
    assert told(tmp_path) == ("damaged", f"expected {getattr(folder, missing).name}, found no such file")


def test_a_description_that_is_cut_off_is_damage(tmp_path, folder):
    measure(folder)
    folder.run.write_text('{"run": ')
    state, why = told(tmp_path)
    assert state == "damaged"
    assert str(folder.run) in why


@pytest.mark.parametrize(
    "changes",
    [{"run": Run(network="n", method="strict")}, {"training": Training(epochs=3)}, {"group": "D4"}],
    ids=["another run", "other settings", "another group"],
)
def test_what_another_configuration_trained_is_no_run_of_this_one(tmp_path, folder, changes):
    measure(folder)
    folder.write_description(description(**{"run": RUN} | changes))
    assert told(tmp_path) == ("not run", "what lies in its folder was trained by another configuration")


def test_a_finished_job_without_the_folder_of_a_run(tmp_path):
    attempt(tmp_path, "finished")
    assert told(tmp_path) == ("damaged", "its job is finished, and its files are not there")


def test_who_works_in_the_folder_or_at_the_job(tmp_path, folder):
    begin(folder)
    attempt(tmp_path, "error", "of the time before")
    with hold_lock(folder.lock):
        assert told(tmp_path) == ("running", "it is being trained")
        folder.weights.write_bytes(b"")
        folder.write_epochs([epoch()])
        folder.write_description(description(run=RUN))
        assert told(tmp_path) == ("running", "it is being measured")


def test_the_job_of_a_run_goes_on_as_long_as_its_process_or_a_lock_of_its_runs_says_so(tmp_path, folder):
    other = Run(network="n", method="strict")
    runs = (other.folder_name, RUN.folder_name)
    attempt(tmp_path, writer=this_writer(), runs=runs)
    assert told(tmp_path) == ("not run", "its job is running")
    attempt(tmp_path, writer=ELSEWHERE, runs=runs)
    assert told(tmp_path) == ("not run", "its job did not come to it; its process ended without a word")
    with hold_lock(RunFolder.of(tmp_path / "runs", other).lock):
        assert told(tmp_path) == ("not run", "its job is running")


@pytest.mark.parametrize(
    ("missing", "state"),
    [("kernels", "damaged"), ("examples", "damaged"), ("slices", "killed"), ("model", "killed")],
)
def test_without_attempts_a_measured_run_that_lacks_a_file_was_not_killed(tmp_path, folder, missing, state):
    measure(folder)
    getattr(folder, missing).unlink()
    assert told(tmp_path) == (state, f"expected {getattr(folder, missing).name}, found no such file")
