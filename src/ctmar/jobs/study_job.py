"""A job of the study: runs of one network on the same pairs, each trained and at once measured."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctmar.config import Run
from ctmar.jobs.endings import recorded
from ctmar.jobs.gpus import claimed_gpus
from ctmar.jobs.one_run import Work
from ctmar.jobs.scratch import staged
from ctmar.jobs.time_limit import before_the_limit
from ctmar.jobs.workers import run_in_workers
from ctmar.long_work import Progress, no_progress
from ctmar.store.attempt_records import AttemptsFile, Granted
from ctmar.store.provenance import write_checksums
from ctmar.store.writer import this_writer


@dataclass(frozen=True)
class Machine:
    """What the machine of a job offers it; no result depends on it.

    Args:
        granted: what the scheduler gave.
        n_workers: runs at a time, each in a process of its own; with one, all are run in this process.
        n_gpus: GPUs of the job, which the workers share.
        scratch: folder on the node to copy the pairs to; None: they are read where they are.
        mps: share each GPU through NVIDIA's multi-process service.
    """

    granted: Granted = field(default_factory=Granted)
    n_workers: int = 1
    n_gpus: int = 1
    scratch: Path | None = None
    mps: bool = False


_THIS_ONE = Machine()


def run_job(
    work: Work,
    machine: Machine = _THIS_ONE,
    *,
    progress: Progress = no_progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Train and measure the runs of a job, each on the patients of its fold.

    What is finished, with the same settings, data and code, is neither trained nor measured again. A training that
    diverges is finished, has nothing to measure, and keeps no other run from being trained. The start and the end of
    the attempt are written down beside the list of the files.

    Args:
        work: the runs, and what they follow from.
        machine: what there is to run them on.
        progress: called with the steps done, the steps in all, and a line of text.
        interrupted: asked after each step whether to save and stop; in a scheduler's job, its time limit, too.

    Raises:
        InputError: see `Work.train_and_measure`.
        InterruptedWorkError: ``interrupted`` said so, or the time limit is near.
        TryAgainError: the machine is at fault.
    """
    files, runs = work.files, work.job.runs
    if this_writer().job:  # elsewhere nobody enforces a limit
        interrupted = before_the_limit(interrupted, machine.granted.minutes)
    n_workers = min(machine.n_workers, len(runs))
    n_gpus = machine.n_gpus if work.training.device == "cuda" else 0
    with (
        recorded(AttemptsFile.beside(files.finished), machine.granted, [run.folder_name for run in runs]),
        claimed_gpus(n_gpus, interrupted, mps=machine.mps and n_workers > n_gpus) as gpus,
        staged(files, machine.scratch) as nearby,
    ):
        near = replace(work, files=nearby)
        if n_workers > 1:
            run_in_workers(near, n_workers, gpus, progress, interrupted)
        else:
            _run_here(near, progress, interrupted)
        write_checksums(files.finished, files.runs, [path for run in runs for path in files.folder(run).results])


def _run_here(work: Work, progress: Progress, interrupted: Callable[[], bool]) -> None:
    before, total = 0, sum(map(work.n_steps, work.job.runs))
    with work.evaluator() as evaluator:
        for run in work.job.runs:

            def show(done: int, of_run: int, text: str, run: Run = run, before: int = before) -> None:
                progress(before + done, total, f"{run.slug} seed {run.seed}: {text}")

            work.train_and_measure(run, evaluator, show, interrupted)
            before += work.n_steps(run)
