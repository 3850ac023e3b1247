"""Results by size of the metal and by material, for models and references alike; and every measured slice."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctmar.evaluation.columns import GROUPED_METRICS, IDENTITY, PAIR_COLUMNS, REFERENCE_NETWORK
from ctmar.evaluation.intervals import Interval
from ctmar.evaluation.measured_study import Identity, MeasuredStudy, number

Row = dict[str, Any]


class MeasuredImages(NamedTuple):
    """A model or a reference on every pair; metrics have the shape (n_seeds, n_pairs)."""

    identity: Identity
    seeds: list[int | None]
    metrics: dict[str, NDArray[np.float64]]

    def interval(self, study: MeasuredStudy, metric: str, chosen: NDArray[np.bool_] | None = None) -> Interval:
        """Mean and interval of a metric: over patients and seeds, of a reference over patients alone."""
        of = study.interval_over_patients if self.seeds == [None] else study.interval
        return of(self.metrics[metric], chosen)


def everything_measured(study: MeasuredStudy, references: Sequence[dict[str, str]]) -> list[MeasuredImages]:
    """All models and references; a reference has network "reference", its name for a method, and no seed.

    Args:
        study: all models.
        references: rows of the table of `evaluate_references`, on the pairs of the study in their order.
    """
    found = []
    for name in dict.fromkeys(row["reference"] for row in references):
        own = [row for row in references if row["reference"] == name]
        metrics = {metric: np.array([[number(row[metric]) for row in own]]) for metric in study.metrics}
        found.append(MeasuredImages((REFERENCE_NETWORK, name, "none", 0.0, 0.0, 0.0), [None], metrics))
    for model in study.models:
        metrics = {metric: model.metric(metric) for metric in study.metrics}
        found.append(MeasuredImages(model.identity, list(model.seeds()), metrics))
    return found


def group_rows(study: MeasuredStudy, measured: Sequence[MeasuredImages], column: str) -> Iterator[Row]:
    """One row for each model or reference and each value of a column of `PAIR_COLUMNS`."""
    values = study.column(column)
    for one in measured:
        for value in np.unique(values):
            chosen = values == value
            row: Row = {**dict(zip(IDENTITY, one.identity, strict=True)), column: str(value)}
            for metric in GROUPED_METRICS:
                row |= interval_fields(metric, one.interval(study, metric, chosen))
            counts = {"n_pairs": int(chosen.sum()), "n_patients": len(set(study.patients[chosen]))}
            yield row | {"n_seeds": len(one.seeds)} | counts


def slice_rows(study: MeasuredStudy, measured: Sequence[MeasuredImages]) -> Iterator[Row]:
    """One row for each model (or reference), seed and pair; NaN becomes None, a missing value of Parquet."""
    pairs = [dict(zip(PAIR_COLUMNS, pair, strict=True)) for pair in study.models[0].runs[0].pairs]
    names = [
        {column: pair[column] if column in ("patient", "slice_id", "metal") else int(pair[column]) for column in pair}
        for pair in pairs
    ]
    for identity, seeds, metrics in measured:
        own = dict(zip(IDENTITY, identity, strict=True))
        for k, seed in enumerate(seeds):
            for j, pair in enumerate(names):
                values = {metric: float(metrics[metric][k, j]) for metric in study.metrics}
                yield own | {"seed": seed} | pair | {m: None if np.isnan(v) else v for m, v in values.items()}


def interval_fields(measure: str, interval: Interval) -> Row:
    """The three fields of a measure."""
    return {f"{measure}_mean": interval.mean, f"{measure}_low": interval.low, f"{measure}_high": interval.high}
