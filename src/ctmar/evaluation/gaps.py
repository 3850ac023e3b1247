"""What a difference between two models allows to say: better, worse, as good within a margin, or not yet decided.

"Above" and "below" are read from the two-sided interval of level 1 − alpha. "Close" is equivalence by two one-sided
tests: the interval of level 1 − 2 alpha lies within the margin. "Not worse" is one of the two.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctmar.evaluation.intervals import Estimate, Interval
from ctmar.evaluation.power import POWER, needed

_CLOSE_CALL = 0.1  # of the half-width


@dataclass(frozen=True)
class Gap:
    """A difference with the level at which it is judged.

    Args:
        estimate: the mean difference.
        alpha: one minus the level of the interval, divided by the number of comparisons of one verdict.
        margin: differences within ± this are as good as none.
        unit: of the difference; a bare number without.
    """

    estimate: Estimate
    alpha: float
    margin: float
    unit: str = "dB"

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.estimate.mean

    @property
    def interval(self) -> Interval:
        """The interval of level 1 − alpha."""
        return self.estimate.interval(self.alpha)

    @property
    def half_width(self) -> float:
        """Half the width of `interval`."""
        return self.estimate.half_width(self.alpha)

    @property
    def above(self) -> bool:
        """The interval lies above 0."""
        return self.interval.low > 0

    @property
    def below(self) -> bool:
        """The interval lies below 0."""
        return self.interval.high < 0

    @property
    def close(self) -> bool:
        """Equivalent within the margin, by two one-sided tests at level alpha."""
        inner = self.estimate.interval(2 * self.alpha)
        return inner.low > -self.margin and inner.high < self.margin

    @property
    def far(self) -> bool:
        """The interval lies outside the margin."""
        return self.interval.low > self.margin or self.interval.high < -self.margin

    @property
    def not_worse(self) -> bool:
        """Not worse than by the margin, by a one-sided test at level alpha."""
        return self.estimate.interval(2 * self.alpha).low > -self.margin

    @property
    def not_better(self) -> bool:
        """Not better than by the margin, by a one-sided test at level alpha."""
        return self.estimate.interval(2 * self.alpha).high < self.margin

    @property
    def worse(self) -> bool:
        """The interval lies below minus the margin."""
        return self.interval.high < -self.margin

    @property
    def text(self) -> str:
        """Mean and interval for reading.

        Examples:
            >>> Gap(Estimate(0.25), 0.05, 0.1).text
            '+0.25 dB (no interval)'
        """
        if math.isnan(self.mean):
            return "no seed in common"
        low, high = self.interval.low, self.interval.high
        limits = "no interval" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"
        return f"{self.mean:+.2f} dB ({limits})".replace("-", "−")

    def distance(self, thresholds: Sequence[float]) -> float:
        """Of the mean from the nearest threshold, at least the margin: smaller differences do not matter."""
        return max(abs(self.mean - self.nearest(thresholds)), self.margin)

    def nearest(self, thresholds: Sequence[float]) -> float:
        """The threshold that the mean lies nearest to."""
        return min(thresholds, key=lambda threshold: abs(self.mean - threshold))

    def is_close_call(self, thresholds: Sequence[float]) -> bool:
        """Whether a limit of the interval, two-sided or one-sided, lies a tenth of its half-width from a threshold."""
        limits = [limit for level in (1, 2) for limit in self._limits(level * self.alpha)]
        return any(abs(limit - one) < _CLOSE_CALL * self.half_width for limit in limits for one in thresholds)

    def _limits(self, alpha: float) -> tuple[float, float]:
        interval = self.estimate.interval(alpha)
        return interval.low, interval.high

    def precision(self, thresholds: Sequence[float], decided: bool) -> str:
        """The half-width now, and what would decide on which side of the thresholds the difference lies."""
        if math.isnan(self.half_width):
            return "No interval: that takes at least two seeds and two patients."
        now = f"Half-width now {self._written(self.half_width)}"
        if self.is_close_call(thresholds):
            now += " and a limit within a tenth of that from the threshold, so that rounding may turn the verdict"
        if decided:
            return f"{now}."
        known, distance = self.estimate.variances, self.distance(thresholds)
        if known is None:
            return f"{now}; what would decide it does not follow from folds that test disjoint sets of patients."
        design = needed(known, distance, self.alpha)
        if design is None:
            return f"{now}; no number of seeds and patients that could be had would decide it."
        within = f" in {known.n_folds} folds" if known.n_folds else ""
        seeds = f"about {design.n_seeds} seeds{within}" if known.n_seeds > 1 else ""
        patients = f"{design.n_patients} patients" if known.n_patients > 1 else ""
        return (
            f"{now}; would need {' with '.join(filter(None, (seeds, patients)))} for {POWER:.0%} power to decide a"
            f" difference that lies {self._written(distance)} from {f'{self.nearest(thresholds):g}'.replace('-', '−')}."
        )

    def _written(self, value: float) -> str:
        return f"{value:.2f} {self.unit}" if self.unit else f"{value:.2g}"


def precision(gaps: Mapping[str, Gap], thresholds: Sequence[float], decided: bool) -> str:
    """`Gap.precision` of the difference that is furthest from being decided, named where there are several."""
    if not gaps:
        return ""

    def lack(name: str) -> float:
        gap = gaps[name]
        room = gap.distance(thresholds)
        return gap.half_width / room if room and not math.isnan(gap.half_width) else math.inf

    name = max(gaps, key=lack)
    text = gaps[name].precision(thresholds, decided)
    return text if len(gaps) == 1 else f"Least certain, {name}: {text[0].lower()}{text[1:]}"
