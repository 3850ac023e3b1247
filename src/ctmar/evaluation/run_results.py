"""One trained and measured run, read from its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.evaluation.columns import IDENTITY, METRICS, PAIR_COLUMNS, QUARTER_TURNS_DEG, metrics_in
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Epoch, Measurements, RunDescription
from ctmar.store.tables import read_rows

Identity = tuple[Any, ...]  # values of `IDENTITY`
Pair = tuple[str, ...]  # values of `PAIR_COLUMNS`


@dataclass(frozen=True)
class RunResult:
    """One trained and measured run.

    Args:
        folder: where it lies.
        description: what training says of it.
        measurements: what evaluation says of the network.
        epochs: of the training.
        pairs: the pairs that metrics are of.
        metrics: one value for each pair; NaN where the run has none.
        tested: the pairs that the run was tested on.
        kept_epoch: the epoch, counted from 1, whose weights were kept.
    """

    folder: RunFolder
    description: RunDescription
    measurements: Measurements
    epochs: list[Epoch]
    pairs: list[Pair]
    metrics: dict[str, NDArray[np.float64]]
    tested: NDArray[np.bool_]
    kept_epoch: int

    @property
    def run(self) -> Run:
        """Its settings."""
        return self.description.run

    @property
    def identity(self) -> Identity:
        """The settings that seeds share, in the order of `IDENTITY`."""
        return identity_of(self.run)

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.run.seed

    @property
    def fold(self) -> tuple[str, ...]:
        """The patients it was trained on; none where it took all of its file."""
        patients = self.description.patients
        return () if patients is None else tuple(sorted(patients["train"]))

    def on(self, pairs: list[Pair]) -> "RunResult":
        """The same with metrics on other pairs, NaN on those that it was not tested on."""
        place = {pair: k for k, pair in enumerate(self.pairs)}
        own = [place.get(pair, -1) for pair in pairs]
        tested = np.array(own) >= 0
        metrics = {name: np.where(tested, values[own], np.nan) for name, values in self.metrics.items()}
        return replace(self, pairs=pairs, metrics=metrics, tested=tested)

    @property
    def angles_deg(self) -> list[float]:
        """Angles between quarter turns at which its defect was measured."""
        return [float(angle) for angle in self.measurements.defect_at_angles]

    @property
    def validation_psnr(self) -> float:
        """Validation PSNR [dB] of the weights that were kept: the last, or the best where training may stop early."""
        return self.epochs[self.kept_epoch - 1].validation_psnr


def read_run(folder: RunFolder) -> RunResult | RunDescription:
    """Read a trained and measured run; of one that diverged there is a description and nothing to measure.

    Raises:
        InputError: a file is missing or malformed, or the defect was not measured at every quarter turn.
    """
    description, epochs = folder.read_description(), folder.read_epochs()
    kept = description.kept_epoch
    if description.diverged is not None:
        return description
    if not epochs:
        raise InputError(f"{folder.metrics}: expected a line for each epoch, found none")
    if kept is None or not 1 <= kept <= len(epochs):
        raise InputError(f"{folder.run}: 'kept_epoch': expected 1 to {len(epochs)}, found {kept}")
    measurements = folder.read_measurements()
    if set(measurements.psnr_turned_db) != set(map(str, QUARTER_TURNS_DEG)):
        expected, found = ", ".join(map(str, QUARTER_TURNS_DEG)), ", ".join(measurements.psnr_turned_db)
        raise InputError(f"{folder.model}: 'psnr_turned_db': expected {expected}, found {found}")
    rows = read_rows(folder.slices, (*PAIR_COLUMNS, *METRICS))
    metrics = metrics_in(next(iter(rows), {}))
    check_numbers(folder.slices, rows, metrics)
    return RunResult(
        folder=folder,
        description=description,
        measurements=measurements,
        epochs=epochs,
        pairs=[tuple(row[column] for column in PAIR_COLUMNS) for row in rows],
        metrics={name: np.array([number(row[name]) for row in rows]) for name in metrics},
        tested=np.ones(len(rows), bool),
        kept_epoch=kept,
    )


def identity_of(run: Run) -> Identity:
    """The settings of a run that seeds share, in the order of `IDENTITY`."""
    return tuple(getattr(run, name) for name in IDENTITY)


def number(text: str) -> float:
    """A field of a table; an empty one is NaN."""
    return float(text) if text else float("nan")


def check_numbers(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    """Refuse a table with a text where a number or nothing should be.

    Raises:
        InputError: a field is no number.
    """
    for k, row in enumerate(rows, start=1):
        for column in columns:
            try:
                number(row[column])
            except ValueError:
                raise InputError(f"{path}: expected a number in row {k}, {column}, found '{row[column]}'") from None
