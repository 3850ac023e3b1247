"""Results by size of the metal and by material, for models and references alike; and every measured slice."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Run
from ctmar.evaluation.columns import GROUPED_METRICS, IDENTITY, PAIR_COLUMNS, REFERENCE_NETWORK, range_of
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.intervals import Estimate
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.run_results import Identity, number

Row = dict[str, Any]
# what stands in the columns of a model in the rows of a reference, whose name stands for the method
_REFERENCE = {name: Run.model_fields[name].get_default() for name in IDENTITY} | {"network": REFERENCE_NETWORK}


class MeasuredImages(NamedTuple):
    """A model or a reference; metrics have the shape (n_seeds, n_pairs), NaN where a seed was not tested on a pair."""

    identity: Identity
    metrics_of_reference: dict[str, NDArray[np.float64]]
    model: Model | None = None

    def metric(self, name: str) -> NDArray[np.float64]:
        """One metric; of a model it is put together from its runs when asked for, not kept beside them."""
        return self.metrics_of_reference[name] if self.model is None else self.model.metric(name)

    def estimate(self, study: MeasuredStudy, metric: str, chosen: NDArray[np.bool_] | None = None) -> Estimate:
        """Mean of a metric: over patients and seeds, of a reference over patients alone."""
        values = self.metric(metric)
        if self.model is None:
            return study.over_patients(values, chosen)
        return study.estimate(values, self.model.folds(), chosen)

    @property
    def seeds(self) -> list[int | None]:
        """Its seeds; a reference has one row without."""
        return [None] if self.model is None else list(self.model.seeds())

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which seed was tested on which pair, shape (n_seeds, n_pairs)."""
        if self.model is None:
            return np.ones(next(iter(self.metrics_of_reference.values())).shape, bool)
        return self.model.tested


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
        found.append(MeasuredImages(tuple((_REFERENCE | {"method": name}).values()), metrics))
    return found + [MeasuredImages(model.identity, {}, model) for model in study.models]


def group_rows(study: MeasuredStudy, measured: Sequence[MeasuredImages], column: str) -> Iterator[Row]:
    """One row for each model or reference and each value of a column of `PAIR_COLUMNS`."""
    values = study.column(column)
    for one in measured:
        for value in np.unique(values):
            chosen = values == value
            row: Row = {**dict(zip(IDENTITY, one.identity, strict=True)), column: str(value)}
            for metric in GROUPED_METRICS:
                row |= interval_fields(metric, one.estimate(study, metric, chosen), study.alpha)
            own = chosen & one.tested.any(axis=0)
            counts = {"n_pairs": int(own.sum()), "n_patients": len(set(study.patients[own]))}
            yield row | {"n_seeds": len(one.seeds)} | counts


def slice_rows(study: MeasuredStudy, measured: Sequence[MeasuredImages]) -> Iterator[Row]:
    """One row for each model (or reference), seed and pair; NaN becomes None, a missing value of Parquet."""
    pairs = [dict(zip(PAIR_COLUMNS, pair, strict=True)) for pair in study.pairs]
    names = [
        {column: pair[column] if column in ("patient", "slice_id", "metal") else int(pair[column]) for column in pair}
        for pair in pairs
    ]
    for one in measured:
        own = dict(zip(IDENTITY, one.identity, strict=True))
        metrics = {metric: one.metric(metric) for metric in study.metrics}
        for k, j in zip(*np.nonzero(one.tested), strict=True):
            values = {metric: float(of_all[k, j]) for metric, of_all in metrics.items()}
            yield own | {"seed": one.seeds[k]} | names[j] | {m: None if np.isnan(v) else v for m, v in values.items()}


def interval_fields(measure: str, estimate: Estimate, alpha: float) -> Row:
    """The three fields of a measure: its mean, and an interval of level 1 − alpha within the range of the measure."""
    interval = estimate.interval(alpha, range_of(measure))
    return {f"{measure}_mean": interval.mean, f"{measure}_low": interval.low, f"{measure}_high": interval.high}
