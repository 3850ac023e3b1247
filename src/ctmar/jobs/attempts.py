"""What became of the attempts of a job, and what the next one is given for it.

Beside the list of a job's files lies ``<job>.attempts.jsonl``: a line when an attempt starts, with what it was granted,
and one when it ends. A start without an end is an attempt that vanished: killed without warning, for its memory or with
its node. Nothing on disk tells the two apart, so the next attempt gets more memory, and a node that died costs no more
than that.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ctmar.config.section import Section
from ctmar.jobs.time_limit import nearly_over
from ctmar.store.writer import Writer, this_writer

Outcome = Literal["finished", "stopped", "out of time", "out of memory", "machine", "error"]

_RAISE = 2.0  # what the next attempt gets, as a multiple of what was not enough
_MOST = 8.0  # times what the model asks for: somebody who kills a job thirty times is no reason to ask for a terabyte


class Granted(Section):
    """What an attempt was given, None where nobody said; attempts of other ``settings`` say nothing about it."""

    settings: str = Field("", description="Name of all that the job follows from.")
    number: int = Field(1, ge=1, description="Number of this attempt of the running Snakemake.")
    memory_mb: float | None = Field(None, description="Memory [10⁶ bytes].")
    minutes: float | None = Field(None, description="Time limit.")


class Start(BaseModel, frozen=True):
    """An attempt starts: who, when, and with what."""

    event: Literal["start"] = "start"
    attempt: str
    granted: Granted
    writer: Writer
    time: str


class End(BaseModel, frozen=True):
    """It ends, after so many seconds."""

    event: Literal["end"] = "end"
    attempt: str
    outcome: Outcome
    message: str
    seconds: float


_LINE: TypeAdapter[Start | End] = TypeAdapter(Annotated[Start | End, Field(discriminator="event")])


@dataclass(frozen=True)
class Attempt:
    """One attempt; without an end it vanished (or runs)."""

    start: Start
    end: End | None

    @property
    def outcome(self) -> Outcome | Literal["vanished"]:
        """How it ended."""
        return self.end.outcome if self.end else "vanished"


@dataclass(frozen=True)
class AttemptsFile:
    """The attempts of one job."""

    path: Path

    @classmethod
    def beside(cls, finished: Path | str) -> "AttemptsFile":
        """The file that belongs to the list of a job's files.

        Examples:
            >>> AttemptsFile.beside("jobs/dncnn,asymmetry=0.4,0.sha256").path.name
            'dncnn,asymmetry=0.4,0.attempts.jsonl'
        """
        return cls(Path(finished).with_suffix(".attempts.jsonl"))

    def read(self) -> list[Attempt]:
        """All attempts in their order; a line that a kill cut off is left out."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: dict[str, Attempt] = {}
        for line in lines:
            try:
                record = _LINE.validate_json(line)
            except ValidationError:
                continue
            if isinstance(record, Start):
                found[record.attempt] = Attempt(record, None)
            elif record.attempt in found:
                found[record.attempt] = Attempt(found[record.attempt].start, record)
        return list(found.values())

    def append(self, record: Start | End) -> None:
        """Add a line, in one write, so that what another process adds at the same time stays whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # the empty line ends what a kill may have cut off before
        line = f"\n{record.model_dump_json()}\n".encode()
        with self.path.open("ab", buffering=0) as file:
            file.write(line)


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


def start_attempt(file: AttemptsFile, granted: Granted) -> RunningAttempt:
    """Write down that an attempt starts."""
    writer, now = this_writer(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    start = Start(attempt=f"{writer.host}.{writer.pid}.{time.time_ns()}", granted=granted, writer=writer, time=now)
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
