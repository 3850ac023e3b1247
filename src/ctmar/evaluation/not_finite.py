"""Numbers of the runs that are infinite or missing where there should be one: counted, so that no mean hides them."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ctmar.evaluation.columns import CONDITION, IDENTITY, MEASURES_OF_A_RUN
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.run_results import RunResult

Row = dict[str, Any]
_REGIONS = ("_soft_", "_bone_", "_near_metal_")  # NaN where an image has no pixel of the region
_WITHOUT = {"non_equivariance_of_start"}  # NaN for an equivariant start


def not_finite_rows(study: MeasuredStudy) -> Iterator[Row]:
    """One row for each run, under whatever condition, and each of its measures with a number that is not finite.

    An empty number of a region without pixels is none of them.
    """
    for under in study.conditions.values():
        for run in (run for model in under.models for run in model.runs):
            settings = {name: getattr(run.run, name) for name in (*IDENTITY, *CONDITION, "seed")}
            for measure, n_not_finite, n_values in _counted(run):
                if n_not_finite:
                    yield settings | {"measure": measure, "n_not_finite": n_not_finite, "n_values": n_values}


def _counted(run: RunResult) -> Iterator[tuple[str, int, int]]:
    """Every measure of a run: how many of its numbers are not finite, and of how many."""
    for name, values in run.metrics.items():
        own = values[run.tested]
        allowed = np.isnan(own) if any(region in name for region in _REGIONS) else np.zeros(own.shape, bool)
        yield name, int(np.sum(~np.isfinite(own) & ~allowed)), own.size
    single = {name: getattr(run.measurements, name) for name in MEASURES_OF_A_RUN if name not in _WITHOUT}
    for name, value in (single | {"validation_psnr": run.validation_psnr}).items():
        yield name, int(not math.isfinite(value)), 1
