"""A job of the study: runs of one network on the same pairs, each trained and at once measured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctmar.config import Evaluation, Job, Run, RunSettings, Training
from ctmar.datasets.split import fold_of_seed, read_split
from ctmar.evaluation.measured_run import Evaluator
from ctmar.jobs.attempts import AttemptsFile, Granted
from ctmar.jobs.endings import recorded
from ctmar.long_work import Progress, no_progress
from ctmar.store.provenance import write_checksums
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock
from ctmar.training.loop import train

_NOTHING_SAID = Granted()


@dataclass(frozen=True)
class JobFiles:
    """What a job reads and where its results go.

    Args:
        pairs: folder of train.h5, validation.h5 and test.h5.
        split: which patient is in which subset, in every fold.
        signals: images with low-contrast signals and without; None: none.
        runs: folder for the folders of the runs.
        finished: list of all files of the runs with their SHA-256, written last.
    """

    pairs: Path
    split: Path
    signals: Path | None
    runs: Path
    finished: Path

    def folder(self, run: Run) -> RunFolder:
        """Where the results of a run are."""
        return RunFolder(self.runs / run.slug / f"seed-{run.seed}")


def run_job(
    files: JobFiles,
    job: Job,
    training: Training,
    evaluation: Evaluation,
    *,
    granted: Granted = _NOTHING_SAID,
    progress: Progress = no_progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Train and measure the runs, one after the other, each on the patients of its fold.

    What is finished, with the same settings, data and code, is neither trained nor measured again. A training that
    diverges is finished, has nothing to measure, and keeps no other run from being trained. The start and the end of
    the attempt are written down beside the list of the files.

    Args:
        files: what is read, and where results go.
        job: the runs, their network and group.
        training: optimisation.
        evaluation: what is measured.
        granted: what the scheduler gave.
        progress: called with the steps done, the steps in all, and a line of text.
        interrupted: asked after each step whether to save and stop.

    Raises:
        InputError: see `ctmar.training.loop.train` and `Evaluator.measure`.
        InterruptedWorkError: ``interrupted`` said so.
        TryAgainError: the machine is at fault.
    """
    with recorded(AttemptsFile.beside(files.finished), granted):
        _train_and_measure(files, job, training, evaluation, progress, interrupted)
        write_checksums(files.finished, files.runs, [path for run in job.runs for path in files.folder(run).results])


def _train_and_measure(
    files: JobFiles,
    job: Job,
    training: Training,
    evaluation: Evaluation,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> None:
    folds, n_runs = read_split(files.split), len(job.runs)
    with Evaluator(files.pairs / "test.h5", evaluation, training.device, files.signals) as evaluator:
        for number, run in enumerate(job.runs):

            def show(done: int, total: int, text: str, number: int = number, run: Run = run) -> None:
                progress(number * total + done, n_runs * total, f"{run.slug} seed {run.seed}: {text}")

            patients = fold_of_seed(folds, run.seed)
            settings = RunSettings(run=run, network=job.network, training=training, group=job.group, patients=patients)
            pairs = files.pairs / "train.h5", files.pairs / "validation.h5"
            folder = files.folder(run)
            with hold_lock(folder.lock, interrupted):
                diverged = train(*pairs, settings, folder, progress=show, interrupted=interrupted)
                if diverged is None:
                    evaluator.measure(folder, patients["test"])
                # folders of runs are no outputs of Snakemake: nobody takes away what is there now
                folder.checkpoint.unlink(missing_ok=True)
