"""What the next attempt of a job is given for what became of those before (`ctmar.store.attempt_records`).

Nothing on disk tells an attempt that was killed for its memory from one whose node died, so the next attempt gets more
memory, and a node that died costs no more than that.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ctmar.jobs.time_limit import nearly_over
from ctmar.store.attempt_records import Attempt, AttemptsFile, End, Granted, Outcome, Start
from ctmar.store.writer import this_writer

_RAISE = 2.0  # what the next attempt gets, as a multiple of what was not enough
_MOST = 8.0  # times what the model asks for: somebody who kills a job thirty times is no reason to ask for a terabyte


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt that has started; it tells its file how it ended."""

    file: AttemptsFile
    start: Start
    begin: float

    def end(self, outcome: Outcome, message: str = "") -> None:
        """Write the end down."""
        seconds = round(time.monotonic() - self.begin, 1)
        self.file.append(End(attempt=self.start.attempt, outcome=outcome, message=message, seconds=seconds))

    @property
    def outcome_of_a_stop(self) -> Outcome:
        """Whether the signal to stop came when the granted time was nearly over, or at another time."""
        minutes = self.start.granted.minutes
        is_late = minutes is not None and nearly_over(time.monotonic() - self.begin, minutes)
        return "out of time" if is_late else "stopped"


def start_attempt(file: AttemptsFile, granted: Granted, runs: Sequence[str] = ()) -> RunningAttempt:
    """Write down that an attempt starts.

    Args:
        file: of the attempts of the job.
        granted: what it was given.
        runs: names of the folders of its runs below that of all runs.
    """
    writer, now = this_writer(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    name = f"{writer.host}.{writer.pid}.{time.time_ns()}"
    start = Start(attempt=name, runs=list(runs), granted=granted, writer=writer, time=now)
    file.append(start)
    return RunningAttempt(file, start, time.monotonic())


def raised(modelled: float, attempts: list[Attempt], settings: str, what: Literal["memory_mb", "minutes"]) -> int:
    """What the next attempt of a job with these settings is to be given of memory or of time.

    An attempt that was out of memory, or vanished, doubles the memory that it had and leaves time alone; one that was
    out of time does the reverse; a stop, a fault of the machine and an error change nothing. What counts is what was
    found out since the job last finished, and no more than eight times the model.
    """
    raising = ("out of memory", "vanished") if what == "memory_mb" else ("out of time",)
    need = modelled
    for attempt in attempts:
        granted = attempt.start.granted
        if granted.settings != settings:
            continue
        if attempt.outcome == "finished":
            need = modelled
        elif attempt.outcome in raising:
            need = max(need, _RAISE * (getattr(granted, what) or 0))
    return round(min(need, _MOST * modelled))


def error_before(attempts: list[Attempt], granted: Granted) -> str | None:
    """The message of the attempt before, if Snakemake tries again what ended in an error that will come again."""
    own = [attempt for attempt in attempts if attempt.start.granted.settings == granted.settings]
    if granted.number > 1 and own and own[-1].end and own[-1].outcome == "error":
        return own[-1].end.message
    return None
