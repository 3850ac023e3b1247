"""Runs in processes of their own: the same bytes for any number of them, and a kill that loses nothing."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ctmar.config import Evaluation, Job, Network, Run, Training
from ctmar.datasets.split import write_split
from ctmar.errors import InputError, InterruptedWorkError
from ctmar.jobs.endings import TryAgainError
from ctmar.jobs.one_run import JobFiles, Work
from ctmar.jobs.study_job import Machine, run_job
from ctmar.store.attempt_records import AttemptsFile
from ctmar.store.run_lock import read_holder

PATIENTS = ("patient-0", "patient-1", "patient-2")
RUNS = [Run(network="small", method="plain", seed=seed) for seed in range(3)]
LONG = 100_000  # steps: the test ends it


@pytest.fixture
def work(tmp_path, write_pair_file):
    """A job of three runs: ``work(folder, epochs=1)``."""
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for seed, subset in enumerate(("train", "validation", "test")):
        write_pair_file(pairs / f"{subset}.h5", seed=seed)
    fold = dict(zip(PATIENTS, ("train", "validation", "test"), strict=True))
    write_split(pairs / "split.csv", [fold], dict.fromkeys(PATIENTS, 1))

    def make(name: str, n_steps: int = 2, **training: object) -> Work:
        folder = tmp_path / name
        return Work(
            files=JobFiles(pairs, pairs / "split.csv", None, folder / "runs", folder / "jobs" / "job.sha256"),
            job=Job(runs=RUNS, network=Network(settings={"fields": 1, "depth": 2})),
            training=Training(epochs=1, steps_per_epoch=n_steps, **{"batch_size": 2, "patch_size": 8, **training}),
            evaluation=Evaluation(defect_slices=1, examples=1, defect_angles_deg=[]),
        )

    return make


def contents(work: Work, *names: str) -> dict[str, bytes]:
    found = [path for name in names for path in work.files.runs.rglob(name)]
    return {str(path.relative_to(work.files.runs)): path.read_bytes() for path in sorted(found)}


def in_background(work: Work, machine: Machine, asked: threading.Event) -> tuple[threading.Thread, list[Exception]]:
    ended: list[Exception] = []

    def run() -> None:
        try:
            run_job(work, machine, interrupted=asked.is_set)
        except (TryAgainError, InterruptedWorkError, InputError) as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def trainers(work: Work, n_workers: int) -> list[int]:
    """The processes that hold the locks of runs, once there are so many."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        holders = map(read_holder, work.files.runs.rglob("lock.json"))  # one may be given up meanwhile
        pids = {holder.pid for holder in holders if holder}
        if len(pids) == n_workers:
            return sorted(pids)
        time.sleep(0.1)
    raise AssertionError(f"expected {n_workers} trainings, found {pids}")


def test_any_number_of_workers_gives_the_same_bytes(work):
    here, two, many = work("here"), work("two"), work("many")
    run_job(here)
    told = []
    run_job(two, Machine(n_workers=2), progress=lambda done, total, text: told.append((done, total, text)))
    run_job(many, Machine(n_workers=8))
    expected = contents(here, "weights.pt", "slices.csv", "examples.npz")
    assert len(expected) == 9
    assert contents(two, "weights.pt", "slices.csv", "examples.npz") == expected
    assert contents(many, "weights.pt", "slices.csv", "examples.npz") == expected
    assert two.files.finished.read_text().count("\n") == 24
    assert {total for _, total, _ in told} == {6}
    assert max(done for done, _, _ in told) == 6
    assert AttemptsFile.beside(two.files.finished).read()[-1].outcome == "finished"


def test_a_killed_worker_ends_the_job_and_the_other_saves(work):
    long = work("long", LONG)
    thread, ended = in_background(long, Machine(n_workers=2), threading.Event())
    pids = trainers(long, 2)
    time.sleep(1.0)  # some steps
    os.kill(pids[0], signal.SIGKILL)
    thread.join(300)
    assert not thread.is_alive()
    assert isinstance(ended[0], TryAgainError)
    assert "SIGKILL" in str(ended[0])
    assert AttemptsFile.beside(long.files.finished).read()[-1].outcome == "out of memory"
    assert len(list(long.files.runs.rglob("checkpoint.pt"))) >= 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[1], 0)


@pytest.mark.parametrize("how", ["asked", "signal to one worker"])
def test_stopped_all_workers_save(work, how):
    long, asked = work("long", LONG), threading.Event()
    thread, ended = in_background(long, Machine(n_workers=2), asked)
    pids = trainers(long, 2)
    time.sleep(1.0)
    if how == "asked":
        asked.set()
    else:
        os.kill(pids[0], signal.SIGTERM)
    thread.join(300)
    assert not thread.is_alive()
    assert isinstance(ended[0], InterruptedWorkError)
    assert AttemptsFile.beside(long.files.finished).read()[-1].outcome == "stopped"
    assert len(list(long.files.runs.rglob("checkpoint.pt"))) == 2
    assert not list(long.files.runs.rglob("lock.json"))


def test_a_mistake_in_one_run_is_told_as_without_workers(work):
    wrong = work("wrong", patch_size=4096)
    with pytest.raises(InputError, match=r"training\.patch_size"):
        run_job(wrong, Machine(n_workers=2))
    assert AttemptsFile.beside(wrong.files.finished).read()[-1].outcome == "error"
    assert not list(Path(wrong.files.runs).rglob("lock.json"))
