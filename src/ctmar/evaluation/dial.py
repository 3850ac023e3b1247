"""Quality against broken symmetry: the table behind the first figure of the report."""

from collections import Counter
from typing import Any

from ctmar.evaluation.columns import CONDITION, IDENTITY, STRICT_DIFFERENCE, difference
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.groups import interval_fields
from ctmar.evaluation.intervals import NOTHING, Estimate
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.preference import preferred_of_each, series_of

Row = dict[str, Any]
_TO = {"plain": difference("psnr_db"), "strict": STRICT_DIFFERENCE}


def dial_rows(study: MeasuredStudy) -> list[Row]:
    """Rows with the columns of `dial_columns`; none where a study has one asymmetry only.

    The limits of differences are Bonferroni's over all differences of a method and norm in the table, its curves: they
    hold together, whatever hangs on whatever. Over all methods as well they would be too wide to say anything with a
    handful of seeds. The limits of ``psnr_db`` are those of a mean alone.
    """
    if len({asymmetry for asymmetry, _ in study.conditions}) < 2:
        return []
    found = [
        (under, model, _differences(under, model)) for under in study.conditions.values() for model in _models(under)
    ]
    n_compared: Counter[tuple[str, ...]] = Counter()
    for _, model, gaps in found:
        n_compared[series_of(model)[:3]] += sum(gap is not NOTHING for gap in gaps.values())
    return [_row(under, model, gaps, n_compared[series_of(model)[:3]]) for under, model, gaps in found]


def _models(study: MeasuredStudy) -> list[Model]:
    """Of each method and norm the model that validation prefers, at the standard start and compute."""
    return list(preferred_of_each(filter(study.is_standard, study.models), series_of).values())


def _differences(study: MeasuredStudy, model: Model) -> dict[str, Estimate]:
    """Paired differences to the plain and to the strict model of this condition, by their columns."""
    others = {other.method: other for other in _models(study) if other.network == model.network}
    return {
        column: study.difference(model, others[method], "psnr_db")
        if method in others and others[method] is not model
        else NOTHING
        for method, column in _TO.items()
    }


def _row(study: MeasuredStudy, model: Model, gaps: dict[str, Estimate], n_compared: int) -> Row:
    row = dict(zip(CONDITION, study.condition, strict=True)) | dict(zip(IDENTITY, model.identity, strict=True))
    row |= interval_fields("psnr_db", study.mean_of(model, "psnr_db"), study.alpha)
    for column, gap in gaps.items():
        row |= interval_fields(column, gap, study.alpha / max(1, n_compared))
    patients = study.patients[model.tested.any(axis=0)]
    return row | {"n_compared": n_compared, "n_seeds": len(model.runs), "n_patients": len(set(patients))}
