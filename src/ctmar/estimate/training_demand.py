"""What the jobs of a study that train and measure networks need, by the counts of their networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ctmar.config import Config, Run, Site
from ctmar.config.methods import METHODS
from ctmar.estimate import demand
from ctmar.estimate.data_size import DataSize
from ctmar.estimate.demand import Demand, asked, memory_of, seconds_on_a_cpu, seconds_on_a_gpu
from ctmar.estimate.work_counts import Counts, NetworkCounts

_KEPT_OF_WEIGHTS = 4  # weights, gradients and two moments of Adam
_RUN_SECONDS = 1.5  # digests, the build of the network, its files
_METRICS_SECONDS_PER_PIXEL = 1e-6  # of a test pair, beside its prediction
_STEPS_OF_A_REPEAT = 9  # `ctmar cost`: three pairs, penalties by themselves, and a share of what comes before
_TIMED_MB, _TIMED_SECONDS = 800.0, 60.0  # networks that `timing` names beside those of the study, a method


@dataclass(frozen=True)
class TrainingDemand:
    """The jobs of a study that train, on a site.

    Args:
        config: the study.
        site: where it runs.
        counts: of each of its networks, by name.
    """

    config: Config
    site: Site
    counts: Mapping[str, NetworkCounts]

    def workers(self, runs: Sequence[Run], n_gpus: int) -> int:
        """How many trainings of a job run at a time: as many as the site says, and no more than fit into its GPUs."""
        if not self._on_gpu:
            return min(self.site.trainings_per_cpu_job, len(runs))
        each, memory = self.site.trainings_per_gpu, self.site.gpu_memory_mb
        if memory:
            each = max(1, min(each, int(memory / max(map(self.run_gpu_memory_mb, runs)))))
        return min(n_gpus * each, len(runs))

    def job(self, runs: Sequence[Run], n_gpus: int) -> Demand:
        """A job that trains and measures runs of one network."""
        n_workers = self.workers(runs, n_gpus)
        seconds = [self.run_seconds(run) for run in runs]
        memory = n_workers * max(map(self.run_memory_mb, runs)) + demand.PROCESS_MB * (n_workers > 1)
        wall = demand.STARTING_SECONDS + max(sum(seconds) / n_workers, *seconds)
        return asked(memory, wall, self._gpu_memory_mb(runs))

    def run_memory_mb(self, run: Run) -> float:
        """Host memory of the process that trains and measures a run [10⁶ bytes]."""
        training, size = self.config.training, self._size
        kept = size.cached_mb + size.prepared_mb + training.reader_processes * demand.PROCESS_MB
        if self._on_gpu:
            return demand.GPU_PROCESS_MB + demand.COMPILE_MB * training.compile + kept
        return demand.PROCESS_MB + kept + self._weights_mb(run) + self._working_mb(run)

    def run_gpu_memory_mb(self, run: Run) -> float:
        """GPU memory of the process that trains and measures a run [10⁶ bytes]."""
        share = 0.6 if self.config.training.precision in ("bfloat16", "float16") else 1.0  # half, and copies of weights
        return demand.GPU_CONTEXT_MB + self._weights_mb(run) + self._working_mb(run, share)

    def run_seconds(self, run: Run) -> float:
        """Time of the training and the measurement of a run."""
        training, measured = self.config.training.times(run.compute), self.config.evaluation
        n_steps = training.epochs * training.steps_per_epoch * training.accumulation
        n_tested = self._size.n_pairs("test") / self._size.n_folds
        n_predictions = training.epochs * training.validation_pairs + n_tested
        n_predictions += measured.defect_slices * (self._size.order + len(measured.defect_angles_deg))
        if METHODS[run.method].averages_predictions:
            n_predictions *= self._size.order
        own = _RUN_SECONDS + _METRICS_SECONDS_PER_PIXEL * self._size.n_pixels * n_tested
        own += demand.COMPILE_SECONDS * training.compile
        steps, predictions = self._seconds(self._step(run)), self._seconds(self._prediction(run))
        return own + n_steps * steps + n_predictions * predictions

    def cost_job(self) -> Demand:
        """The job that times a step of every method and norm."""
        runs = list({(run.network, run.method, run.norm): run for run in self.config.study.expand()}.values())
        n_steps = _STEPS_OF_A_REPEAT * self.config.timing.repeats
        seconds = sum(n_steps * self._seconds(self._step(run)) + _TIMED_SECONDS for run in runs)
        memory = max(map(self.run_memory_mb, runs)) + sum(map(self._weights_mb, runs)) + _TIMED_MB
        return asked(memory, demand.STARTING_SECONDS + seconds, self._gpu_memory_mb(runs))

    def _gpu_memory_mb(self, runs: Sequence[Run]) -> float:
        return max(map(self.run_gpu_memory_mb, runs)) if self._on_gpu else 0.0

    @property
    def _on_gpu(self) -> bool:
        return self.config.training.device == "cuda"

    @cached_property
    def _size(self) -> DataSize:
        return DataSize(self.config)

    def _working_mb(self, run: Run, share: float = 1.0) -> float:
        """What a step takes, of whose bytes a share is kept, or a prediction, whichever is more."""
        step = memory_of(self._step(run), share * demand.STEP_FACTOR)
        return max(step, memory_of(self._prediction(run), demand.PREDICTION_FACTOR))

    def _step(self, run: Run) -> Counts:
        return self.counts[run.network].step.times(METHODS[run.method].copies)

    def _prediction(self, run: Run) -> Counts:
        return self.counts[run.network].prediction

    def _seconds(self, work: Counts) -> float:
        if self._on_gpu:
            return seconds_on_a_gpu(work, self.site.teraflops)
        return self.site.slowness * seconds_on_a_cpu(work, self.config.training.threads)

    def _weights_mb(self, run: Run) -> float:
        training = self.config.training
        kept = _KEPT_OF_WEIGHTS + bool(training.ema_decay) + (training.early_stopping_epochs is not None)
        return kept * METHODS[run.method].copies_of_weights * self.counts[run.network].state_bytes / 1e6
