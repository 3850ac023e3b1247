"""What a training step costs with each method, relative to the plain step of the same network.

All methods take turns, step by step, in one process and on one thread count, so that a busy machine slows all alike.
"""

import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from ctmar.config import Network, Run, Study, Timing, Training
from ctmar.config.methods import METHODS
from ctmar.evaluation.columns import COST_COLUMNS
from ctmar.models.device import device_name
from ctmar.store.tables import write_rows
from ctmar.training.patches import Batch, PatchSampler
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step

_STEPS_OF_A_REPEAT = 8
STEPS_BEFORE = 3  # allocations, and the power iteration's first blocks
WEIGHT = 1e-6  # of every penalty: its cost does not depend on it
_SOFTNESS = 0.5  # likewise
_LEARNING_RATE = 1e-6  # likewise, and one at which a training diverges would end the measurement
PLAIN = ("plain", "none")


def measure_cost(pairs_train: Path, study: Study, training: Training, settings: Timing, output_csv: Path) -> None:
    """Time a step with every method and norm of a study, on its networks and on those that it only times.

    A repeat is the median of 8 steps, or one step of a network that is only timed; the table holds medians over
    repeats. Ratios and differences to the plain step are taken within a repeat; ``ratio_low`` and ``ratio_high`` are
    the ends of what the repeats say, on which verdicts on cost hang. ``penalty_milliseconds`` is what a step
    takes beyond the plain one, whatever the method (for EQ-Reg and augmentation that includes turning the images),
    ``penalty_share`` the same over the method's step.
    ``step_memory_mb`` is what a run keeps (weights, buffers, moments of Adam; a residual pathway keeps two sets of
    them) and the most that torch's allocator holds during a step beyond that.

    Args:
        pairs_train: pair file from which the patches come.
        study: networks, methods and norms; the plain step of every network is always timed.
        training: batch size, patch size, threads, device.
        settings: number of repeats, networks that are only timed.
        output_csv: one row for each network, method and norm.

    Raises:
        InputError: a setting does not fit the data, the network or the machine.
    """
    torch.set_num_threads(training.threads)
    batch = _batch(pairs_train, training)
    rows: list[dict[str, Any]] = []
    for name in study.networks:
        rows += cost_of_network(name, methods_of(study, name), study, training, settings.repeats, batch)
    every = list(dict.fromkeys(one for name in study.networks for one in methods_of(study, name)))
    for name in [name for name in settings.networks if name not in study.networks]:
        timed = settings.networks[name]
        network = Network(architecture=timed.architecture, settings=timed.settings)
        only = study.model_copy(update={"networks": {name: network}})
        own = training.model_copy(update={"batch_size": timed.batch_size, "patch_size": timed.patch_size})
        rows += cost_of_network(name, every, only, own, settings.repeats, _batch(pairs_train, own), n_steps=1)
    write_rows(output_csv, COST_COLUMNS, rows)


def _batch(pairs_train: Path, training: Training) -> Batch:
    return PatchSampler(pairs_train, training.batch_size, training.patch_size, seed=0).batch(0)


def methods_of(study: Study, network: str) -> list[tuple[str, str]]:
    """(method, norm) of every run of a network, the plain one first.

    Examples:
        >>> runs = [{"method": "projection", "norm": ["frobenius", "spectral"]}, {"method": "strict"}]
        >>> [norm for _, norm in methods_of(Study(runs=runs), "dncnn")]
        ['none', 'frobenius', 'spectral', 'none']
    """
    groups = [group for group in study.runs if group.networks is None or network in group.networks]
    return list(dict.fromkeys([PLAIN, *((group.method, norm) for group in groups for norm in group.norm)]))


def representative_run(network: str, method: str, norm: str) -> Run:
    """A run of that method with weights that do not disturb the training."""
    facts = METHODS[method]
    return Run(
        network=network,
        method=method,
        norm=norm,
        lam_perp=WEIGHT if facts.reads_lam_perp else 0.0,
        softness=_SOFTNESS if facts.reads_softness else 0.0,
    )


def state_to_time(run: Run, network: Network, training: Training, group: str) -> TrainingState:
    """A run before its first step, whose steps stay finite whatever the learning rate of the study."""
    return start(run, network, training.model_copy(update={"learning_rate": _LEARNING_RATE}), group)


