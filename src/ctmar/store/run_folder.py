"""The folder of a run: what training and evaluation leave in it, and the only reader and writer of its records.

Training writes ``started.json`` (a `Start`) before its first step, ``metrics.jsonl`` (an `Epoch` in each line) anew
after each epoch, and at the end ``weights.pt``, ``layers.jsonl`` (a `LayersAtEpoch` in each line), ``kernels.npz`` (of
some layers) and ``run.json`` (a `RunDescription`); evaluation ``slices.csv``, ``model.json`` (`Measurements`) and
``examples.npz``. A training that diverged is finished too: it leaves ``run.json``,
which says so, the epochs that there were (maybe none) and ``not-finite.json``, and no weights, so that nothing is
measured. A training goes on from ``checkpoint.pt``; ``lock.json`` names who works in the folder
(`ctmar.store.run_lock`). A folder may come from anybody: every key and type is checked.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctmar.config import Run, validate_json
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path, check_target, remove_leftovers
from ctmar.store.run_records import Epoch, LayersAtEpoch, Measurements, RunDescription, RunOrigin, Start


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, runs: Path, run: Run) -> "RunFolder":
        """The folder of a run of a study below ``runs``."""
        return cls(runs / run.folder_name)

    @property
    def weights(self) -> Path:
        """State dictionary of the trained network."""
        return self.path / "weights.pt"

    @property
    def metrics(self) -> Path:
        """The epochs."""
        return self.path / "metrics.jsonl"

    @property
    def layers(self) -> Path:
        """The norms of all layers, through training."""
        return self.path / "layers.jsonl"

    @property
    def kernels(self) -> Path:
        """Some kernels of the trained network beside their projections, see `ctmar.models.kernel_blocks`."""
        return self.path / "kernels.npz"

    @property
    def of_network(self) -> tuple[Path, ...]:
        """What training leaves of a network; where there is none, none of these is there."""
        return self.weights, self.layers, self.kernels

    @property
    def run(self) -> Path:
        """The description; training writes it last."""
        return self.path / "run.json"

    @property
    def started(self) -> Path:
        """What a training says of itself before its first step; no result, for it holds a time."""
        return self.path / "started.json"

    @property
    def slices(self) -> Path:
        """Table of every test pair."""
        return self.path / "slices.csv"

    @property
    def model(self) -> Path:
        """The measurements."""
        return self.path / "model.json"

    @property
    def examples(self) -> Path:
        """Images of the example pairs."""
        return self.path / "examples.npz"

    @property
    def checkpoint(self) -> Path:
        """What a training goes on from; when the run is finished a job of the study, or `ctmar clean`, removes it."""
        return self.path / "checkpoint.pt"

    @property
    def lock(self) -> Path:
        """Names the process that trains or measures the run, while it does."""
        return self.path / "lock.json"

    @property
    def diagnosis(self) -> Path:
        """What is known of the step at which a training diverged."""
        return self.path / "not-finite.json"

    @property
    def results(self) -> tuple[Path, ...]:
        """All files that training and evaluation leave of this run.

        Raises:
            InputError: see `read_description`.
        """
        if self.read_description().diverged is not None:
            return self.metrics, self.run, self.diagnosis
        return *self.of_network, self.metrics, self.run, self.slices, self.model, self.examples

    def prepare(self) -> None:
        """Make the folder ready for a training: what killed writers left half-written goes.

        Raises:
            InputError: a file could not be written at the end, see `check_target`.
        """
        for path in (self.started, *self.of_network, self.metrics, self.run, self.checkpoint):
            check_target(path)
            remove_leftovers(path)

    def write_divergence(self, description: RunDescription, diagnosis: dict[str, Any]) -> None:
        """Write that a run diverged, its description last; no network stays beside it, nor what was measured of one.

        Args:
            description: of the run, with its divergence.
            diagnosis: all that is known of it.
        """
        for path in (*self.of_network, self.slices, self.model, self.examples):
            path.unlink(missing_ok=True)
        _write(self.diagnosis, json.dumps(diagnosis, indent=2) + "\n")
        self.write_description(description)

    def begin(self, origin: RunOrigin, seconds: float) -> None:
        """Say that a training of this origin begins; from here on the folder holds no finished run.

        Args:
            origin: what it is made of.
            seconds: the time since 1970.
        """
        # first of all, so that no file of this run is ever taken for one of the run that was finished here
        self.run.unlink(missing_ok=True)
        self.metrics.unlink(missing_ok=True)
        _write(self.started, Start(begun=seconds, origin=origin).model_dump_json(indent=2) + "\n")

    def has_begun(self, origin: RunOrigin) -> bool:
        """Whether the last training that began here is of this very origin."""
        start = self.read_start()
        return start is not None and start.origin == origin

    def is_finished(self, origin: RunOrigin) -> bool:
        """Whether a training of this very origin has left all its files here, or has diverged."""
        try:
            found = self.read_description()
        except InputError:
            return False
        same = all(getattr(found, name) == getattr(origin, name) for name in RunOrigin.model_fields)
        others = self.of_network if found.diverged is None else (self.diagnosis,)
        return same and all(path.is_file() for path in (*others, self.metrics))

    def is_measured(self, origin_sha256: str) -> bool:
        """Whether what an evaluation of this origin leaves is here."""
        try:
            found = self.read_measurements()
        except InputError:
            return False
        return found.origin_sha256 == origin_sha256 and self.slices.is_file() and self.examples.is_file()

    def read_start(self) -> Start | None:
        """Read ``started.json``; None where there is none, or one of another version: it is no result.

        A half-written one cannot be met, and who reads it while a training goes on needs no error of it.
        """
        try:
            return Start.model_validate_json(self.started.read_bytes())
        except (OSError, ValidationError):
            return None

    def read_description(self) -> RunDescription:
        """Read ``run.json``.

        Raises:
            InputError: it is missing, or a key or value is wrong.
        """
        return validate_json(RunDescription, _content(self.run, "ctmar train"), str(self.run))

    def read_epochs(self) -> list[Epoch]:
        """Read ``metrics.jsonl``; a run that diverged in its first epoch has none.

        Raises:
            InputError: it is missing, or a key or value is wrong.
        """
        lines = _content(self.metrics, "ctmar train").splitlines()
        return [validate_json(Epoch, line, f"{self.metrics}, line {number}") for number, line in enumerate(lines, 1)]

    def read_layers(self) -> list[LayersAtEpoch]:
        """Read ``layers.jsonl``.

        Raises:
            InputError: it is missing, or a key or value is wrong.
        """
        lines = _content(self.layers, "ctmar train").splitlines()
        return [validate_json(LayersAtEpoch, line, f"{self.layers}, line {k}") for k, line in enumerate(lines, 1)]

    def read_measurements(self) -> Measurements:
        """Read ``model.json``.

        Raises:
            InputError: it is missing, or a key or value is wrong.
        """
        return validate_json(Measurements, _content(self.model, "ctmar evaluate"), str(self.model))

    def write_description(self, description: RunDescription) -> None:
        """Write ``run.json``."""
        _write(self.run, json.dumps(description.model_dump(mode="json"), indent=2) + "\n")

    def write_epochs(self, epochs: list[Epoch]) -> None:
        """Write ``metrics.jsonl``."""
        _write(self.metrics, "".join(json.dumps(epoch.model_dump()) + "\n" for epoch in epochs))

    def write_layers(self, records: list[LayersAtEpoch]) -> None:
        """Write ``layers.jsonl``."""
        _write(self.layers, "".join(json.dumps(record.model_dump()) + "\n" for record in records))

    def write_measurements(self, measurements: Measurements) -> None:
        """Write ``model.json``."""
        _write(self.model, json.dumps(measurements.model_dump(), indent=2) + "\n")


def _content(path: Path, command: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a file written by `{command}`, found {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
