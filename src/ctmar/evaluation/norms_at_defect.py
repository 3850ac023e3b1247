"""Norms compared where they broke the symmetry alike: quality at a common measured defect.

The weights of two norms are not on one scale, so that each at its own weight compares weights, not norms. A norm's
curve is quality against measured defect, from the plain model (weight 0, which all norms share) to its largest weight.
Common defects are shares of the plain model's. Seed by seed the curve is interpolated, linearly in the logarithm of the
defect between the two weights around it, pair by pair of the test set; then norms are compared paired. Nothing is
extrapolated: a norm that does not reach a defect with every seed has no value there.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config.labels import norm_label
from ctmar.evaluation.columns import FROBENIUS_DIFFERENCE
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.groups import interval_fields
from ctmar.evaluation.intervals import NOTHING, Estimate
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.verdicts import SMALLEST_DEFECT, candidates, of_network

SHARES = (0.5, 0.25, 0.125)  # of the plain model's measured defect
REFERENCE = "frobenius"
REFERENCE_CURVE = norm_label(REFERENCE)
_METRIC = "psnr_db"


@dataclass(frozen=True)
class Curve:
    """The models of one norm and power at λ_G = 0, the plain model first, in the order of their weights."""

    norm: str
    power: int
    models: Sequence[Model]

    @property
    def name(self) -> str:
        """Norm, and whether it is squared."""
        return norm_label(self.norm) + ", squared" * (self.power == 2)

    def seeds(self) -> list[int]:
        """Seeds that all its models have."""
        return [seed for seed in self.models[0].seeds() if all(seed in model.seeds() for model in self.models)]

    def at(self, defect: float, seed: int) -> NDArray[np.float64] | None:
        """PSNR of every pair at a measured defect; None where no two weights of this seed have it between them."""
        runs = [model.of_seeds([seed]).runs[0] for model in self.models]
        logs = [math.log(max(run.measurements.defect_mean, SMALLEST_DEFECT)) for run in runs]
        wanted = math.log(defect)
        for k, (first, second) in enumerate(pairwise(logs)):
            if min(first, second) <= wanted <= max(first, second) and first != second:
                share = (wanted - first) / (second - first)
                return (1 - share) * runs[k].metrics[_METRIC] + share * runs[k + 1].metrics[_METRIC]
        return None


def curves(study: MeasuredStudy) -> dict[str, Curve]:
    """The curve of every norm of the projection penalty with a weight, by its name; the study has one network."""
    plain = candidates(study, "plain")
    own = [model for model in candidates(study, "projection", lam_equi=0.0) if model.lam_perp > 0]
    series: dict[tuple[str, int], list[Model]] = {}
    for model in sorted(own, key=lambda model: model.lam_perp):
        series.setdefault((model.norm, model.run.power), []).append(model)
    found = [Curve(norm, power, [*plain[:1], *models]) for (norm, power), models in series.items()]
    return {curve.name: curve for curve in found}


def common_defects(study: MeasuredStudy) -> dict[float, float]:
    """The defects at which norms are compared, by their share of the plain model's mean over seeds."""
    plain = candidates(study, "plain")
    if not plain:
        return {}
    of_plain = float(np.mean([run.measurements.defect_mean for run in plain[0].runs]))
    return {share: share * of_plain for share in SHARES} if of_plain > 0 else {}


def difference_at(study: MeasuredStudy, curve: Curve, other: Curve | None, defect: float) -> Estimate:
    """Mean PSNR of a curve at a defect, less that of another; `NOTHING` where a common seed does not reach it."""
    seeds = [seed for seed in curve.seeds() if other is None or seed in other.seeds()]
    values = [curve.at(defect, seed) for seed in seeds]
    theirs = [np.zeros(len(study.pairs)) if other is None else other.at(defect, seed) for seed in seeds]
    known = [own - their for own, their in zip(values, theirs, strict=True) if own is not None and their is not None]
    if not seeds or len(known) < len(seeds):
        return NOTHING
    return study.estimate(np.stack(known), curve.models[0].of_seeds(seeds).folds())


def deepest(study: MeasuredStudy, curve: Curve, other: Curve) -> tuple[float, Estimate]:
    """The smallest share of the plain defect that both reach, and the difference there; NaN where there is none."""
    for share, defect in reversed(common_defects(study).items()):
        found = difference_at(study, curve, other, defect)
        if found is not NOTHING:
            return share, found
    return math.nan, NOTHING


def norm_rows(study: MeasuredStudy) -> Iterator[dict[str, Any]]:
    """Rows with the columns of `norm_columns`: every norm of every network at every common defect."""
    for network in dict.fromkeys(model.network for model in study.models):
        own = of_network(study, network)
        every = curves(own)
        for curve, (share, defect) in ((c, d) for c in every.values() for d in common_defects(own).items()):
            yield {
                "network": network,
                "norm": curve.norm,
                "power": curve.power,
                "share": share,
                "defect": defect,
            } | _row(own, curve, every, defect)


def _row(study: MeasuredStudy, curve: Curve, every: Mapping[str, Curve], defect: float) -> dict[str, Any]:
    alone = difference_at(study, curve, None, defect)
    other = every.get(REFERENCE_CURVE)
    gap = NOTHING if other is None or other is curve else difference_at(study, curve, other, defect)
    counts = {"n_weights": len(curve.models) - 1, "n_seeds": len(curve.seeds()), "reached": alone is not NOTHING}
    return (
        interval_fields(_METRIC, alone, study.alpha) | interval_fields(FROBENIUS_DIFFERENCE, gap, study.alpha) | counts
    )
