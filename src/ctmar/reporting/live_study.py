"""A study while it runs, as its files tell it: what is over, running, failed and waiting, how fast, and until when.

Nothing is written and no run is asked: whoever can read the folder, on any machine that shares its disk, sees the same.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctmar.config import Config, Run, load_config
from ctmar.errors import InputError
from ctmar.reporting.remaining_time import Pace, seconds_left
from ctmar.reporting.run_curves import Curve, read_curve
from ctmar.store.planned_runs import PlannedRun, State, planned_runs

OVER: tuple[State, ...] = ("finished", "diverged")
_BROKEN: tuple[State, ...] = ("failed", "damaged")
_BREAKING = ("error", "machine", "out of memory")  # outcomes of an attempt that somebody has to look at
_SECONDS_BETWEEN_WHOLE_LOOKS = 60.0  # between them, what is over is not looked at again
_SECONDS_OF_PARALLELISM = 30.0  # between two runs of a job none is running


@dataclass(frozen=True)
class LiveRun:
    """A run with its curve so far.

    Args:
        planned: the run, its folder, its state.
        curve: its epochs.
        ended: when it was over, in seconds since 1970; NaN before.
        seconds: from its first step until then [s]; NaN where that is not known.
    """

    planned: PlannedRun
    curve: Curve
    ended: float = math.nan
    seconds: float = math.nan


@dataclass(frozen=True)
class LiveStudy:
    """What was seen at one moment.

    Args:
        results: folder of the study's results.
        config: its configuration.
        moment: when, in seconds since 1970.
        counts: how many runs there are of each state.
        running: those that a process works at.
        broken: those that an error ended or whose files are damaged, and those that their job did not come to for it.
        over: those that are over, the last one first.
        seconds_left: until all are over [s]; None where nothing runs, or nothing is known of the pace.
        at_a_time: how many run at a time.
    """

    results: Path
    config: Config
    moment: float
    counts: Counter[State]
    running: list[LiveRun]
    broken: list[PlannedRun]
    over: list[LiveRun]
    seconds_left: float | None
    at_a_time: int

    @property
    def n_runs(self) -> int:
        """Runs of the study."""
        return self.counts.total()

    @property
    def n_over(self) -> int:
        """Runs that nothing more is expected of."""
        return sum(self.counts[state] for state in OVER)

    @property
    def n_waiting(self) -> int:
        """Runs that are to begin, or to go on."""
        return self.n_runs - self.n_over - len(self.running) - len(self.broken)

    @property
    def is_done(self) -> bool:
        """Whether nothing runs or waits; where something failed, also for the half minute before: it is tried again."""
        return not self.running and not self.n_waiting and not (self.broken and self.at_a_time)


@dataclass
class Watcher:
    """One who looks at a study again and again, and remembers what cannot change any more.

    Args:
        results: folder of the study's results.
        n_shown: runs that are over whose curves are read, the last ones first.
    """

    results: Path
    n_shown: int
    _config: tuple[float, Config] | None = None
    _runs: list[Run] = field(default_factory=list)
    _over: dict[Run, LiveRun] = field(default_factory=dict)
    _last_whole_look: float = -math.inf
    _running: list[tuple[float, int]] = field(default_factory=list)

    def look(self) -> LiveStudy:
        """Look at the study now.

        Raises:
            InputError: it has no configuration yet, or one that cannot be read.
        """
        config, moment = self._current_config(), time.time()
        self._forget_from_time_to_time()
        waiting = [run for run in self._runs if run not in self._over]
        states = planned_runs(self.results, config, waiting)
        self._over |= {one.run: _over(one) for one in states if one.state in OVER}
        running = [LiveRun(one, read_curve(one.folder)) for one in states if one.state == "running"]
        over = sorted(self._over.values(), key=lambda one: -one.ended)
        counts: Counter[State] = Counter(one.state for one in states if one.state not in OVER)
        counts.update(one.planned.state for one in over)
        at_a_time = self._at_a_time(len(running))
        broken = [one for one in states if is_broken(one)]
        to_come = [one for one in states if one.state not in OVER and one not in broken]
        return LiveStudy(
            results=self.results,
            config=config,
            moment=moment,
            counts=counts,
            running=running,
            broken=broken,
            over=[self._with_curve(one) for one in over[: self.n_shown]],
            seconds_left=_seconds_left(config, over, running, to_come, at_a_time),
            at_a_time=at_a_time,
        )

    def _current_config(self) -> Config:
        path = self.results / "config.yaml"
        try:
            written = path.stat().st_mtime
        except OSError as error:
            raise InputError(f"{path}: expected the configuration of a study, found {error.strerror}") from None
        if self._config is None or self._config[0] != written:
            self._config = written, load_config(path)
            self._runs, self._over = self._config[1].study.expand(), {}
        return self._config[1]

    def _forget_from_time_to_time(self) -> None:
        """Files that are over can be removed, or made anew by other settings: that is seen a minute late."""
        if time.monotonic() - self._last_whole_look > _SECONDS_BETWEEN_WHOLE_LOOKS:
            self._last_whole_look, self._over = time.monotonic(), {}

    def _with_curve(self, one: LiveRun) -> LiveRun:
        if not one.curve.n_epochs and not one.curve.problem:
            description = one.planned.description
            curve = read_curve(one.planned.folder, description.kept_epoch if description else None)
            self._over[one.planned.run] = one = replace(one, curve=curve)
        return one

    def _at_a_time(self, n_running: int) -> int:
        """The most that ran at a time within the last half minute; none where none runs now nor did just before."""
        now = time.monotonic()
        recent = [(when, n) for when, n in self._running if now - when < _SECONDS_OF_PARALLELISM]
        self._running = [*recent, (now, n_running)]
        return max(n for _, n in self._running)


def is_broken(one: PlannedRun) -> bool:
    """Whether a run is neither over nor to be expected before somebody looks at it, or Snakemake tries again."""
    last = one.attempts[-1] if one.attempts else None
    return one.state in _BROKEN or (one.state == "not run" and last is not None and last.outcome in _BREAKING)


def _over(one: PlannedRun) -> LiveRun:
    last, start = one.folder.model if one.state == "finished" else one.folder.run, one.folder.read_start()
    try:
        ended = last.stat().st_mtime
    except FileNotFoundError:  # it was removed just now; the next whole look sees it
        ended = 0.0
    if start is None or one.state != "finished":
        return LiveRun(one, Curve(), ended)
    return LiveRun(one, Curve(), ended, ended - start.begun)


def _seconds_left(
    config: Config,
    over: Sequence[LiveRun],
    running: Sequence[LiveRun],
    to_come: Sequence[PlannedRun],
    at_a_time: int,
) -> float | None:
    """How long the runs that are to come take at the pace of those that are over."""
    paces = [Pace(one.planned.run, one.seconds / _n_steps(config, one.planned.run)) for one in over if one.seconds > 0]
    batch = config.training.batch_size
    paces = paces or [
        Pace(one.planned.run, batch / one.curve.images_per_second) for one in running if one.curve.images_per_second > 0
    ]
    per_epoch = {one.planned.run: one.curve.n_epochs / config.training.epochs for one in running}
    left = [(one.run, _n_steps(config, one.run) * (1 - per_epoch.get(one.run, 0.0))) for one in to_come]
    return seconds_left(left, paces, at_a_time)


def _n_steps(config: Config, run: Run) -> int:
    training = config.training.times(run.compute)
    return training.epochs * training.steps_per_epoch
