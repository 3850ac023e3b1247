"""What became of the attempts of a job of trainings, as the job itself writes it down.

Beside the list of a job's files lies ``<job>.attempts.jsonl``: a line when an attempt starts, with its runs and what it
was granted, and one when it ends. A start without an end is an attempt that runs, or vanished: killed without warning,
for its memory or with its node.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ctmar.config.section import Section
from ctmar.store.atomic import full_disk_names
from ctmar.store.writer import Writer

Outcome = Literal["finished", "stopped", "out of time", "out of memory", "machine", "error"]
_SUFFIX = ".attempts.jsonl"


class Granted(Section):
    """What an attempt was given, None where nobody said; attempts of other ``settings`` say nothing about it."""

    settings: str = Field("", description="Name of all that the job follows from.")
    number: int = Field(1, ge=1, description="Number of this attempt of the running Snakemake.")
    memory_mb: float | None = Field(None, description="Memory [10⁶ bytes].")
    minutes: float | None = Field(None, description="Time limit.")


class Start(BaseModel, frozen=True):
    """An attempt starts: who, when, with what, and for which runs: names of their folders below that of all runs."""

    event: Literal["start"] = "start"
    attempt: str
    runs: list[str]
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
    """One attempt at a job, which is called as its file is; without an end it vanished (or runs)."""

    job: str
    start: Start
    end: End | None

    @property
    def outcome(self) -> Outcome | Literal["vanished"]:
        """How it ended, if it is not running."""
        return self.end.outcome if self.end else "vanished"

    @property
    def is_running_here(self) -> bool:
        """Whether it goes on, on this machine; of another one only the locks of its runs tell."""
        return self.end is None and not self.start.writer.is_dead(lambda: math.inf, 0.0)


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
        return cls(Path(finished).with_suffix(_SUFFIX))

    def read(self) -> list[Attempt]:
        """All attempts in their order; a line that a kill cut off is left out."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: dict[str, Attempt] = {}
        job = self.path.name.removesuffix(_SUFFIX)
        for line in lines:
            try:
                record = _LINE.validate_json(line)
            except ValidationError:
                continue
            if isinstance(record, Start):
                found[record.attempt] = Attempt(job, record, None)
            elif record.attempt in found:
                found[record.attempt] = Attempt(job, found[record.attempt].start, record)
        return list(found.values())

    def append(self, record: Start | End) -> None:
        """Add a line, in one write, so that what another process adds at the same time stays whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # the empty line ends what a kill may have cut off before
        line = f"\n{record.model_dump_json()}\n".encode()
        with full_disk_names(self.path), self.path.open("ab", buffering=0) as file:
            file.write(line)
