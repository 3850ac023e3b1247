"""The live view of a study as lines of text, for a terminal or a log."""

import math
import statistics
import time
from collections.abc import Sequence

from ctmar.config.labels import condition_parts, model_label, number
from ctmar.reporting.live_study import LiveRun, LiveStudy
from ctmar.reporting.wording import plural
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.planned_runs import PlannedRun, State

_BLOCKS = "▁▂▃▄▅▆▇█"
_FULL, _EMPTY = "█", "░"
_WIDEST_CURVE = 12
_MOST = 8  # runs of a kind that are named
_STATES: tuple[State, ...] = ("finished", "diverged", "running", "failed", "damaged", "killed", "stopped", "not run")


def lines(study: LiveStudy, width: int = 100) -> list[str]:
    """The whole view.

    Args:
        study: what was seen.
        width: columns of the terminal.
    """
    share = study.n_over / study.n_runs
    bar = round(share * min(40, width - 40))
    counts = " · ".join(f"{state} {study.counts[state]}" for state in _STATES if study.counts[state])
    text = [
        f"{study.config.study.name}: {study.n_over} of {plural(study.n_runs, 'run')} over",
        f"{_FULL * bar}{_EMPTY * (min(40, width - 40) - bar)} {share:.0%}   {clock(study.moment)}",
        counts,
        outlook(study),
    ]
    span_db = _span_db([*study.running, *study.over])
    blocks = (("running", study.running, len(study.running)), ("over, the last first", study.over, study.n_over))
    for title, own, n in blocks:
        if own:
            text += ["", title, *(_row(one, study, span_db) for one in own[:_MOST]), *_more(n)]
    if study.broken:
        text += ["", "failed", *broken_lines(study)[:_MOST], *_more(len(study.broken))]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in text]


def one_line(study: LiveStudy) -> str:
    """The same in one line, for a log."""
    counts = ", ".join(f"{study.counts[state]} {state}" for state in _STATES if study.counts[state])
    return f"{study.n_over} of {plural(study.n_runs, 'run')} over: {counts}; {outlook(study)}"


def broken_lines(study: LiveStudy) -> list[str]:
    """Every run that is broken, with what is known of the cause."""
    return [f"  {name_of(one, study)}: {one.state}, {_on_one_line(one.why)}" for one in study.broken]


def outlook(study: LiveStudy) -> str:
    """When all runs are over, as far as that can be told."""
    if study.is_done:
        return "nothing is left to run"
    if not study.at_a_time:
        return f"nothing runs now; {plural(study.n_waiting, 'run')} to come"
    at_a_time = f"{plural(study.at_a_time, 'run')} at a time"
    if study.seconds_left is None:
        return f"{at_a_time}; the end can be told after the first epoch"
    end = clock(study.moment + study.seconds_left, study.moment)
    return f"about {duration(study.seconds_left)} left, until {end}, {at_a_time}"


def duration(seconds: float) -> str:
    """A time in the unit that fits.

    Examples:
        >>> duration(42), duration(600), duration(9000), duration(400000)
        ('42 s', '10 min', '2.5 h', '4.6 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def clock(moment: float, now: float | None = None) -> str:
    """A moment as the clock of this machine shows it, with its date where it is of another day than ``now``."""
    then = time.localtime(moment)
    same_day = now is None or time.localtime(now)[:3] == then[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M", then)


def name_of(one: PlannedRun, study: LiveStudy) -> str:
    """A run in words, with its network where the study has several."""
    run, network = one.run, [one.run.network] * (len(study.config.study.networks) > 1)
    return ", ".join([*network, model_label(run.model_dump()), *condition_parts(*run.condition), f"seed {run.seed}"])


def spark(values: Sequence[float], low: float, high: float) -> str:
    """A curve in one line: a block for each value, from the lowest to the highest of a scale; a gap where it is NaN.

    Examples:
        >>> spark([30.0, 35.0, math.nan, 40.0], 30.0, 40.0)
        '▁▅ █'
    """
    span = (high - low) or 1.0
    places = [
        None if not math.isfinite(value) else round(min(max((value - low) / span, 0.0), 1.0) * (len(_BLOCKS) - 1))
        for value in values
    ]
    return "".join(" " if place is None else _BLOCKS[place] for place in places)


def _row(one: LiveRun, study: LiveStudy, span_db: float) -> str:
    curve = one.curve
    best = max(filter(math.isfinite, curve.psnr_db), default=math.nan)
    some = [curve.psnr_db[index] for index in evenly_spaced(len(curve.psnr_db), _WIDEST_CURVE)]
    drawn = spark(some, best - span_db, best)
    said = f"{drawn:<{min(_WIDEST_CURVE, study.config.training.epochs)}} {number(curve.shown_psnr_db)} dB"
    if one.planned.state == "diverged":
        return f"  {said}  {name_of(one.planned, study)}: diverged {one.planned.why}"
    if one.planned.state == "finished":
        return f"  {said}  {name_of(one.planned, study)}"
    is_trained = one.planned.description is not None
    where = "is measured" if is_trained else f"epoch {curve.n_epochs + 1} of {study.config.training.epochs}"
    speed = f", {curve.images_per_second:.0f} images/s" if curve.n_epochs and not is_trained else ""
    return f"  {said}  {name_of(one.planned, study)}: {where}{speed}"


def _span_db(runs: Sequence[LiveRun]) -> float:
    """What half of the curves stay within [dB]: the same height is the same change, each from its own best."""
    finite = [list(filter(math.isfinite, one.curve.psnr_db)) for one in runs]
    return statistics.median([max(values) - min(values) for values in finite if values] or [1.0])


def _more(n: int) -> list[str]:
    return [f"  … and {n - _MOST} more"] if n > _MOST else []


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
