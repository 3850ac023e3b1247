"""Detectability of a model over its seeds, as columns of models.csv."""

import math
from collections.abc import Callable
from typing import Any

from ctmar.evaluation.columns import AUC_COLUMNS, SIGNAL_IMAGES, signal_measures
from ctmar.evaluation.compared_models import Model, in_common
from ctmar.evaluation.groups import interval_fields
from ctmar.evaluation.intervals import NOTHING, Estimate, over_seeds
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.store.run_records import Measurements

Row = dict[str, Any]
_FIELDS = ("auc", "bias_hu", "contrast_share")  # of a record, in the order of `signal_measures`


def detectability_fields(study: MeasuredStudy, model: Model, plain: Model | None) -> Row:
    """Intervals over seeds of what was measured with signals; NaN where a run has no signals.

    ``auc_gain`` is the difference to the uncorrected image, which is FBP, on the same signals; ``auc_diff`` that to
    the plain model, over the seeds that both have.
    """

    def mean(measure: Callable[[Measurements], float]) -> Estimate:
        return over_seeds(model.per_seed(measure), model.folds())

    row: Row = {}
    for image in SIGNAL_IMAGES:
        for column, field in zip(signal_measures(image), _FIELDS, strict=True):
            row |= interval_fields(column, mean(_of(image, field)), study.alpha)
    gain = mean(lambda measured: _of("prediction", "auc")(measured) - _of("Input", "auc")(measured))
    row |= interval_fields("auc_gain", gain, study.alpha)
    row |= interval_fields("auc_diff", _to_plain(model, plain), study.alpha)
    for column, field in zip(AUC_COLUMNS, ("auc_standard_error", "n_signals"), strict=True):
        row[column] = float(model.per_seed(_of("prediction", field)).mean())
    return row


def _to_plain(model: Model, plain: Model | None) -> Estimate:
    if plain is None or plain is model:
        return NOTHING
    own, other = in_common(model, plain)
    if not own.runs:
        return NOTHING
    auc = _of("prediction", "auc")
    return over_seeds(own.per_seed(auc) - other.per_seed(auc), own.folds())


def _of(image: str, field: str) -> Callable[[Measurements], float]:
    def measure(measured: Measurements) -> float:
        return math.nan if measured.detectability is None else float(getattr(measured.detectability[image], field))

    return measure
