"""Training steps of several methods, each timed beside a plain step of its own, in an order that coins decide.

A round times every method once: its step and a plain one, one right after the other, and a coin says which goes first;
the order of the methods is drawn too. Whatever slows the machine by a factor that does not know which of the two steps
it meets (other users, heat, caches), however long it lasts, makes the method look dearer in a round as often as
cheaper, independently of all other rounds. That is all that the interval of `ctmar.evaluation.medians` asks for.

A penalty of the weights alone is a small part of a step, smaller than what two steps differ by on a machine that others
use. So it is timed by itself too, right after the method's own step: its value and its gradient, which adds to the
gradients that lie there, as in a step.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch

from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState
from ctmar.training.step import training_step

ClockName = Literal["processor", "wall"]
_CLOCKS: dict[ClockName, Callable[[], float]] = {"processor": time.process_time, "wall": time.perf_counter}


class Paired(NamedTuple):
    """Seconds of a method's step, of the plain step beside it, and of what the method takes beyond that."""

    own: float
    plain: float
    added: float


def clock_of(device: torch.device, threads: int) -> ClockName:
    """The clock that says most: processor time of one thread, which other users of the machine change least.

    Several threads, or a GPU, do their work at once: there the wall clock is what a step takes.
    """
    return "processor" if device.type == "cpu" and threads == 1 else "wall"


def seconds_of(work: Callable[[], object], device: torch.device, clock: ClockName = "wall") -> float:
    """Seconds of ``work``, on a GPU until it has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = _CLOCKS[clock]()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return _CLOCKS[clock]() - begin


def one_round(
    states: Sequence[TrainingState],
    batch: Batch,
    draws: random.Random,
    *,
    first_step: int,
    n_steps: int,
    clock: ClockName,
) -> list[Paired]:
    """Medians of ``n_steps`` pairs of each state; the first state is plain, and the median of what stood beside them.

    Args:
        states: whose steps are timed.
        batch: what they see.
        draws: which state is next, and the coins.
        first_step: number of the first of the steps; methods draw by it.
        n_steps: pairs of each state.
        clock: what seconds are of.
    """
    found: dict[int, Paired] = {}
    for index in draws.sample(range(1, len(states)), len(states) - 1):
        steps = range(first_step, first_step + n_steps)
        pairs = [_pair(states[index], states[0], batch, draws.random() < 0.5, step, clock) for step in steps]
        found[index] = Paired(*map(statistics.median, zip(*pairs, strict=True)))
    plain = [pair.plain for pair in found.values()] or [seconds_of_step(states[0], batch, first_step, clock)]
    beside_itself = Paired(statistics.median(plain), statistics.median(plain), 0.0)
    return [beside_itself, *(found[index] for index in sorted(found))]


def _pair(
    own: TrainingState, plain: TrainingState, batch: Batch, plain_first: bool, step: int, clock: ClockName
) -> Paired:
    before = seconds_of_step(plain, batch, step, clock) if plain_first else 0.0
    seconds = seconds_of_step(own, batch, step, clock)
    alone = seconds_of_penalty(own, batch, step, clock) if own.method.penalises_weights else None
    beside = before if plain_first else seconds_of_step(plain, batch, step, clock)
    return Paired(seconds, beside, seconds - beside if alone is None else alone)


def seconds_of_step(state: TrainingState, batch: Batch, step: int, clock: ClockName) -> float:
    """One training step."""
    n_steps = state.training.epochs * state.training.steps_per_epoch
    return seconds_of(partial(training_step, state, batch, step % n_steps), batch.inputs.device, clock)


def seconds_of_penalty(state: TrainingState, batch: Batch, step: int, clock: ClockName) -> float:
    """Value and gradient of a penalty of the weights, which reads neither the batch nor the output."""
    return seconds_of(lambda: state.method.penalty(batch, batch.target, step).backward(), batch.inputs.device, clock)
