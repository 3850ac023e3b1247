"""Small multiples: many little charts with one pair of axes, one series each, where one chart would be a tangle.

They are plain SVG that the template draws: a study has dozens of them, and they need no script.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctmar.config.labels import number, weight
from ctmar.reporting.marks import Mark

WIDTH, _HEIGHT = 220, 136  # units of the drawing, about pixels
LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 8, 24
_CLOSEST_TICKS = 38


@dataclass(frozen=True)
class Axis:
    """Values to units of the drawing along one direction, with the ticks that are written."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: list[tuple[float, str]]

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends, up to rounding; a missing one does not."""
        least = abs(self.high - self.low) * 1e-9
        return self.low - least <= value <= self.high + least

    def at(self, value: float) -> float:
        """Place of a value; what lies outside is drawn at the end."""
        transform: Callable[[float], float] = math.log10 if self.logarithmic else float
        if self.logarithmic:
            value = max(value, self.low)
        low, high = transform(self.low), transform(self.high)
        share = (transform(value) - low) / (high - low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


@dataclass(frozen=True)
class Line:
    """A line of a panel as SVG path data; ``role`` names its style: mean, seed, plain or interval.

    A colour of its own tells it from the other lines of a panel that holds several series.
    """

    path: str
    role: str
    colour: str = ""


@dataclass(frozen=True)
class Dot:
    """A point with what a pointer resting on it reads; one ``beyond`` the axis stands at its end and is hollow.

    In a panel that holds several series it has the mark of its own.
    """

    x: float
    y: float
    text: str
    beyond: bool = False
    mark: Mark | None = None


@dataclass(frozen=True)
class Panel:
    """One little chart; ``seeds`` are the points of single seeds, ``facets`` what the filter of the page asks."""

    title: str
    colour: str
    strokes: list[Line]
    dots: list[Dot]
    note: str = ""
    seeds: str = ""
    facets: str = ""


@dataclass(frozen=True)
class Panels:
    """Little charts that share their axes."""

    x: Axis
    y: Axis
    x_title: str
    y_title: str
    panels: list[Panel]

    @property
    def any_beyond(self) -> bool:
        """Whether a point lies beyond the axis."""
        return any(dot.beyond for panel in self.panels for dot in panel.dots)


def horizontal(values: Sequence[float], ticks: Sequence[tuple[float, str]], logarithmic: bool = False) -> Axis:
    """A horizontal axis that holds ``values`` and writes ``ticks``, both ends and of the others those with room."""
    low, high = _ends(values, logarithmic)
    axis = Axis(low, high, LEFT, WIDTH - _RIGHT, logarithmic, [])
    shown: list[tuple[float, str]] = []
    for tick in [*ticks[:1], *ticks[:0:-1]]:
        if all(abs(axis.at(tick[0]) - axis.at(other)) >= _CLOSEST_TICKS for other, _ in shown):
            shown.append(tick)
    return replace(axis, ticks=sorted(shown))


def vertical(values: Sequence[float], logarithmic: bool = False) -> Axis:
    """A vertical axis that holds ``values``, with a few round ticks."""
    low, high = _ends(values, logarithmic)
    ticks = log_ticks(low, high) if logarithmic else round_ticks(low, high)
    return Axis(low, high, _HEIGHT - _BOTTOM, _TOP, logarithmic, ticks)


def round_ticks(low: float, high: float, most: int = 4) -> list[tuple[float, str]]:
    """Round numbers between two values, at most ``most``.

    Examples:
        >>> round_ticks(36.2, 38.9)
        [(37.0, '37'), (38.0, '38')]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if (high - low) / (factor * power) < most)
    digits = max(-math.floor(math.log10(step) + 1e-9), 0)
    first = math.ceil(low / step)
    values = [k * step for k in range(first, math.floor(high / step) + 1)]
    return [(value, number(value, digits)) for value in values]


def log_ticks(low: float, high: float, most: int = 4) -> list[tuple[float, str]]:
    """Powers of ten between two values, thinned to at most ``most``.

    Examples:
        >>> log_ticks(2e-6, 0.9)
        [(1e-05, '10⁻⁵'), (0.001, '10⁻³'), (0.1, '10⁻¹')]
    """
    powers = list(range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1))
    step = math.ceil(len(powers) / most)
    chosen = powers[:: step or 1]
    if len(chosen) < 2:
        return [(value, f"{value:.2g}") for value in (low, high)]
    return [(10.0**power, weight(10.0**power)) for power in chosen]


def line(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Path data of a line; values that are missing or beyond the axes break it.

    Examples:
        >>> axis = Axis(0, 1, 0, 10, False, [])
        >>> line(axis, axis, [0, 0.5, 1], [0, 1, 0])
        'M0 0L5 10L10 0'
        >>> line(axis, axis, [0, 0.5, 1], [0, 1, -7])
        'M0 0L5 10'
    """
    parts, pen = [], "M"
    for one, other in zip(xs, ys, strict=True):
        if not (x.holds(one) and y.holds(other)):
            pen = "M"
            continue
        parts.append(f"{pen}{x.at(one):g} {y.at(other):g}")
        pen = "L"
    return "".join(parts)


def dots(x: Axis, y: Axis, places: Iterable[tuple[float, float, str]]) -> list[Dot]:
    """Points with what they say; a value that is missing has none.

    Examples:
        >>> axis = Axis(0, 1, 0, 10, False, [])
        >>> dots(axis, axis, [(0, 0.5, "a"), (1, math.nan, "b"), (1, 7, "c")])
        [Dot(x=0.0, y=5.0, text='a', beyond=False, mark=None), Dot(x=10.0, y=10.0, text='c', beyond=True, mark=None)]
    """
    return [
        Dot(x.at(one), y.at(other), text, beyond=not y.holds(other))
        for one, other, text in places
        if math.isfinite(one) and math.isfinite(other)
    ]


def interval(x: Axis, y: Axis, place: float, low: float, high: float) -> str:
    """Path data of an upright interval; what reaches beyond the axis ends there, and without limits there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return line(x, y, [place, place], [max(low, y.low), min(high, y.high)])


def specks(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Path data of small points, strokes without length under round caps; what lies beyond the axes is left out.

    Examples:
        >>> axis = Axis(0, 1, 0, 10, False, [])
        >>> specks(axis, axis, [0.1, 0.5], [0.2, 7])
        'M1 2h0'
    """
    inside = [(one, other) for one, other in zip(xs, ys, strict=True) if x.holds(one) and y.holds(other)]
    return "".join(f"M{x.at(one):g} {y.at(other):g}h0" for one, other in inside)


def _ends(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    """The range of the axis; in linear ones with a little air at both ends."""
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) | (not logarithmic))]
    if not len(numbers):
        return (0.1, 10.0) if logarithmic else (0.0, 1.0)
    low, high = float(numbers.min()), float(numbers.max())
    if logarithmic:
        return low / 1.6, high * 1.6
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air
