"""Two studies side by side: what the settings that both have differ by, B − A, paired over patients and seeds.

A pair of slice and metal counts where both studies tested it with a seed that both have; `over_patients_and_seeds`
gives the interval, as for two models of one study. Where the seeds fall into folds in both studies, the coarser folds
are the units. The defect is one number for each run: it is compared where these seeds were tested on the same pairs.
"""

import math
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config.study import Condition
from ctmar.evaluation.columns import CONDITION, IDENTITY, difference, interval_columns
from ctmar.evaluation.compared_models import Model, in_common
from ctmar.evaluation.groups import interval_fields
from ctmar.evaluation.intervals import NOTHING, over_seeds
from ctmar.evaluation.measured_study import Folds, MeasuredStudy
from ctmar.evaluation.run_results import Identity, identity_of

Row = dict[str, Any]
_METRICS, _DEFECT = ("psnr_db", "ssim"), "defect"
DIFFERENCES = tuple(difference(name) for name in (*_METRICS, _DEFECT))
_INTERVALS = [column for measure in DIFFERENCES for column in interval_columns(measure)]
_COUNTS = ("n_seeds", "n_patients", "n_pairs")
SETTING_COLUMNS = (*CONDITION, *IDENTITY, *_INTERVALS, *_COUNTS)
ONLY_COLUMNS = (*CONDITION, *IDENTITY, "study", "n_seeds", "why")


def shared_settings(first: MeasuredStudy, second: MeasuredStudy) -> list[Row]:
    """Every setting that both studies have, in the order of the first, with `SETTING_COLUMNS`.

    Args:
        first: study A, whose level the intervals have.
        second: study B.

    Returns:
        Differences B − A; a measure that nothing can be paired of is NaN.
    """
    return [row for condition in first.conditions for row in _shared(first, second, condition)]


def _shared(first: MeasuredStudy, second: MeasuredStudy, condition: Condition) -> Iterator[Row]:
    others = _models(second, condition)
    if not others:
        return
    one = first.conditions[condition]
    places = _places(one, second.conditions[condition])
    for identity, model in _models(first, condition).items():
        if identity in others:
            yield _setting(condition, identity) | _differences(one, *in_common(model, others[identity]), places)


def unshared_settings(first: MeasuredStudy, second: MeasuredStudy) -> list[Row]:
    """Every setting that one of two studies has alone, with `ONLY_COLUMNS`, and why."""
    return [*_only(first, second, "A"), *_only(second, first, "B")]


def _only(study: MeasuredStudy, other: MeasuredStudy, name: str) -> Iterator[Row]:
    for condition in study.conditions:
        known, under = _models(other, condition), other.conditions.get(condition)
        lost = set() if under is None else {identity_of(one.run) for one in under.diverged}
        for identity, model in _models(study, condition).items():
            if identity not in known:
                why = "every run of the other study diverged" if identity in lost else "not in the other study"
                yield _setting(condition, identity) | {"study": name, "n_seeds": len(model.runs), "why": why}


def _models(study: MeasuredStudy, condition: Condition) -> dict[Identity, Model]:
    under = study.conditions.get(condition)
    return {} if under is None else {model.identity: model for model in under.models}


def _setting(condition: Condition, identity: Identity) -> Row:
    return dict(zip((*CONDITION, *IDENTITY), (*condition, *identity), strict=True))


def _places(one: MeasuredStudy, other: MeasuredStudy) -> NDArray[np.int_]:
    """Where the pairs of a study stand in the other, shape (n_pairs); −1 where it has none like it."""
    place = {pair: k for k, pair in enumerate(other.pairs)}
    return np.array([place.get(pair, -1) for pair in one.pairs], int)


def _differences(study: MeasuredStudy, own: Model, other: Model, places: NDArray[np.int_]) -> Row:
    """Differences of two models of the same seeds, and of how many seeds, patients and pairs."""
    if not own.runs:
        return dict.fromkeys(_INTERVALS, math.nan) | dict.fromkeys(_COUNTS, 0)
    row: Row = {}
    folds, both = _folds(own, other), own.tested & (places >= 0) & other.tested[:, places]
    for metric in _METRICS:
        values = np.where(both, other.metric(metric)[:, places] - own.metric(metric), np.nan)
        row |= interval_fields(difference(metric), study.estimate(values, folds), study.alpha)
    same_pairs = both.any() and both.sum() == own.tested.sum() == other.tested.sum()
    own_defect, other_defect = (model.per_seed(attrgetter("defect_mean")) for model in (own, other))
    defect = over_seeds(other_defect - own_defect, folds) if same_pairs else NOTHING
    row |= interval_fields(difference(_DEFECT), defect, study.alpha)
    pairs = both.any(axis=0)
    counts = int(both.any(axis=1).sum()), len(set(study.patients[pairs])), int(pairs.sum())
    return row | dict(zip(_COUNTS, counts, strict=True))


def _folds(own: Model, other: Model) -> Folds:
    """The folds of the study that has the fewest, of those that have several."""
    several = [folds for folds in (own.folds(), other.folds()) if len(set(folds)) > 1]
    return min(several, key=lambda folds: len(set(folds)), default=own.folds())
