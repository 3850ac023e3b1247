"""Runs of a job in processes of their own, several at a time: a GPU, or a node with eight of them, is filled.

A worker trains and measures one run after the other, as the process of a job without workers does, so that no number
depends on how many there are. It talks to the job through a pipe of its own: what comes while it works means to stop,
the end of the pipe, when the job is killed, too. A worker that is killed ends the job; the others save first.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from ctmar.config import Run
from ctmar.errors import InputError, InterruptedWorkError
from ctmar.jobs.endings import WorkerFailedError, outcome_of
from ctmar.jobs.gpus import VISIBLE
from ctmar.jobs.one_run import Work
from ctmar.long_work import Progress, end_with_parent, keep_freed_memory
from ctmar.store.attempt_records import Outcome

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_SAVE = 600.0  # of a worker that is asked to stop; a scheduler gives less
_SECONDS_WITHOUT_THE_JOB = 60.0  # of a worker whose job was killed; a training sees that in its next step


class Shown(NamedTuple):
    """How far a worker has come with its run."""

    done: int
    text: str


class Done(NamedTuple):
    """A worker has finished its run."""


class Stopped(NamedTuple):
    """A worker has saved and ended, because it was asked to or got a signal."""

    text: str


class Failed(NamedTuple):
    """The run of a worker failed."""

    outcome: Outcome
    text: str


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    run: Run | None = None
    done: int = 0


@dataclass
class _Team:
    """The workers of a job and the runs that wait for them."""

    work: Work
    progress: Progress
    workers: list[_Worker]
    waiting: deque[Run]
    steps_before: int = 0
    failure: Failed | None = None
    stopped: str = ""
    is_stopping: bool = False
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(map(self.work.n_steps, self.waiting))

    def give_work(self, worker: _Worker) -> None:
        """The next run, or the word that there is none."""
        worker.done, worker.run = 0, None if self.is_stopping or not self.waiting else self.waiting.popleft()
        with suppress(OSError):  # it was killed: its end of the pipe tells
            worker.pipe.send(worker.run)

    def hear(self, worker: _Worker) -> None:
        """Take what a worker says."""
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self.lose(worker)
            return
        run = worker.run
        if isinstance(said, Shown) and run is not None:
            worker.done = said.done
            done = self.steps_before + sum(other.done for other in self.workers)
            self.progress(min(done, self.total), self.total, f"{run.slug} seed {run.seed}: {said.text}")
        elif isinstance(said, Done) and run is not None:
            self.steps_before += self.work.n_steps(run)
            self.give_work(worker)
        elif isinstance(said, Stopped):
            self.stopped, worker.run = said.text, None
            self.stop()
        elif isinstance(said, Failed):
            self.failure, worker.run = self.failure or said, None
            self.stop()

    def lose(self, worker: _Worker) -> None:
        """A worker has ended; in the middle of a run somebody killed it: of several processes mostly for its memory."""
        self.workers.remove(worker)
        worker.process.join(_SECONDS_TO_SAVE)
        if worker.run is not None:
            code = worker.process.exitcode
            outcome: Outcome = "out of memory" if code == -signal.SIGKILL else "machine"
            text = f"the process that trained {worker.run.slug} seed {worker.run.seed} was killed ({_end_of(code)})"
            self.failure = self.failure or Failed(outcome, text)
            self.stop()

    def stop(self) -> None:
        """Ask every worker to save and end."""
        if not self.is_stopping:
            self.is_stopping = True
            for worker in self.workers:
                with suppress(OSError):
                    worker.pipe.send(None)


def _end_of(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def run_in_workers(
    work: Work, n_workers: int, gpus: Sequence[str], progress: Progress, interrupted: Callable[[], bool]
) -> None:
    """Train and measure the runs of a job, ``n_workers`` at a time, each worker on one of the GPUs.

    Raises:
        InterruptedWorkError: ``interrupted`` said so, or a worker got a signal to stop; all have saved.
        WorkerFailedError: a run failed or a worker was killed; the others have saved.
    """
    with _team(work, n_workers, gpus, progress) as team:
        for worker in team.workers:
            team.give_work(worker)
        while team.workers:
            for pipe in wait([worker.pipe for worker in team.workers], _SECONDS_BETWEEN_LOOKS):
                for worker in [worker for worker in team.workers if worker.pipe is pipe]:
                    team.hear(worker)
            if interrupted():
                team.stop()
    if team.failure:
        raise WorkerFailedError(*team.failure)
    if team.is_stopping:
        raise InterruptedWorkError(team.stopped or "between two runs")


@contextmanager
def _team(work: Work, n_workers: int, gpus: Sequence[str], progress: Progress) -> Iterator[_Team]:
    """Workers that end with the block: those that still live are asked to save, and given time for it."""
    team = _Team(work, progress, [], deque(work.job.runs))
    context = multiprocessing.get_context("spawn")  # CUDA cannot be forked
    try:
        for number in range(n_workers):
            ours, theirs = context.Pipe()
            gpu = gpus[number % len(gpus)] if gpus else None
            process = context.Process(target=_serve, args=(theirs, work, gpu))
            process.start()
            theirs.close()  # so that the pipe ends with the worker
            team.workers.append(_Worker(process, ours))
        yield team
    finally:
        if team.workers:
            team.stop()
        for worker in team.workers:
            worker.process.join(_SECONDS_TO_SAVE)
            worker.process.kill()


def _serve(pipe: Connection, work: Work, gpu: str | None) -> None:
    """The life of a worker."""
    end_with_parent(_SECONDS_WITHOUT_THE_JOB)  # a measurement does not look whether there is a job
    keep_freed_memory()
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the job decides
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: asked_to_stop.append(number))
    if gpu is not None:
        os.environ[VISIBLE] = gpu
    with suppress(EOFError, OSError):  # the job is gone: nobody is left to tell
        _work_for(pipe, work, lambda: bool(asked_to_stop) or pipe.poll())


def _work_for(pipe: Connection, work: Work, interrupted: Callable[[], bool]) -> None:
    try:
        with work.evaluator() as evaluator:
            while (run := pipe.recv()) is not None:
                work.train_and_measure(run, evaluator, _teller(pipe), interrupted)
                if interrupted():
                    raise InterruptedWorkError("between two runs")
                pipe.send(Done())
    except InterruptedWorkError as error:
        pipe.send(Stopped(str(error)))
    except Exception as error:  # whatever it is, the job says it
        if not isinstance(error, InputError):
            traceback.print_exc(file=sys.stderr)
        pipe.send(Failed(*outcome_of(error)))


def _teller(pipe: Connection) -> Progress:
    """Progress that goes through the pipe, a few times a second."""
    told = 0.0

    def show(done: int, total: int, text: str) -> None:
        nonlocal told
        if done >= total or time.monotonic() - told > _SECONDS_BETWEEN_LOOKS:
            told = time.monotonic()
            with suppress(OSError):
                pipe.send(Shown(done, text))

    return show
