"""What a job does for one of its runs, and what it needs for that: sent to a worker process as it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctmar.config import Evaluation, Job, Run, RunSettings, Training
from ctmar.datasets.split import fold_of_seed, read_split
from ctmar.evaluation.measured_run import BrokenImageError, Evaluator
from ctmar.long_work import Progress
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock
from ctmar.store.run_records import Divergence
from ctmar.training.loop import train


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
        return RunFolder.of(self.runs, run)


@dataclass(frozen=True)
class Work:
    """All that a run of the job follows from."""

    files: JobFiles
    job: Job
    training: Training
    evaluation: Evaluation

    def evaluator(self) -> Evaluator:
        """What measures runs, with the test pairs open."""
        return Evaluator(self.files.pairs / "test.h5", self.evaluation, self.training.device, self.files.signals)

    def n_steps(self, run: Run) -> int:
        """Steps of the training of a run."""
        training = self.training.times(run.compute)
        return training.epochs * training.steps_per_epoch

    def train_and_measure(
        self, run: Run, evaluator: Evaluator, progress: Progress, interrupted: Callable[[], bool]
    ) -> None:
        """Train a run on the patients of its fold and measure it; one that diverges has nothing to measure.

        Raises:
            InputError: see `ctmar.training.loop.train` and `Evaluator.measure`.
            InterruptedWorkError: ``interrupted`` said so.
        """
        patients = fold_of_seed(read_split(self.files.split), run.seed)
        job, folder = self.job, self.files.folder(run)
        settings = RunSettings(run=run, network=job.network, training=self.training, group=job.group, patients=patients)
        pairs = self.files.pairs / "train.h5", self.files.pairs / "validation.h5"
        with hold_lock(folder.lock, interrupted):
            diverged = train(*pairs, settings, folder, progress=progress, interrupted=interrupted)
            if diverged is None:
                try:
                    evaluator.measure(folder, patients["test"])
                except BrokenImageError as error:
                    _write_broken_image(folder, error)
            # folders of runs are no outputs of Snakemake: nobody takes away what is there now
            folder.checkpoint.unlink(missing_ok=True)


def _write_broken_image(folder: RunFolder, error: BrokenImageError) -> None:
    """Write that a run diverged though its training did not notice: some image of the test pairs is not finite."""
    trained, last = folder.read_description(), folder.read_epochs()[-1]
    where = Divergence(step=last.step, where="test image", layer=None, loss=last.loss)
    folder.write_divergence(
        trained.model_copy(update={"diverged": where, "kept_epoch": None, "layers": []}), {"test image": str(error)}
    )
