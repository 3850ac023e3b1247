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
    """Whether a design decides, with probability `POWER`, a true mean that lies ``distance`` from the threshold."""
    return decided_distance(variances, design, alpha) <= distance


def decided_distance(variances: Variances, design: Design, alpha: float) -> float:
    """How far from a threshold a true mean has to lie to be decided with probability `POWER`.

    Half the expected interval of level 1 − alpha and `POWER` quantiles of the mean's standard error.
    """
    parts, error = _expected(variances, design)
    return half_width(parts, alpha) + NormalDist().inv_cdf(POWER) * error


def expected_half_width(variances: Variances, design: Design, alpha: float) -> float:
    """Half the interval of level 1 − alpha that a design would have; NaN where it has none."""
    return half_width(_expected(variances, design)[0], alpha)


def _expected(variances: Variances, design: Design) -> tuple[tuple[tuple[float, int], ...], float]:
    """Expected parts of the interval, and the standard error of the mean."""
    p, s = design.n_patients, design.n_seeds
    rest = variances.rest / (p * s)
    n_folds = min(s, variances.n_folds or s)
    patients, seeds = variances.patient / p, variances.seed / s + variances.fold / n_folds
    parts = []
    if variances.n_patients > 1:
        parts.append((patients + rest, p - 1))
    if variances.n_seeds > 1:
        parts.append((seeds + rest, n_folds - 1))
    return tuple(parts), math.sqrt(patients + seeds + rest)


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
