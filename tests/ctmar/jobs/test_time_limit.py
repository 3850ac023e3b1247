"""A job that knows its time limit saves before it comes: a scheduler gives no time for it."""

from types import SimpleNamespace

import pytest

from ctmar.config import Evaluation, Job, Network, Run, Training
from ctmar.datasets.split import write_split
from ctmar.errors import InterruptedWorkError
from ctmar.jobs.one_run import JobFiles, Work
from ctmar.jobs.study_job import Machine, run_job
from ctmar.jobs.time_limit import before_the_limit
from ctmar.store.attempt_records import AttemptsFile, Granted

RUNS = [Run(network="small", method="plain", seed=seed) for seed in range(2)]
THREE_SECONDS = 0.05


@pytest.fixture
def work(tmp_path, write_pair_file):
    """A job of two runs of so many steps."""
    patients = ("patient-0", "patient-1", "patient-2")
    for seed, subset in enumerate(("train", "validation", "test")):
        write_pair_file(tmp_path / f"{subset}.h5", seed=seed)
    fold = dict(zip(patients, ("train", "validation", "test"), strict=True))
    write_split(tmp_path / "split.csv", [fold], dict.fromkeys(patients, 1))

    def make(n_steps: int) -> Work:
        return Work(
            files=JobFiles(tmp_path, tmp_path / "split.csv", None, tmp_path / "runs", tmp_path / "job.sha256"),
            job=Job(runs=RUNS, network=Network(settings={"fields": 1, "depth": 2})),
            training=Training(epochs=1, steps_per_epoch=n_steps, batch_size=2, patch_size=8),
            evaluation=Evaluation(defect_slices=1, examples=1, defect_angles_deg=[]),
        )

    return make


@pytest.fixture
def in_a_job(monkeypatch):
    monkeypatch.setattr("ctmar.jobs.study_job.this_writer", lambda: SimpleNamespace(job="7"))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_it_stops_and_saves_and_says_that_time_was_short(work, in_a_job, n_workers):
    job = work(100_000)
    with pytest.raises(InterruptedWorkError):
        run_job(job, Machine(Granted(minutes=THREE_SECONDS), n_workers=n_workers))
    attempts = AttemptsFile.beside(job.files.finished).read()
    assert [one.outcome for one in attempts] == ["out of time"]
    assert list(job.files.runs.rglob("checkpoint.pt"))


def test_without_a_scheduler_nobody_enforces_a_limit(work):
    job = work(2)
    run_job(job, Machine(Granted(minutes=0)))
    assert job.files.finished.is_file()


def test_who_is_asked_stops_whatever_the_limit():
    assert before_the_limit(lambda: True, 60)()
    assert not before_the_limit(lambda: False, 60)()
    assert before_the_limit(lambda: False, 0)()
    assert not before_the_limit(lambda: False, None)()
