"""The primary comparisons: written into the configuration before the run, few, and corrected for each other."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ctmar.config import PrimaryComparison
from ctmar.config.labels import series_label
from ctmar.evaluation.columns import VARIANCE_COLUMNS
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.intervals import NOTHING, Estimate
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.significance import holm
from ctmar.evaluation.verdicts import (
    PRIMARY,
    UNDECIDED,
    Claim,
    Cost,
    Finding,
    chosen,
    condition_text,
    first_network,
    gap_of,
    judge,
    model_text,
    verdict,
)

_RULE = (
    "Paired PSNR of the two, each at the setting that validation prefers: the two-sided p-value, after Holm over the"
    " primary comparisons, is below"
)


def judge_primary(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test the comparisons of ``judgement.primary`` on the first network, with Holm's correction over them.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each comparison the row of a claim, in the order of the configuration.
    """
    comparisons = study.settings.primary
    own = first_network(study)
    # one that cannot be made because a side diverged still is one of the family
    p_values = [1.0 if _lost(own, one) else _difference(own, one).p_value() for one in comparisons]
    corrected = holm(np.array(p_values))
    claims = [
        Claim(
            f"{_name(one.method, one.norm)} has a higher PSNR than {_name(one.against, one.against_norm)}"
            f"{_where(own, one)}.",
            f"primary comparison {k} of {len(comparisons)}",
            f"{_RULE} {study.alpha:.2g}; the interval is widened for their number.",
            partial(_decide, comparison=one, p_value=float(p_value)),
            PRIMARY,
        )
        for k, (one, p_value) in enumerate(zip(comparisons, corrected, strict=True), start=1)
    ]
    return judge(claims, study, cost_rows)


def variance_rows(study: MeasuredStudy) -> list[dict[str, Any]]:
    """Rows with the columns `VARIANCE_COLUMNS`; numbers are missing where a comparison has no interval."""
    own = first_network(study)
    alpha = study.alpha / max(1, len(study.settings.primary))
    rows = []
    for comparison in study.settings.primary:
        estimate = _difference(own, comparison)
        row: dict[str, Any] = dict.fromkeys(VARIANCE_COLUMNS, "") | {"comparison": str(comparison)}
        if (known := estimate.variances) is not None:
            row |= {"mean_db": estimate.mean, "half_width_db": estimate.half_width(alpha)}
            row |= {f"sd_{name}_db": math.sqrt(getattr(known, name)) for name in ("patient", "seed", "fold", "rest")}
            row |= {name: getattr(known, name) for name in ("n_patients", "n_seeds", "n_folds")}
        rows.append(row)
    return rows


def covers(study: MeasuredStudy, method: str, against: str) -> bool:
    """Whether two methods, whatever their norms, are compared under the base condition by a primary comparison."""
    return any(
        (one.method, one.against) == (method, against) and one.condition(study.conditions) == study.condition
        for one in study.settings.primary
    )


def _decide(study: MeasuredStudy, cost: Cost, comparison: PrimaryComparison, p_value: float) -> Finding | None:
    pair = _models(study, comparison)
    if pair is None:
        lost = _lost(study, comparison)
        return (
            Finding(f"nothing to compare: {' and '.join(lost)} diverged with every seed", UNDECIDED) if lost else None
        )
    gap = gap_of(study, _difference(study, comparison), len(study.settings.primary))
    measured = f"{model_text(pair[0])} − {model_text(pair[1])}: {gap.text}, p after Holm {_p_text(p_value)}"
    decided = p_value < study.alpha
    return Finding(measured, verdict(decided and gap.mean > 0, decided and gap.mean < 0), {"": gap})


def _models(study: MeasuredStudy, comparison: PrimaryComparison) -> tuple[Model, Model] | None:
    under = study.conditions.get(comparison.condition(study.conditions))
    if under is None:
        return None
    first = chosen(under, comparison.method, comparison.norm)
    second = chosen(under, comparison.against, comparison.against_norm)
    return None if first is None or second is None else (first, second)


def _lost(study: MeasuredStudy, comparison: PrimaryComparison) -> list[str]:
    """The sides of a comparison of which every run diverged."""
    under = study.conditions.get(comparison.condition(study.conditions))
    sides = ((comparison.method, comparison.norm), (comparison.against, comparison.against_norm))
    return [
        _name(method, norm)
        for method, norm in sides
        if under is not None
        and chosen(under, method, norm) is None
        and any(one.run.method == method and norm in (None, one.run.norm) for one in under.diverged)
    ]


def _difference(study: MeasuredStudy, comparison: PrimaryComparison) -> Estimate:
    pair = _models(study, comparison)
    if pair is None:
        return NOTHING
    return study.conditions[pair[0].run.condition].difference(*pair, "psnr_db")


def _where(study: MeasuredStudy, comparison: PrimaryComparison) -> str:
    """The condition of a comparison, unless it is the base."""
    condition = comparison.condition(study.conditions)
    return "" if condition == study.condition else f" where {condition_text(*condition)}"


def _name(method: str, norm: str | None) -> str:
    return f"“{series_label(method, norm or 'none')}”"


def _p_text(p_value: float) -> str:
    return "unknown" if np.isnan(p_value) else "below 0.001" if p_value < 0.001 else f"{p_value:.3f}"
