"""Learning curves of runs, finished or not: a small one for the row of each, and all of a network in one picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctmar.errors import InputError
from ctmar.reporting.panels import Axis, round_ticks
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.run_folder import RunFolder

MAXIMUM_POINTS = 24  # drawn of each curve; a long training would fill the page with points
SPARK_WIDTH, SPARK_HEIGHT = 120, 36  # units of the drawing
CHART_WIDTH, CHART_HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 10, 34
_FIRST_EPOCHS = 0.15  # share of the epochs that no axis is made for: they would flatten all that follows
_AIR = 0.06  # of the range of an axis, left at both ends


@dataclass(frozen=True)
class Curve:
    """What the epochs of a run say; empty where there is none yet.

    Args:
        epochs: the epochs that are drawn, from 1.
        psnr_db: PSNR on the validation pairs after each [dB].
        loss: mean loss of the steps of each.
        n_epochs: all that there are.
        gpu_kj: energy of the GPU over all epochs, where its driver told the power at the end of each [kJ].
        images_per_second: speed of the last epoch; NaN before the first.
        shown_psnr_db: PSNR after the epoch that was kept, or the last one so far [dB]; NaN before the first.
        problem: why the epochs cannot be read, if they are there.
    """

    epochs: tuple[int, ...] = ()
    psnr_db: tuple[float, ...] = ()
    loss: tuple[float, ...] = ()
    n_epochs: int = 0
    gpu_kj: float | None = None
    images_per_second: float = math.nan
    shown_psnr_db: float = math.nan
    problem: str = ""

    @property
    def last_loss(self) -> float:
        """Where the loss stands; NaN before the first epoch."""
        return self.loss[-1] if self.loss else math.nan


def read_curve(folder: RunFolder, kept_epoch: int | None = None) -> Curve:
    """The curve of a run, as far as it has come.

    Args:
        folder: of the run.
        kept_epoch: the epoch whose weights were kept, once that is known.
    """
    if not folder.metrics.is_file():
        return Curve()
    try:
        epochs = folder.read_epochs()
    except InputError as error:
        return Curve(problem=str(error))
    shown = [epochs[index] for index in evenly_spaced(len(epochs), MAXIMUM_POINTS)]
    power = [epoch.system.get("gpu_power_w", math.nan) * epoch.seconds for epoch in epochs]
    return Curve(
        epochs=tuple(epoch.epoch for epoch in shown),
        psnr_db=tuple(epoch.validation_psnr for epoch in shown),
        loss=tuple(epoch.loss for epoch in shown),
        n_epochs=len(epochs),
        images_per_second=epochs[-1].images_per_second if epochs else math.nan,
        shown_psnr_db=epochs[kept_epoch - 1 if kept_epoch else -1].validation_psnr if epochs else math.nan,
        gpu_kj=sum(power) / 1000 if epochs and math.isfinite(sum(power)) else None,
    )


@dataclass(frozen=True)
class Scales:
    """What the small curves of one network share: the same height is the same change, each curve from its own best.

    Runs of other seeds and conditions end at other values, beside which the course of each would be a flat line.
    """

    epoch: Axis
    below_best_db: Axis
    above_best: Axis  # of the loss, in powers of ten

    @classmethod
    def of(cls, curves: Sequence[Curve], n_epochs: int) -> "Scales":
        """Scales for all curves of a network whose longest training has so many epochs."""
        epoch = Axis(1, max(n_epochs, 2), 1, SPARK_WIDTH - 1, False, [])
        below, above = ([_usual_span(change(curve)) for curve in curves] for change in (_below_best, _above_best))
        return cls(
            epoch,
            Axis(-_most(below), 0.0, SPARK_HEIGHT - 2, 2, False, []),
            Axis(0.0, _most(above), SPARK_HEIGHT - 2, 2, False, []),
        )

    def psnr_path(self, curve: Curve) -> str:
        """Path data of the small curve of the validation."""
        return path(self.epoch, self.below_best_db, curve.epochs, _below_best(curve))

    def loss_path(self, curve: Curve) -> str:
        """Path data of the small curve of the loss."""
        return path(self.epoch, self.above_best, curve.epochs, _above_best(curve))


@dataclass(frozen=True)
class Place:
    """Where the large picture has a curve: its line as path data, and its last point."""

    path: str
    x: float
    y: float


@dataclass(frozen=True)
class CurveChart:
    """Axes of the large picture of one network's validation curves, and the place of each; None of one without."""

    x: Axis
    y: Axis
    places: list[Place | None]


