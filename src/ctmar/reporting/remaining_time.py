"""How long a study still takes, from the pace of the runs that it has had."""

import statistics
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ctmar.config import Run


@dataclass(frozen=True)
class Pace:
    """The time that a run took from its first step until it was measured, for each of its steps [s]."""

    run: Run
    seconds_per_step: float


def seconds_left(to_come: Sequence[tuple[Run, float]], paces: Sequence[Pace], at_a_time: int) -> float | None:
    """Time until runs are over, so many at a time and no faster than the longest of them [s].

    A run is expected at the median pace of its network and method, where none of those is over at that of its network,
    or at that of all; the median, because a run that was stopped and went on later took its pause, too.

    Args:
        to_come: runs that are not over, each with the steps that it has left.
        paces: of runs that are over.
        at_a_time: how many run at a time; with none there is no telling.

    Examples:
        >>> run = Run(network="n", method="plain")
        >>> seconds_left([(run, 100.0), (run, 40.0)], [Pace(run, 0.5)], 2)
        50.0
    """
    if not paces or not at_a_time:
        return None
    by: tuple[Callable[[Run], Hashable], ...] = (
        lambda run: (run.network, run.method),
        lambda run: run.network,
        lambda run: None,
    )
    medians = [_medians(paces, key) for key in by]
    each = [
        steps * next(known[key(run)] for key, known in zip(by, medians, strict=True) if key(run) in known)
        for run, steps in to_come
    ]
    return max(sum(each) / at_a_time, max(each, default=0.0))


def _medians(paces: Sequence[Pace], key: Callable[[Run], Hashable]) -> dict[Hashable, float]:
    groups: dict[Hashable, list[float]] = {}
    for pace in paces:
        groups.setdefault(key(pace.run), []).append(pace.seconds_per_step)
    return {name: statistics.median(values) for name, values in groups.items()}
