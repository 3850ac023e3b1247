"""Medians of independent rounds, and intervals for them that ask nothing of the law of the rounds.

The k-th smallest and the k-th largest of n rounds enclose a number below and above which a round lies with equal
chance with probability 1 − 2 P(B < k), where B counts heads of n fair coins (the sign test turned round). Rounds need
be neither alike nor normal, only independent of each other.

References:
    David & Nagaraja, Order Statistics, 3rd edition 2003, section 7.1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from ctmar.evaluation.power import POWER

CONFIDENCE = 0.95  # that an interval has at least
FEWEST_ROUNDS = 6  # with which the smallest and the largest enclose the median that surely
_MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class MedianInterval:
    """A median, the limits of its interval, and the probability with which they hold it."""

    middle: float
    low: float
    high: float
    coverage: float


def median_interval(values: Sequence[float]) -> MedianInterval:
    """The narrowest interval from the k-th smallest to the k-th largest that has `CONFIDENCE`.

    Raises:
        ValueError: fewer than `FEWEST_ROUNDS` values.

    Examples:
        >>> median_interval([1, 2, 3, 4, 5, 60])
        MedianInterval(middle=3.5, low=1, high=60, coverage=0.96875)
        >>> median_interval([1, 2, 3, 4, 5, 6, 7, 8, 90])
        MedianInterval(middle=5, low=2, high=8, coverage=0.9609375)
    """
    if len(values) < FEWEST_ROUNDS:
        raise ValueError(f"expected {FEWEST_ROUNDS} rounds or more, found {len(values)}")
    ordered, k = sorted(values), 1
    while coverage_of(len(values), k + 1) >= CONFIDENCE:
        k += 1
    return MedianInterval(median(ordered), ordered[k - 1], ordered[-k], coverage_of(len(values), k))


def coverage_of(n_rounds: int, k: int) -> float:
    """The probability that the k-th smallest and the k-th largest of so many rounds enclose the median.

    Examples:
        >>> coverage_of(3, 1), coverage_of(6, 1)
        (0.75, 0.96875)
    """
    return 1 - 2 * sum(math.comb(n_rounds, heads) for heads in range(k)) / 2**n_rounds


def rounds_to_decide(interval: MedianInterval, n_rounds: int, threshold: float) -> int | None:
    """With how many rounds the interval would lie beside the threshold with probability `POWER`; None: too many.

    From the half-width of an interval of ``n_rounds``, which falls with the square root of their number, as if medians
    were normal; the true median is taken to be the one that was found.
    """
    distance, normal = abs(interval.middle - threshold), NormalDist()
    quantile = normal.inv_cdf((1 + interval.coverage) / 2)
    deviation = (interval.high - interval.low) / 2 / quantile
    if distance == 0:
        return None
    needed = n_rounds * (deviation * (normal.inv_cdf((1 + CONFIDENCE) / 2) + normal.inv_cdf(POWER)) / distance) ** 2
    return math.ceil(needed) if needed <= _MOST_ROUNDS else None
