"""How many seeds, or patients, would decide a comparison: from the variances that this study estimates."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from ctmar.evaluation.intervals import Variances, half_width

POWER = 0.8  # chance that a comparison of the named size is decided
MOST_SEEDS = 100  # more seeds than this nobody trains; then patients are what is missing
_MOST_PATIENTS = 1000


@dataclass(frozen=True)
class Design:
    """Numbers of patients and seeds."""

    n_patients: int
    n_seeds: int


def decides(variances: Variances, design: Design, distance: float, alpha: float) -> bool:
    """Whether a design decides, with probability `POWER`, a true mean that lies ``distance`` from the threshold.

    Half the expected interval of level 1 − alpha and `POWER` quantiles of the mean's standard error must fit in it.
    """
    p, s = design.n_patients, design.n_seeds
    patients, seeds = variances.rest + s * variances.patient, variances.rest + p * variances.seed
    parts = []
    if variances.n_patients > 1:
        parts.append((patients / (p * s), p - 1))
    if variances.n_seeds > 1:
        parts.append((seeds / (p * s), s - 1))
    error = math.sqrt(variances.patient / p + variances.seed / s + variances.rest / (p * s))
    return half_width(tuple(parts), alpha) + NormalDist().inv_cdf(POWER) * error <= distance


def needed(variances: Variances, distance: float, alpha: float) -> Design | None:
    """The fewest seeds with the patients as they are; where `MOST_SEEDS` do not do, the fewest patients as well.

    Args:
        variances: estimated from this study.
        distance: of the true mean from the nearest threshold of the verdict.
        alpha: one minus the level of the interval.
    """
    if distance <= 0:
        return None
    most = MOST_SEEDS if variances.n_seeds > 1 else 1
    for p in range(variances.n_patients, _MOST_PATIENTS if variances.n_patients > 1 else 2):
        if decides(variances, Design(p, most), distance, alpha):
            found = range(min(2, most), most + 1)
            return next(Design(p, s) for s in found if decides(variances, Design(p, s), distance, alpha))
    return None
