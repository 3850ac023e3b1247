"""What a training step costs with each method, relative to the plain step of the same network.

All methods take turns, step by step, in one process and on one thread count (`ctmar.estimate.paired_steps`).
"""

import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from ctmar.config import Network, Run, Study, Timing, Training
from ctmar.config.methods import METHODS
from ctmar.estimate.paired_steps import Paired, clock_of, one_round
from ctmar.evaluation.columns import COST_COLUMNS
from ctmar.evaluation.medians import median_interval
from ctmar.models.device import device_name
from ctmar.store.tables import write_rows
from ctmar.training.patches import Batch, PatchSampler
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step

_STEPS_OF_A_REPEAT = 3
WEIGHT = 1e-6  # of every penalty: its cost does not depend on it
_SOFTNESS = 0.5  # likewise
_LEARNING_RATE = 1e-6  # likewise, and one at which a training diverges would end the measurement
PLAIN = ("plain", "none")


def measure_cost(pairs_train: Path, study: Study, training: Training, settings: Timing, output_csv: Path) -> None:
    """Time a step with every method and norm of a study, on its networks and on those that it only times.

    A repeat times each method beside a plain step of its own: medians of 3 such pairs, or one pair of a network that is
    only timed. ``penalty_milliseconds`` is what a method takes beyond the plain step: the difference of the two, which
    for EQ-Reg and augmentation includes turning the images; or, for a penalty of the weights alone, the time of its
    value and gradient. ``ratio_to_plain`` is 1 and that by the plain step, ``penalty_share`` that by both. All are
    medians over repeats; ``ratio_low`` and ``ratio_high`` hold the median ratio with probability ``ratio_coverage``
    (`ctmar.evaluation.medians`), and verdicts on cost hang on them. ``clock`` is what seconds are of.
    ``step_memory_mb`` is what a run keeps (weights, buffers, moments of Adam; a residual pathway keeps two sets of
    them) and the most that torch's allocator holds during a step beyond that.

    Args:
        pairs_train: pair file from which the patches come.
        study: networks, methods and norms; the plain step of every network is always timed.
        training: batch size, patch size, threads, device.
        settings: number of repeats, seed of their order, networks that are only timed.
        output_csv: one row for each network, method and norm.

    Raises:
        InputError: a setting does not fit the data, the network or the machine.
    """
    torch.set_num_threads(training.threads)
    batch = _batch(pairs_train, training)
    rows: list[dict[str, Any]] = []
    for name in study.networks:
        rows += cost_of_network(name, methods_of(study, name), study, training, settings, batch)
    every = list(dict.fromkeys(one for name in study.networks for one in methods_of(study, name)))
    for name in [name for name in settings.networks if name not in study.networks]:
        timed = settings.networks[name]
        network = Network(architecture=timed.architecture, settings=timed.settings)
        only = study.model_copy(update={"networks": {name: network}})
        own = training.model_copy(update={"batch_size": timed.batch_size, "patch_size": timed.patch_size})
        rows += cost_of_network(name, every, only, own, settings, _batch(pairs_train, own), n_steps=1)
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
    settings: Timing,
    batch: Batch,
    n_steps: int = _STEPS_OF_A_REPEAT,
) -> list[dict[str, Any]]:
    """Rows of one network; ``methods`` are (method, norm), the plain one first, a repeat has ``n_steps`` of each."""
    network: Network = study.networks[name]
    runs = [representative_run(name, method, norm) for method, norm in methods]
    states = [state_to_time(run, network, training, study.group) for run in runs]
    device = next(states[0].network.parameters()).device
    batch = batch.to(device)
    memory = [_peak_memory_of_training(state, batch) for state in states]
    clock, draws = clock_of(device, training.threads), random.Random(settings.seed)
    repeats = [
        one_round(states, batch, draws, first_step=repeat * n_steps, n_steps=n_steps, clock=clock)
        for repeat in range(settings.repeats)
    ]
    sizes = {"threads": training.threads, "batch_size": training.batch_size, "patch_size": training.patch_size}
    facts = sizes | {"n_repeats": settings.repeats, "clock": clock, "device": device_name(device)}
    n_parameters = sum(parameter.numel() for parameter in states[0].network.parameters())
    return [
        {"network": name, "method": method, "norm": norm, "n_parameters": n_parameters}
        | compare([repeat[index] for repeat in repeats])
        | {"step_memory_mb": round(memory[index] / 1e6, 3)}
        | facts
        for index, (method, norm) in enumerate(methods)
    ]


def compare(pairs: Sequence[Paired]) -> dict[str, float]:
    """What a method's step takes beside the plain one, over repeats.

    Examples:
        >>> row = compare([Paired(own, 0.010, own - 0.010) for own in (0.012, 0.012, 0.013, 0.012, 0.02, 0.011)])
        >>> row["ratio_to_plain"], row["ratio_low"], row["ratio_high"], row["ratio_coverage"]
        (1.2, 1.1, 2.0, 0.9688)
    """
    ratio = median_interval([1 + pair.added / pair.plain for pair in pairs])
    return {
        "milliseconds_per_step": round(1000 * statistics.median(pair.own for pair in pairs), 4),
        "ratio_to_plain": round(ratio.middle, 4),
        "ratio_low": round(ratio.low, 4),
        "ratio_high": round(ratio.high, 4),
        "ratio_coverage": round(ratio.coverage, 4),
        "penalty_milliseconds": round(1000 * statistics.median(pair.added for pair in pairs), 4),
        "penalty_share": round(statistics.median(pair.added / (pair.plain + pair.added) for pair in pairs), 4),
    }


def _peak_memory_of_training(state: TrainingState, batch: Batch) -> float:
    """Bytes that a run keeps between steps, and the most that torch's allocator holds during a step beyond that.

    The first of two steps makes Adam's moments and the first blocks of power iterations; both are also the warm-up.
    """
    training_step(state, batch, 0)
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