def cost_of_network(
    name: str,
    methods: list[tuple[str, str]],
    study: Study,
    training: Training,
    n_repeats: int,
    batch: Batch,
    n_steps: int = _STEPS_OF_A_REPEAT,
) -> list[dict[str, Any]]:
    """Rows of one network; ``methods`` are (method, norm), the plain one first, a repeat has ``n_steps`` of each."""
    network: Network = study.networks[name]
    runs = [representative_run(name, method, norm) for method, norm in methods]
    states = [state_to_time(run, network, training, study.group) for run in runs]
    device = next(states[0].network.parameters()).device
    batch = batch.to(device)
    for state, step in product(states, range(STEPS_BEFORE)):
        seconds_of_step(state, batch, step)
    seconds = [one_repeat(states, batch, repeat, n_steps) for repeat in range(n_repeats)]
    settings = {"threads": training.threads, "batch_size": training.batch_size, "patch_size": training.patch_size}
    facts = settings | {"n_repeats": n_repeats, "device": device_name(device)}
    n_parameters = sum(parameter.numel() for parameter in states[0].network.parameters())
    return [
        {"network": name, "method": method, "norm": norm, "n_parameters": n_parameters}
        | compare([repeat[index] for repeat in seconds], [repeat[0] for repeat in seconds])
        | {"step_memory_mb": round(_peak_memory_of_training(states[index], batch) / 1e6, 3)}
        | facts
        for index, (method, norm) in enumerate(methods)
    ]


def one_repeat(
    states: list[TrainingState], batch: Batch, repeat: int, n_steps: int = _STEPS_OF_A_REPEAT
) -> list[float]:
    """Median seconds of a step of each state; the states take turns, in an order that moves on with each round."""
    seconds: list[list[float]] = [[] for _ in states]
    for round_number in range(n_steps):
        for turn in range(len(states)):
            index = (turn + round_number + repeat) % len(states)
            seconds[index].append(seconds_of_step(states[index], batch, round_number))
    return [statistics.median(times) for times in seconds]


def seconds_of_step(state: TrainingState, batch: Batch, step: int) -> float:
    """Wall clock of one training step, on a GPU until it has finished."""
    n_steps = state.training.epochs * state.training.steps_per_epoch
    return seconds_of(lambda: training_step(state, batch, step % n_steps), batch.inputs.device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall clock of ``work``, on a GPU until it has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def compare(seconds: list[float], plain_seconds: list[float]) -> dict[str, float]:
    """Medians over repeats of a method's step beside the plain step of the same repeat.

    Examples:
        >>> compare([0.012, 0.024], [0.010, 0.020])["ratio_to_plain"]
        1.2
    """
    pairs = list(zip(seconds, plain_seconds, strict=True))
    ratios = [own / plain for own, plain in pairs]
    return {
        "milliseconds_per_step": round(1000 * statistics.median(seconds), 4),
        "ratio_to_plain": round(statistics.median(ratios), 4),
        "ratio_low": round(min(ratios), 4),
        "ratio_high": round(max(ratios), 4),
        "penalty_milliseconds": round(1000 * statistics.median(own - plain for own, plain in pairs), 4),
        "penalty_share": round(statistics.median((own - plain) / own for own, plain in pairs), 4),
    }


def _peak_memory_of_training(state: TrainingState, batch: Batch) -> float:
    """Bytes that a run keeps between steps, and the most that torch's allocator holds during a step beyond that."""
    state.optimiser.zero_grad()  # gradients are of the step, not kept
    if batch.inputs.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        training_step(state, batch, 0)
        return kept_bytes(state) + torch.cuda.max_memory_allocated() - before
    return kept_bytes(state) + peak_of_allocator(lambda: training_step(state, batch, 0))


def kept_bytes(state: TrainingState) -> int:
    """Bytes of weights, buffers and the optimiser's moments.

    Examples:
        >>> state = start(Run(network="n", method="plain"), Network(), Training(epochs=1), "C4")
        >>> kept_bytes(state) == 4 * 9873  # before the first step Adam has no moments
        True
    """
    moments = [value for entry in state.optimiser.state.values() for value in entry.values()]
    kept = [*state.network.parameters(), *state.network.buffers(), *moments]
    return sum(tensor.nbytes for tensor in kept if isinstance(tensor, torch.Tensor))


def peak_of_allocator(work: Callable[[], object]) -> float:
    """Peak bytes of torch's CPU allocator while ``work`` runs, from the profiler's record of every allocation.

    Resident memory would also hold what earlier methods of this process gave back but the C library kept.

    Examples:
        >>> peak_of_allocator(lambda: torch.zeros(1000, dtype=torch.float64))
        8000.0
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    if record.profiler is None or record.profiler.kineto_results is None:
        raise RuntimeError("torch's profiler recorded nothing")
    # not from the trace: to write and to read that takes longer than a step
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return float(peak)
