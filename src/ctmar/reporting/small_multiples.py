"""What the small multiples show: every norm over its weights, every setting over its epochs, defects over angles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ctmar.config.labels import number, scientific, weight
from ctmar.evaluation.columns import defect_at, defect_floor_at
from ctmar.reporting.charts import SMALLEST_SHOWN, interval_text, with_plain_at_zero
from ctmar.reporting.facets import facets_of, facets_of_all
from ctmar.reporting.panels import Axis, Line, Panel, Panels, dots, horizontal, interval, line, specks, vertical
from ctmar.reporting.required_columns import IDENTITY, interval_columns
from ctmar.reporting.seed_points import seed_points
from ctmar.reporting.study_files import rows_of
from ctmar.store.even_choice import evenly_spaced

MAXIMUM_EPOCHS = 24  # drawn of each curve; a long training would fill the page with points
_BESIDE = 0.02  # of the width of the axis: seeds stand beside the interval
_FIRST_EPOCHS = 0.15  # share of the epochs that may run out of the picture: they would flatten all that follows


def norm_panels(
    models: pd.DataFrame, runs: pd.DataFrame, measure: str, y_title: str, *, logarithmic: bool = False
) -> Panels:
    """A measure against λ⊥, one panel for each norm; where λ_G varies, its smallest value.

    Args:
        models: rows of one network from `prepare_models`.
        runs: ``runs.csv``.
        measure: column family.
        y_title: what the vertical axis shows, with unit.
        logarithmic: logarithmic vertical axis.
    """
    columns = interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    plain, swept = table[(table["method"] == "plain") & table["standard"]], swept_settings(table)
    seeds = seed_points(runs, swept, measure)
    ticks = [(value, weight(value)) for value in _few(sorted(set(swept["lam_perp"])))]
    x = horizontal(swept["lam_perp"].tolist(), ticks, logarithmic=True)
    shown = [*pd.concat([swept, plain])[columns].to_numpy(float).ravel().tolist(), *seeds["seed_value"]]
    y = vertical(shown, logarithmic)
    dashed = [Line(line(x, y, [x.low, x.high], [value] * 2), "plain") for value in plain[columns[0]]]
    of_series = dict(tuple(seeds.groupby("series")))
    panels = [
        _norm_panel(str(series), own.sort_values("lam_perp"), of_series.get(series, seeds[:0]), dashed, (x, y, measure))
        for series, own in swept.groupby("series", sort=False)
    ]
    return Panels(x, y, "λ⊥", y_title, panels)


def _norm_panel(
    series: str, own: pd.DataFrame, seeds: pd.DataFrame, dashed: list[Line], axes: tuple[Axis, Axis, str]
) -> Panel:
    x, y, measure = axes
    mean, low, high = interval_columns(measure)
    xs, means = own["lam_perp"].tolist(), own[mean].tolist()
    bars = "".join(interval(x, y, *limits) for limits in zip(xs, own[low], own[high], strict=True))
    said = [f"λ⊥ = {weight(one)}: {text}" for one, text in zip(xs, interval_text(own, measure), strict=True)]
    beside = [value * (x.high / x.low) ** _BESIDE for value in seeds["lam_perp"]]
    title = series.partition(", ")[2]
    return Panel(
        title[:1].upper() + title[1:],
        own["colour"].iloc[0],
        [*dashed, Line(bars, "interval"), Line(line(x, y, xs, means), "mean")],
        dots(x, y, zip(xs, means, said, strict=True)),
        seeds=specks(x, y, beside, seeds["seed_value"].tolist()),
        facets=facets_of_all(own),
    )


def swept_settings(models: pd.DataFrame) -> pd.DataFrame:
    """The standard projection settings with a λ⊥, each norm and power at its smallest λ_G."""
    own = models[(models["method"] == "projection") & (models["lam_perp"] > 0) & models["standard"]]
    return own[own["lam_equi"] == own.groupby(["norm", "power"])["lam_equi"].transform("min")]


def curve_panels(
    curves: pd.DataFrame, settings: Sequence[tuple[Any, ...]], column: str, y_title: str, logarithmic: bool = False
) -> Panels:
    """A learning curve of every setting: each seed light, their mean bold, plain training dashed.

    Seeds differ by more than methods do, so that plain training is the mean over the seeds of the setting.

    Args:
        curves: rows of one network from `prepare_models`.
        settings: identities shown, in order.
        column: what is drawn.
        y_title: what the vertical axis shows, with unit.
        logarithmic: logarithmic vertical axis.
    """
    epochs = np.unique(curves["epoch"])
    shown = epochs[evenly_spaced(len(epochs), MAXIMUM_EPOCHS)]
    thin = curves[curves["epoch"].isin(shown)]
    ends = sorted({int(shown[0]), int(shown[-1])})
    x = horizontal([float(epoch) for epoch in shown], [(epoch, f"{epoch}") for epoch in ends])
    settled = thin[thin["epoch"] >= np.quantile(shown, _FIRST_EPOCHS)]
    y = vertical(settled[column].tolist(), logarithmic)
    by_setting = dict(tuple(thin.groupby(IDENTITY, sort=False)))
    shown_curves = [by_setting[setting] for setting in settings]
    drawn = [_curve_panel(own, column, x, y, _plain_curve(thin, own, column)) for own in shown_curves]
    return Panels(x, y, "epoch", y_title, drawn)


def angle_panels(models: pd.DataFrame, angles_deg: Sequence[float]) -> Panels:
    """The measured defect at every angle with what interpolation alone would show, one panel for each setting.

    Args:
        models: rows shown, from `prepare_models`.
        angles_deg: angles between quarter turns [degrees]; the defect at quarter turns stands at 90.
    """
    measures = [defect_at(angle) for angle in angles_deg]
    floors = [defect_floor_at(angle) for angle in angles_deg]
    every = models[[f"{name}_mean" for name in [*measures, *floors, "defect"]]].to_numpy(float).ravel()
    ticks = [*((angle, f"{angle:g}°") for angle in angles_deg), (90.0, "90°")]
    x = horizontal([*angles_deg, 90.0], ticks)
    y = vertical([value for value in every.tolist() if value > SMALLEST_SHOWN], logarithmic=True)
    panels = []
    for row in models.to_dict("records"):
        means = [float(row[f"{name}_mean"]) for name in measures]
        floor = [float(row[f"{name}_mean"]) for name in floors]
        places = [
            (angle, mean, f"{angle:g}°: {scientific(mean)}; interpolation alone: {scientific(least)}")
            for angle, mean, least in zip(angles_deg, means, floor, strict=True)
        ]
        quarter = float(row["defect_mean"])
        places.append((90.0, quarter, f"quarter turns: {scientific(quarter)}"))
        strokes = [
            Line(line(x, y, list(angles_deg), floor), "plain"),
            Line(line(x, y, [*angles_deg, 90.0], [*means, quarter]), "mean"),
        ]
        panels.append(Panel(row["label"], row["colour"], strokes, dots(x, y, places), facets=row["facets"]))
    return Panels(x, y, "angle of the turn", "measured defect", panels)


def _plain_curve(curves: pd.DataFrame, own: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Plain training by epoch, of the start and the seeds of a setting; of the standard start where it has no other."""
    same = (curves["method"] == "plain") & curves["seed"].isin(own["seed"])
    same_start = same & (curves["start"] == own["start"].iloc[0]) & (curves["compute"] == 1.0)
    return curves[same_start if same_start.any() else same & curves["standard"]].groupby("epoch")[column].mean()


def _curve_panel(own: pd.DataFrame, column: str, x: Axis, y: Axis, plain: "pd.Series[float]") -> Panel:
    dashed = Line(line(x, y, plain.index.tolist(), plain.tolist()), "plain")
    mean = own.groupby("epoch")[column].mean()
    seeds = [
        Line(line(x, y, seed["epoch"].tolist(), seed[column].tolist()), "seed")
        for _, seed in own.groupby("seed", sort=True)
    ]
    value = float(mean.iloc[-1])
    last = number(value) if column == "validation_psnr" else scientific(value)
    epoch = int(mean.index[-1])
    text = f"epoch {epoch}: {last}, mean of {len(seeds)}"
    own_mean = Line(line(x, y, mean.index.tolist(), mean.tolist()), "mean")
    marks = dots(x, y, [(epoch, value, text)])
    facets = facets_of({**rows_of(own)[0], "n_seeds": len(seeds)})
    label = str(own["label"].iloc[0])
    return Panel(label, own["colour"].iloc[0], [dashed, *seeds, own_mean], marks, last, facets=facets)


def _few(values: list[float], most: int = 4) -> list[float]:
    """Both ends and some of what lies between."""
    return [values[index] for index in evenly_spaced(len(values), most)]
