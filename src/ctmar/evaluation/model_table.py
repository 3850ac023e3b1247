"""One row for each model: intervals of all it was measured by, and its comparison with the plain model."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ctmar.evaluation.columns import (
    IDENTITY,
    QUARTER_TURNS_DEG,
    defect_at,
    defect_floor_at,
    difference,
    psnr_turned,
)
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.detectability_columns import detectability_fields
from ctmar.evaluation.groups import interval_fields
from ctmar.evaluation.intervals import NOTHING, over_seeds
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.run_results import Identity
from ctmar.evaluation.significance import holm
from ctmar.store.run_records import Measurements

Row = dict[str, Any]
_OF_WEIGHTS = ("relative_non_equivariance", "non_equivariance_growth", "non_equivariance_of_start")


def model_row(study: MeasuredStudy, model: Model) -> Row:
    """One model over its seeds: intervals of every measure and the paired differences to the plain model."""
    plain = study.plain_of(model)
    row = dict(zip(IDENTITY, model.identity, strict=True))
    for metric in study.metrics:
        row |= interval_fields(metric, study.mean_of(model, metric), study.alpha)
        gap = NOTHING if plain is None or plain is model else study.difference(model, plain, metric)
        row |= interval_fields(difference(metric), gap, study.alpha)
    for column, measure in _measures_per_seed(study.angles_deg).items():
        row |= interval_fields(column, over_seeds(model.per_seed(measure), model.folds()), study.alpha)
    row |= detectability_fields(study, model, plain)
    tested = model.tested.any(axis=0)
    return row | {
        "seconds_per_step": float(np.median([run.description.seconds_per_step_median for run in model.runs])),
        "peak_memory_mb": float(np.max([run.description.peak_memory_mb for run in model.runs])),
        "seconds_per_image": float(np.median(model.per_seed(attrgetter("seconds_per_image")))),
        "prediction_peak_memory_mb": float(np.max(model.per_seed(attrgetter("peak_memory_mb")))),
        "n_parameters": model.runs[0].description.n_parameters,
        "n_seeds": len(model.runs),
        "n_diverged": study.n_diverged(model),
        "n_pairs": int(tested.sum()),
        "n_patients": len(set(study.patients[tested])),
        "n_slices": len(set(study.column("slice_id")[tested])),
    }


def _measures_per_seed(angles_deg: Sequence[float]) -> dict[str, Callable[[Measurements], float]]:
    """Columns of numbers that are one for each run, and how they are found in its measurements."""
    found: dict[str, Callable[[Measurements], float]] = {
        **{name: attrgetter(name) for name in _OF_WEIGHTS},
        "defect": attrgetter("defect_mean"),
        "defect_of_correction": attrgetter("defect_of_correction_mean"),
    }
    for angle in angles_deg:
        found[defect_at(angle)] = _in_table("defect_at_angles", f"{angle:g}")
        found[defect_floor_at(angle)] = _in_table("defect_floor_at_angles", f"{angle:g}")
    for turn in QUARTER_TURNS_DEG:
        found[psnr_turned(turn)] = _in_table("psnr_turned_db", str(turn))
    return found


def _in_table(name: str, key: str) -> Callable[[Measurements], float]:
    return lambda measured: float(getattr(measured, name)[key])


def tests_against_plain(study: MeasuredStudy) -> dict[Identity, Row]:
    """P-values of the PSNR difference to the plain model, those of its intervals, raw and after Holm.

    Holm's family are all models of one network but the plain one.
    """
    found: dict[Identity, Row] = {}
    for model in study.models:
        plain = study.plain_of(model)
        gap = NOTHING if plain is None or plain is model else study.difference(model, plain, "psnr_db")
        found[model.identity] = {"p_value": gap.p_value()}
    for network in {model.network for model in study.models}:
        own = [row for identity, row in found.items() if identity[0] == network]
        for row, corrected in zip(own, holm(np.array([row["p_value"] for row in own])), strict=True):
            row["p_value_holm"] = float(corrected)
    return found
