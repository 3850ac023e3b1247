"""What the training of a study would cost, from a few steps on synthetic patches, before any data are there."""

import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ctmar.config import Config, Network, Study, Training
from ctmar.config.methods import METHODS
from ctmar.estimate.paired_steps import seconds_of
from ctmar.estimate.step_cost import methods_of, representative_run, state_to_time
from ctmar.long_work import Progress, no_progress
from ctmar.models.symmetry import study_group
from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState
from ctmar.training.step import training_step

FULL_SIZE_SECONDS = 0.3  # of a plain step on a CPU, up to which methods are timed at full size
SMALL_PATCH = 32  # pixels: the side of the single patch on which methods are compared beyond that
_MAX_TIMED, _TIMED_SECONDS = 25, 0.3  # steps, of which the median counts: as many as fit, at least one
_FORWARD_SHARE = 1 / 3  # of a step: the backward pass is twice the forward pass


_Key = tuple[str, str, str]  # network, method, norm


class StepCost(NamedTuple):
    """Time [s] and floating point operations (multiplications and additions) of a step.

    On a CPU it is the time of the processors, all threads together: another job on the machine does not change it.
    """

    seconds: float
    flops: float


@dataclass(frozen=True)
class TrainingEstimate:
    """The runs of one network, method and norm: their number, the steps of all of them, and the cost of one step."""

    network: str
    method: str
    norm: str
    n_runs: int
    n_steps: int
    step: StepCost
    validation: StepCost  # all of a run

    @property
    def seconds(self) -> float:
        """Time of all runs: core-seconds on a CPU, seconds of one GPU."""
        return self.n_steps * self.step.seconds + self.n_runs * self.validation.seconds

    @property
    def flops(self) -> float:
        """Floating point operations of all runs."""
        return self.n_steps * self.step.flops + self.n_runs * self.validation.flops


def estimate_training(config: Config, device: str, progress: Progress = no_progress) -> list[TrainingEstimate]:
    """Cost of every network, method and norm of a study.

    Steps are timed at the size of the configuration, without `torch.compile`. Where that is slow on a CPU, the plain
    step of the network is timed on one patch and grows with the batch, and the methods are compared with it on a patch
    of 32 pixels: those that sample take the same ratio at every size, those that compute with weights the same time.
    A CPU computes in float32. Early stopping is not foreseen, and a second weight λ_G costs nothing here.

    Args:
        config: the study.
        device: where to measure, ``cpu`` or ``cuda``.
        progress: called with the methods measured, all of them, and what is measured.

    Raises:
        InputError: a setting does not fit a network, or there is no such device.
    """
    training = _measurable(config.training, device)
    torch.set_num_threads(training.threads)
    n_runs, n_steps = Counter[_Key](), Counter[_Key]()
    for run in config.study.expand():
        n_runs[key := (run.network, str(run.method), run.norm)] += 1
        n_steps[key] += training.epochs * training.times(run.compute).steps_per_epoch
    methods = {name: methods_of(config.study, name) for name in config.study.networks}
    rows: list[TrainingEstimate] = []
    for name, network in config.study.networks.items():
        for (method, norm), step in zip(
            methods[name], _steps(network, methods[name], config.study, training), strict=True
        ):
            if method == "plain":
                plain = step
            validation = _validation(plain, method, config)
            key = (name, method, norm)
            rows.append(TrainingEstimate(*key, n_runs[key], n_steps[key], step, validation))
            progress(len(rows), sum(map(len, methods.values())), f"{name} {method} {norm}")
    return [row for row in rows if row.n_runs]


