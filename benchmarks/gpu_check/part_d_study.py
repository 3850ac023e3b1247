"""A study of some minutes on real CT at 416²: does training learn there, how fast, and does reading keep up."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.settings import GROUP, acdnet, representative, training
from benchmarks.gpu_check.worker import Settings

from ctmar.config import RunSettings, Training
from ctmar.store.run_folder import RunFolder
from ctmar.training.loop import Loop, open_data
from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step
from ctmar.training.validation import validate

RUNS = (("plain", "none"), ("projection", "frobenius"), ("strict", "none"), ("eqreg", "none"))
EPOCHS = 5
WAITING = Target("≤", 0.1, "10 %")
LEARNS = Target("≥", 0.0, "0 dB")


@dataclass
class TimedLoop(Loop):
    """The loop of training, which also counts the seconds it waits for batches."""

    waited: float = 0.0

    def next_batch(self, batches: Iterator[Batch]) -> Batch:
        """Wait for the next batch."""
        begin = time.perf_counter()
        try:
            return super().next_batch(batches)
        finally:
            self.waited += time.perf_counter() - begin


def measure(settings: Settings, record: Recorder) -> None:
    """One row after the other for each run; the time that is left is shared among the runs that are left."""
    for number, (method, norm) in enumerate(RUNS):
        name = method if norm == "none" else f"{method} {norm}"
        until = settings.by(1 / (len(RUNS) - number))
        record.attempt(name, lambda m=method, n=norm, t=name, u=until: one_run(m, n, t, u, settings, record))


def chosen_training(settings: Settings) -> Training:
    """As config/workstation.yaml trains, not compiled; the rate is constant, as the number of steps is not known."""
    fast = {"precision": "bfloat16", "reader_processes": 4, "threads": 4} if settings.device == "cuda" else {}
    pairs = {
        "validation_pairs": 1 if settings.quick else 3,
        "epochs": 2 if settings.quick else EPOCHS,
        "schedule": "constant",
    }
    return training(settings.device, settings.quick, **pairs, **fast)


def one_run(method: str, norm: str, name: str, until: float, settings: Settings, record: Recorder) -> None:
    """Train until the moment ``until`` and tell how it went."""
    if settings.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    chosen = chosen_training(settings)
    of_run = RunSettings(run=representative(method, norm), network=acdnet(settings.quick), training=chosen)
    state = start(of_run.run, of_run.network, chosen, GROUP)
    sampler, validation = open_data(settings.bundle / "pairs.h5", None, of_run)
    before = validate(state.network, validation, chosen.channels_last).psnr
    seconds = seconds_of_step(state, sampler.batch(0).to(state.device))
    n_steps = max(2, int(0.7 * (until - time.monotonic()) / seconds / chosen.epochs))
    if settings.quick:
        n_steps = min(n_steps, 4)
    state.training = chosen.model_copy(update={"steps_per_epoch": n_steps})
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        loop = TimedLoop(state, sampler, validation, run, "gpu check", lambda *_: None, lambda: False)
        loop.run()
    tell(name, state, before, loop.waited, record)


def seconds_of_step(state: TrainingState, batch: Batch) -> float:
    """After two steps in which libraries start; their weights stay, the run goes on from them."""
    for _ in range(2):
        training_step(state, batch, 0)
    begin = time.perf_counter()
    training_step(state, batch, 0)
    return time.perf_counter() - begin


def tell(name: str, state: TrainingState, before: float, waited: float, record: Recorder) -> None:
    """Curves, quality, speed, memory, and what reading cost."""
    records = state.records
    seconds = sum(entry.seconds for entry in records)
    curve = ", ".join(f"{entry.task_loss:.3g}" for entry in records)
    record(f"{name}: task loss of the last epoch", records[-1].task_loss, "", note=f"epochs: {curve}")
    curve = ", ".join(f"{entry.validation_psnr:.2f}" for entry in records)
    record(f"{name}: PSNR before training", before, "dB")
    record(f"{name}: PSNR after training", records[-1].validation_psnr, "dB", note=f"epochs: {curve}")
    record(f"{name}: gain", records[-1].validation_psnr - before, "dB", LEARNS)
    record(f"{name}: training", [entry.images_per_second for entry in records], "images/s", note=f"{state.step} steps")
    record(f"{name}: waiting for patches / training", waited / seconds, "", WAITING)
    if state.device.type == "cuda":
        record(f"{name}: peak memory", torch.cuda.max_memory_allocated() / 1e6, "MB")
