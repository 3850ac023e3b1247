"""What the finished runs of a study measured, gathered so that every comparison is paired."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Judgement, Run
from ctmar.errors import InputError
from ctmar.evaluation.columns import METRICS, PAIR_COLUMNS, QUARTER_TURNS_DEG, metrics_in
from ctmar.evaluation.crossed_table import over_patients_and_seeds, patient_means
from ctmar.evaluation.intervals import (
    NOTHING,
    Estimate,
    Interval,
    over_patients,
    over_seeds,
)
from ctmar.store.run_folder import Epoch, Measurements, RunDescription, RunFolder
from ctmar.store.tables import read_rows

Identity = tuple[str, str, str, float, float, float]


@dataclass(frozen=True)
class RunResult:
    """One trained and measured run."""

    identity: Identity
    seed: int
    description: RunDescription
    measurements: Measurements
    epochs: list[Epoch]
    pairs: list[tuple[str, ...]]
    metrics: dict[str, NDArray[np.float64]]

    @property
    def angles_deg(self) -> list[float]:
        """Angles between quarter turns at which its defect was measured."""
        return [float(angle) for angle in self.measurements.defect_at_angles]

    @property
    def validation_psnr(self) -> float:
        """Validation PSNR [dB] of the weights that were kept: the last, or the best where training may stop early."""
        return self.epochs[self.description.kept_epoch - 1].validation_psnr


@dataclass(frozen=True)
class Model:
    """The runs of one identity over their seeds, in the order of the seeds."""

    identity: Identity
    runs: list[RunResult]

    @property
    def network(self) -> str:
        """Name of the network."""
        return self.identity[0]

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.identity[1]

    @property
    def norm(self) -> str:
        """Name of the norm, or none."""
        return self.identity[2]

    @property
    def lam_perp(self) -> float:
        """Weight λ⊥."""
        return self.identity[3]

    @property
    def lam_equi(self) -> float:
        """Weight λ_G."""
        return self.identity[4]

    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [run.seed for run in self.runs]

    def metric(self, name: str) -> NDArray[np.float64]:
        """A metric of every pair, shape (n_seeds, n_pairs)."""
        return np.stack([run.metrics[name] for run in self.runs])

    def per_seed(self, measure: Callable[[Measurements], float]) -> NDArray[np.float64]:
        """A number of the measurements of every run, shape (n_seeds)."""
        return np.array([measure(run.measurements) for run in self.runs], np.float64)

    def validation_psnr(self) -> float:
        """Mean over seeds of `RunResult.validation_psnr` [dB]: what weights are chosen by."""
        return float(np.mean([run.validation_psnr for run in self.runs]))


@dataclass(frozen=True)
class MeasuredStudy:
    """All models of a study on the same test pairs, with the settings of its intervals."""

    models: list[Model]
    settings: Judgement

    @property
    def angles_deg(self) -> list[float]:
        """Angles between quarter turns at which the defect was measured, the same for all runs."""
        return self.models[0].runs[0].angles_deg

    @property
    def metrics(self) -> tuple[str, ...]:
        """Columns of the metrics, the same for all runs: `METRICS`, and what the study brings of its own."""
        return tuple(self.models[0].runs[0].metrics)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient of each pair."""
        return self.column("patient")

    @property
    def slices(self) -> NDArray[np.str_]:
        """Slice of each pair."""
        return self.column("slice_id")

    def column(self, name: str) -> NDArray[np.str_]:
        """A column of `PAIR_COLUMNS`, one text for each pair."""
        place = PAIR_COLUMNS.index(name)
        return np.array([pair[place] for pair in self.models[0].runs[0].pairs])

    @property
    def alpha(self) -> float:
        """One minus the level of the intervals."""
        return 1 - self.settings.confidence

    @property
    def margins(self) -> tuple[float, float]:
        """The ends of the margin of equivalence [dB]."""
        return -self.settings.equivalence_margin_db, self.settings.equivalence_margin_db

    def patient_table(
        self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Means over the pairs of each patient, shape (n_patients, n_seeds), of values (n_seeds, n_pairs).

        Pairs that are NaN (a region without pixels) or not ``chosen`` are left out.
        """
        return patient_means(np.where(True if chosen is None else chosen, values, np.nan), self.patients)

    def estimate(self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None) -> Estimate:
        """Mean of values (n_seeds, n_pairs) over patients and seeds."""
        table = self.patient_table(values, chosen)
        return NOTHING if np.isnan(table).all() else over_patients_and_seeds(table)

    def interval(self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None) -> Interval:
        """Mean and interval of `estimate`."""
        return self.estimate(values, chosen).interval(self.alpha)

    def interval_over_patients(self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None) -> Interval:
        """The same of what has no seed, values (1, n_pairs)."""
        table = self.patient_table(values, chosen)[:, 0]
        known = table[~np.isnan(table)]
        return (over_patients(known) if known.size else NOTHING).interval(self.alpha)

    def interval_over_seeds(self, values: NDArray[np.float64]) -> Interval:
        """Mean and interval of one value per seed."""
        return over_seeds(values).interval(self.alpha)

    def paired(self, model: Model, other: Model, metric: str) -> NDArray[np.float64]:
        """``model`` − ``other`` of a metric over the seeds that both have, shape (n_common_seeds, n_pairs)."""
        common = [seed for seed in model.seeds() if seed in other.seeds()]
        first, second = ([side.seeds().index(seed) for seed in common] for side in (model, other))
        return model.metric(metric)[first] - other.metric(metric)[second]

    def difference(self, model: Model, other: Model, metric: str) -> Estimate:
        """Mean of `paired` over patients and seeds."""
        values = self.paired(model, other, metric)
        return self.estimate(values) if len(values) else NOTHING

    def plain_of(self, model: Model) -> Model | None:
        """The plain model of the same network, if the study has one."""
        plain = (other for other in self.models if other.network == model.network and other.method == "plain")
        return next(plain, None)


def read_study(run_folders: Iterable[Path], settings: Judgement) -> MeasuredStudy:
    """Read every run folder and check that all runs were measured on the same pairs.

    Raises:
        InputError: no folder, a file is missing or malformed, a run is given twice, or two runs were measured on
            different pairs, by different metrics or at different angles.
    """
    runs = [read_run(RunFolder(Path(folder))) for folder in run_folders]
    if not runs:
        raise InputError("expected at least one finished run, found none")
    for run in runs:
        if run.pairs != runs[0].pairs:
            raise InputError(f"runs {runs[0].identity} and {run.identity} were measured on different test pairs")
        if run.metrics.keys() != runs[0].metrics.keys():
            raise InputError(
                f"runs {runs[0].identity} and {run.identity}: expected the same metrics, found"
                f" {', '.join(sorted(run.metrics.keys() ^ runs[0].metrics.keys()))} in one of them alone"
            )
        if run.angles_deg != runs[0].angles_deg:
            raise InputError(
                f"runs {runs[0].identity} and {run.identity}: expected defects at the same angles, found"
                f" {runs[0].angles_deg} and {run.angles_deg}"
            )
    twice = [name for name, n in Counter((run.identity, run.seed) for run in runs).items() if n > 1]
    if twice:
        raise InputError(f"run {twice[0][0]} of seed {twice[0][1]}: expected once, found in several folders")
    identities = dict.fromkeys(run.identity for run in runs)
    grouped = {identity: [run for run in runs if run.identity == identity] for identity in identities}
    models = [Model(identity, sorted(group, key=lambda run: run.seed)) for identity, group in grouped.items()]
    return MeasuredStudy(models, settings)


def read_run(folder: RunFolder) -> RunResult:
    """Read a trained and measured run.

    Raises:
        InputError: a file is missing or malformed, or the defect was not measured at every quarter turn.
    """
    description, measurements, epochs = folder.read_description(), folder.read_measurements(), folder.read_epochs()
    if not 1 <= description.kept_epoch <= len(epochs):
        raise InputError(f"{folder.run}: 'kept_epoch': expected 1 to {len(epochs)}, found {description.kept_epoch}")
    if set(measurements.psnr_turned_db) != set(map(str, QUARTER_TURNS_DEG)):
        expected, found = ", ".join(map(str, QUARTER_TURNS_DEG)), ", ".join(measurements.psnr_turned_db)
        raise InputError(f"{folder.model}: 'psnr_turned_db': expected {expected}, found {found}")
    rows = read_rows(folder.slices, (*PAIR_COLUMNS, *METRICS))
    metrics = metrics_in(next(iter(rows), {}))
    check_numbers(folder.slices, rows, metrics)
    return RunResult(
        identity=_identity_of(description.run),
        seed=description.run.seed,
        description=description,
        measurements=measurements,
        epochs=epochs,
        pairs=[tuple(row[column] for column in PAIR_COLUMNS) for row in rows],
        metrics={name: np.array([number(row[name]) for row in rows]) for name in metrics},
    )


def _identity_of(run: Run) -> Identity:
    """The settings that seeds share, in the order of `IDENTITY`."""
    return run.network, str(run.method), run.norm, run.lam_perp, run.lam_equi, run.softness


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
