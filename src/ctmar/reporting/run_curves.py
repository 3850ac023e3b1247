"""Learning curves of runs, finished or not: a small one for the row of each, and all of a network in one picture."""

import math
from collections.abc import Iterable, Sequence
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
    """What the small curves of one network share, so that rows can be compared by eye."""

    epoch: Axis
    psnr_db: Axis
    loss: Axis

    @classmethod
    def of(cls, curves: Sequence[Curve], n_epochs: int) -> "Scales":
        """Scales for all curves of a network whose longest training has so many epochs."""
        epoch = Axis(1, max(n_epochs, 2), 1, SPARK_WIDTH - 1, False, [])
        psnr_db, loss = ((value for curve in curves for value in _settled(curve, name)) for name in ("psnr_db", "loss"))
        return cls(epoch, _small_axis(psnr_db, False), _small_axis(loss, True))

    def psnr_path(self, curve: Curve) -> str:
        """Path data of the small curve of the validation."""
        return path(self.epoch, self.psnr_db, curve.epochs, curve.psnr_db)

    def loss_path(self, curve: Curve) -> str:
        """Path data of the small curve of the loss."""
        return path(self.epoch, self.loss, curve.epochs, curve.loss)


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
    values = [value for curve in curves for value in _settled(curve, "psnr_db")]
    if not values:
        return None
    low, high = _range(values, False)
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


def _settled(curve: Curve, name: str) -> Iterable[float]:
    """The values of a curve after its first epochs; of one that has no others all."""
    values = getattr(curve, name)
    first = np.quantile(curve.epochs, _FIRST_EPOCHS) if curve.epochs else 0
    return [
        value for epoch, value in zip(curve.epochs, values, strict=True) if epoch >= first and math.isfinite(value)
    ]


def _small_axis(values: Iterable[float], logarithmic: bool) -> Axis:
    low, high = _range(list(values), logarithmic)
    return Axis(low, high, SPARK_HEIGHT - 2, 2, logarithmic, [])


def _range(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    usable = [value for value in values if value > 0 or not logarithmic] or [1.0]
    low, high = min(usable), max(usable)
    if logarithmic:
        return low / 1.1, high * 1.1
    air = _AIR * (high - low) or 0.5
    return low - air, high + air
