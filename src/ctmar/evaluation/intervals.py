r"""Intervals and p-values of a mean over the patients and the seeds of a study, both taken as random draws.

Every seed is tested on every patient, so a value is that of a patient p and a seed s,
:math:`y_{ps} = μ + a_p + b_s + e_{ps}`, with independent normal effects of the patient, of the seed and of both
together. Pairs and slices of a patient are averaged first: a patient counts once, whatever its number of slices.

With P patients, S seeds and the mean squares :math:`M_a = S \sum_p (\bar y_p - \bar y)^2 / (P - 1)` and
:math:`M_b = P \sum_s (\bar y_s - \bar y)^2 / (S - 1)` the interval is

.. math:: \bar y ± \sqrt{(t_{P-1}^2 M_a + t_{S-1}^2 M_b) / (P S)}

with the t quantiles of the two degrees of freedom. It holds μ with at least its nominal probability, whatever the three
variances are. For the variance of :math:`\bar y` is at most :math:`(E M_a + E M_b) / (P S)`; the three estimates
are independent; and :math:`x \mapsto P(χ^2_1 \le x)` is concave, so that its value at a weighted mean of
:math:`t_ν^2 χ^2_ν / ν` is at least the weighted mean of its values, each of which is the confidence in the mean
(Banerjee 1960). Where only one source varies it is the exact t interval of that source. Degrees of freedom after
Satterthwaite give shorter intervals, whose simulated coverage falls to 0.927 with 10 patients and 3 seeds. With
effects as skewed as the exponential law, the simulated coverage of this one falls to 0.92.

References:
    Banerjee, Approximate confidence interval for linear functions of means of k populations when the population
    variances are not equal, Sankhyā 22, 1960. Searle, Casella & McCulloch, Variance Components, 1992, section 4.7.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ctmar.errors import InputError

_SMALLEST_P = 1e-100
_BISECTIONS = 60  # halvings of the logarithm of a p-value between that and 1
# Smallest and largest simulated coverage at 95 %, over the designs and the variances of test_intervals.py
SIMULATED_COVERAGE = (0.95, 0.99)


@dataclass(frozen=True)
class Interval:
    """A mean and the limits of its interval; without limits (NaN) where nothing is known of the spread."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Variances:
    """Estimated variances of the effects of a patient, of a seed, and of both together, and how many were seen.

    A mean over seeds alone has one patient without variance, a mean over patients alone one seed.
    """

    patient: float
    seed: float
    rest: float
    n_patients: int
    n_seeds: int


@dataclass(frozen=True)
class Estimate:
    """A mean and what its interval follows from.

    Args:
        mean: estimate of μ.
        parts: for every source of variation its mean square over the number of values, and its degrees of freedom.
        variances: from which the precision of other designs follows; None where they cannot be estimated.
    """

    mean: float
    parts: tuple[tuple[float, int], ...] = ()
    variances: Variances | None = None

    def half_width(self, alpha: float) -> float:
        """Half the width of the interval of level 1 − alpha; NaN where a source of variation was seen once."""
        return half_width(self.parts, alpha)

    def interval(self, alpha: float) -> Interval:
        """The two-sided interval of level 1 − alpha."""
        half = self.half_width(alpha)
        return Interval(self.mean, self.mean - half, self.mean + half)

    def p_value(self) -> float:
        """Two-sided p-value of μ = 0: the alpha at which the interval touches 0; NaN without interval."""
        if math.isnan(self.half_width(0.5)):
            return math.nan
        low, high = math.log(_SMALLEST_P), 0.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            reaches_zero = self.half_width(math.exp(middle)) >= abs(self.mean)
            low, high = (middle, high) if reaches_zero else (low, middle)
        return math.exp(high)


NOTHING = Estimate(math.nan)


def half_width(parts: tuple[tuple[float, int], ...], alpha: float) -> float:
    """``sqrt(Σ t² m)`` over mean squares m with their degrees of freedom, t the quantile of 1 − alpha / 2."""
    if not parts or any(degrees < 1 for _, degrees in parts):
        return math.nan
    return math.hypot(*(t_quantile(degrees, alpha / 2) * math.sqrt(square) for square, degrees in parts))


@lru_cache(maxsize=4096)
def t_quantile(degrees: int, tail: float) -> float:
    """The value that a t variable exceeds with probability ``tail``."""
    return -float(stdtrit(degrees, tail))


def over_patients_and_seeds(table: NDArray[np.float64]) -> Estimate:
    """Mean of one value per patient and seed, shape (n_patients, n_seeds).

    Raises:
        InputError: no value, or not a table.
    """
    table = np.asarray(table, np.float64)
    if table.ndim != 2 or table.size == 0:
        raise InputError(f"interval: expected values (n_patients, n_seeds), found {table.shape}")
    n_patients, n_seeds = table.shape
    mean = float(table.mean())
    if min(table.shape) < 2:
        return Estimate(mean, ((math.nan, n_patients - 1), (math.nan, n_seeds - 1)))
    of_patient, of_seed = (table.mean(axis=axis, keepdims=True) - mean for axis in (1, 0))
    patients = n_seeds * float((of_patient**2).sum()) / (n_patients - 1)
    seeds = n_patients * float((of_seed**2).sum()) / (n_seeds - 1)
    rest = float(((table - mean - of_patient - of_seed) ** 2).sum()) / ((n_patients - 1) * (n_seeds - 1))
    variances = Variances(
        max(0.0, (patients - rest) / n_seeds), max(0.0, (seeds - rest) / n_patients), rest, n_patients, n_seeds
    )
    return Estimate(mean, ((patients / table.size, n_patients - 1), (seeds / table.size, n_seeds - 1)), variances)


def over_seeds(values: NDArray[np.float64]) -> Estimate:
    """Mean of one value per seed."""
    mean, variance = _moments(values)
    known = Variances(0.0, variance, 0.0, 1, len(values)) if len(values) > 1 else None
    return Estimate(mean, ((variance / len(values), len(values) - 1),), known)


def over_patients(values: NDArray[np.float64]) -> Estimate:
    """Mean of one value per patient, of what no seed changes."""
    mean, variance = _moments(values)
    known = Variances(variance, 0.0, 0.0, len(values), 1) if len(values) > 1 else None
    return Estimate(mean, ((variance / len(values), len(values) - 1),), known)


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    if len(values) == 0:
        raise InputError("interval: expected at least one value, found none")
    return float(np.mean(values)), float(np.var(values, ddof=1)) if len(values) > 1 else math.nan


def patient_means(values: NDArray[np.float64], patients: NDArray[np.str_]) -> NDArray[np.float64]:
    """Mean over the pairs of each patient.

    Args:
        values: one value per seed and pair, shape (n_seeds, n_pairs).
        patients: patient of each pair, shape (n_pairs).

    Returns:
        Shape (n_patients, n_seeds).

    Examples:
        >>> patient_means(np.array([[1.0, 3.0, 5.0]]), np.array(["a", "a", "b"])).tolist()
        [[2.0], [5.0]]
    """
    names, patient = np.unique(patients, return_inverse=True)
    sums = np.stack([np.bincount(patient, weights=row, minlength=len(names)) for row in values], axis=1)
    means: NDArray[np.float64] = sums / np.bincount(patient)[:, None]
    return means