def _steps(network: Network, methods: list[tuple[str, str]], study: Study, training: Training) -> Iterator[StepCost]:
    """A step of each method, the plain one first."""

    def step(method: str, norm: str, batch_size: int, patch_size: int, flops: float | None = None) -> StepCost:
        state = _started(method, norm, network, study, training)
        return _measure(state, synthetic_batch(batch_size, patch_size), flops)

    def all_steps(batch_size: int, patch_size: int) -> Iterator[StepCost]:
        yield (plain := step("plain", "none", batch_size, patch_size))
        for method, norm in methods[1:]:
            # projections and norms of weights are below a thousandth of the convolutions
            yield step(method, norm, batch_size, patch_size, None if METHODS[method].turns_samples else plain.flops)

    batch_size, patch_size = training.batch_size, training.patch_size
    plain = StepCost(*(batch_size * value for value in step("plain", "none", 1, patch_size)))
    if training.device == "cuda" or plain.seconds < FULL_SIZE_SECONDS:
        yield from all_steps(batch_size, patch_size)
        return
    small = all_steps(1, min(SMALL_PATCH, patch_size))
    small_plain = next(small)
    yield plain
    for (method, _), own in zip(methods[1:], small, strict=True):
        yield scaled(plain, small_plain, own, grows=METHODS[method].turns_samples)


def scaled(plain: StepCost, small_plain: StepCost, small_own: StepCost, grows: bool) -> StepCost:
    """Cost of a method's step at full size from both steps on a small batch.

    Examples:
        >>> plain, small_plain, small_own = StepCost(10.0, 100.0), StepCost(1.0, 10.0), StepCost(2.0, 20.0)
        >>> scaled(plain, small_plain, small_own, grows=True), scaled(plain, small_plain, small_own, grows=False)
        (StepCost(seconds=20.0, flops=200.0), StepCost(seconds=11.0, flops=110.0))
    """
    if grows:
        return StepCost(*(full * own / one for full, one, own in zip(plain, small_plain, small_own, strict=True)))
    # a method takes no less than nothing, whatever the clock says
    return StepCost(*(full + max(0.0, own - one) for full, one, own in zip(plain, small_plain, small_own, strict=True)))


def _measurable(training: Training, device: str) -> Training:
    """The settings with which steps are measured: nothing that takes minutes to start."""
    changed = {"device": device, "compile": False, "accumulation": 1, "reader_processes": 0}
    return training.model_copy(update=changed if device == "cuda" else changed | {"precision": "float32"})


def _started(method: str, norm: str, network: Network, study: Study, training: Training) -> TrainingState:
    unread = network.model_copy(update={"weights": None})  # the file may not be there yet
    return state_to_time(representative_run("n", method, norm), unread, training, study.group)


def _measure(state: TrainingState, batch: Batch, flops: float | None) -> StepCost:
    """Operations of the first step, unless they are known, and the median time of the next ones."""
    device = next(state.network.parameters()).device
    batch = batch.to(device)
    counter = FlopCounterMode(display=False)
    with counter if flops is None else nullcontext():
        training_step(state, batch, 0)
    seconds: list[float] = []
    while not seconds or (len(seconds) < _MAX_TIMED and sum(seconds) < _TIMED_SECONDS):
        work = partial(training_step, state, batch, 0)
        seconds.append(seconds_of(work, device, "wall" if device.type == "cuda" else "processor"))
    return StepCost(statistics.median(seconds), float(counter.get_total_flops()) if flops is None else flops)


def _validation(plain: StepCost, method: str, config: Config) -> StepCost:
    """All validations of a run: a forward pass (or one for each element) of whole slices after each epoch."""
    training = config.training
    n_passes = study_group(config.study.group).order if METHODS[method].averages_predictions else 1
    slices = training.epochs * training.validation_pairs * n_passes
    steps = slices * (config.ingest.image_size / training.patch_size) ** 2 / training.batch_size
    return StepCost(*(_FORWARD_SHARE * steps * value for value in plain))


def synthetic_batch(batch_size: int, patch_size: int) -> Batch:
    """Noise in the shape of a batch: the cost of a step does not depend on what the images show.

    Examples:
        >>> synthetic_batch(2, 16).inputs.shape
        torch.Size([2, 3, 16, 16])
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(batch_size, 3, patch_size, patch_size, generator=generator)
    inputs[:, 2] = inputs[:, 2] > 0.95  # metal
    return Batch(inputs, torch.rand(batch_size, 1, patch_size, patch_size, generator=generator), 1 - inputs[:, 2:3])