def curve_chart(curves: Sequence[Curve], n_epochs: int) -> CurveChart | None:
    """The validation PSNR of many runs over their epochs; None where none has an epoch that is finite.

    Args:
        curves: of the runs, in their order.
        n_epochs: of the longest training.
    """
    values = [value for curve in curves for value in _settled(curve.psnr_db)]
    if not values:
        return None
    air = _AIR * (max(values) - min(values)) or 0.5
    low, high = min(values) - air, max(values) + air
    last = max(n_epochs, 2)
    ticks = [(float(epoch), f"{epoch}") for epoch in sorted({1, round(last / 2), last})]
    x = Axis(1, last, _LEFT, CHART_WIDTH - _RIGHT, False, ticks)
    y = Axis(low, high, CHART_HEIGHT - _BOTTOM, _TOP, False, round_ticks(low, high))
    return CurveChart(x, y, [_place(curve, x, y) for curve in curves])


def path(x: Axis, y: Axis, epochs: Sequence[float], values: Sequence[float]) -> str:
    """Path data through all finite values; those beyond the axis run along its end, what is not finite is a gap.

    Examples:
        >>> axis = Axis(0, 1, 0, 10, False, [])
        >>> path(axis, axis, [0, 0.5, 1], [0.5, 7, 0])
        'M0 5L5 10L10 0'
        >>> path(axis, axis, [0, 0.5, 1], [0.5, math.nan, 0])
        'M0 5M10 0'
    """
    pieces, pen = [], "M"
    for epoch, value in zip(epochs, values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        pieces.append(f"{pen}{x.at(epoch):g} {y.at(value):g}")
        pen = "L"
    return "".join(pieces)


def _place(curve: Curve, x: Axis, y: Axis) -> Place | None:
    finite = [(epoch, value) for epoch, value in zip(curve.epochs, curve.psnr_db, strict=True) if math.isfinite(value)]
    if not finite:
        return None
    epoch, value = finite[-1]
    return Place(path(x, y, curve.epochs, curve.psnr_db), x.at(epoch), y.at(value))


def _settled(values: Sequence[float]) -> list[float]:
    """The finite values of a curve after its first epochs; of one that has no others all."""
    n_first = math.ceil(_FIRST_EPOCHS * len(values)) if len(values) > 1 else 0
    return [value for value in values[n_first:] if math.isfinite(value)]


def _below_best(curve: Curve) -> list[float]:
    """How far each PSNR lies below the best of its run [dB]."""
    best = max(filter(math.isfinite, curve.psnr_db), default=math.nan)
    return [value - best for value in curve.psnr_db]


def _above_best(curve: Curve) -> list[float]:
    """How many powers of ten each loss lies above the best of its run; NaN where it has no logarithm."""
    logarithms = [math.log10(value) if 0 < value < math.inf else math.nan for value in curve.loss]
    best = min(filter(math.isfinite, logarithms), default=math.nan)
    return [value - best for value in logarithms]


def _usual_span(changes: Sequence[float]) -> float:
    """The range of a curve after its first epochs; 0 of one that has none."""
    settled = _settled(changes)
    return max(settled) - min(settled) if settled else 0.0


def _most(spans: Sequence[float]) -> float:
    """A range that holds nine of ten curves; the others run along its end."""
    usual = float(np.quantile(spans, 0.9)) if spans else 0.0
    return (usual or max(spans, default=0.0)) * (1 + _AIR) or 1.0  # most may stand still
