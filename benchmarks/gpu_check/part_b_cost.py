"""What every method and norm adds to a training step of ACDNet, and what every option takes from it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from benchmarks.gpu_check.measure import Work, launches, take_turns
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.settings import GROUP, acdnet, real_batch, representative, training
from benchmarks.gpu_check.speed import measure_speed
from benchmarks.gpu_check.worker import Settings

from ctmar.config.methods import METHODS
from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step

NORMS = (
    "frobenius",
    "spectral",
    "nuclear",
    "schatten:3",
    "entrywise:1",
    "entrywise:4",
    "entrywise:inf",
    "induced:1",
    "induced:inf",
    "mixed:1,2",
    "mixed:2,1",
    "mixed:1,inf",
)
SQUARED, ANY_NORM = Target("≤", 0.01, "1 %"), Target("≤", 0.03, "3 %")
SHARE_FOR_COST = 0.5  # of the part's time


def measure(settings: Settings, record: Recorder) -> None:
    """Cost of methods and norms, then the speed of the step."""
    device = torch.device(settings.device)
    states = {name: state for name, state in started(settings, record).items() if state is not None}
    chosen = training(settings.device, settings.quick)
    batch = real_batch(settings.bundle, chosen).to(device)
    steps = {name: partial(training_step, state, batch, 0) for name, state in states.items()}
    tell_launches(states, steps, device, settings, record)
    times = take_turns(steps, device, settings.by(SHARE_FOR_COST), most=3 if settings.quick else 60)
    tell_steps(times, chosen.batch_size, record)
    tell_penalties(states, batch, times["plain"], device, settings, record)
    states.clear()
    measure_speed(settings, record)


def started(settings: Settings, record: Recorder) -> dict[str, TrainingState | None]:
    """A run of every method and norm before its first step."""

    def begin(method: str, norm: str = "none", power: Any = 1) -> TrainingState:
        chosen = training(settings.device, settings.quick)
        run = representative(method, norm).model_copy(update={"power": power})
        return start(run, acdnet(settings.quick), chosen, GROUP)

    # the plain step first: what starts before it would pay for the first use of the device
    kinds: dict[str, Callable[[], TrainingState]] = {"plain": partial(begin, "plain")}
    kinds["projection frobenius squared"] = partial(begin, "projection", "frobenius", 2)
    kinds |= {f"projection {norm}": partial(begin, "projection", norm) for norm in NORMS}
    kinds |= {name: partial(begin, name) for name, facts in METHODS.items() if not facts.reads_norm}
    return {name: record.attempt(f"start of {name}", work) for name, work in kinds.items()}


def target_of(name: str) -> Target | None:
    """What a penalty may cost beside the plain step."""
    if not name.startswith("projection"):
        return None
    return SQUARED if name.endswith("squared") else ANY_NORM


def tell_launches(
    states: dict[str, TrainingState], steps: dict[str, Work], device: torch.device, settings: Settings, record: Recorder
) -> None:
    """Kernels of a step; a step that fails here takes no further part."""
    unit = "kernels" if device.type == "cuda" else "operators"
    for name, step in list(steps.items()):

        def count(name: str = name, step: Work = step) -> None:
            step()
            wanted = settings.trace and name in ("plain", "projection spectral")
            trace = settings.output / f"trace_{name.replace(' ', '_')}.json.gz" if wanted else None
            record(f"launched by a step: {name}", launches(step, device, trace), unit)

        before = record.n_missing
        record.attempt(f"step of {name}", count)
        if record.n_missing > before:
            del states[name], steps[name]


def tell_steps(times: dict[str, list[float]], batch_size: int, record: Recorder) -> None:
    """The plain step, and what each other step takes beyond it, within the same round."""
    plain = times["plain"]
    record("plain step", plain, "ms")
    record("plain step", [1e3 * batch_size / value for value in plain], "images/s")
    for name, values in times.items():
        if name != "plain":
            added = [own / base - 1 for own, base in zip(values, plain, strict=True)]
            record(f"step beyond plain / plain: {name}", added, "", target_of(name))


def tell_penalties(
    states: dict[str, TrainingState],
    batch: Batch,
    plain: list[float],
    device: torch.device,
    settings: Settings,
    record: Recorder,
) -> None:
    """The penalty alone, forward and backward, into the gradients of the step before."""

    def alone(state: TrainingState) -> Work:
        return lambda: state.method.penalty(batch, batch.target, 0).backward()

    works = {name: alone(state) for name, state in states.items() if name.startswith("projection")}
    times = take_turns(works, device, settings.by(0.2), most=3 if settings.quick else 40)
    middle = sorted(plain)[len(plain) // 2]
    for name, values in times.items():
        record(f"penalty alone / plain step: {name}", [value / middle for value in values], "", target_of(name))
        record(f"penalty alone: {name}", values, "ms", note=f"{launches(works[name], device)} launches")
