"""Tables to Vega-Lite specifications, pure functions; the page draws them all with one inlined bundle.

Axes, rules and text take ``currentColor``, so one specification serves the light and the dark page. Legends are HTML
and shared between charts (see ``legend`` in the templates), hence ``scale=None``: a row carries its own mark.
"""

from typing import Any, Literal

import altair as alt
import pandas as pd

from ctmar.reporting.axes import lam_perp_axis, lam_perp_scale, side_by_side, value_axis, value_scale
from ctmar.reporting.labels import MISSING, Mark, model_label, number, scientific, series_label
from ctmar.reporting.results import interval_columns, rows_of

Spec = dict[str, Any]
CHART_HEIGHT = 210
DIFFERENCES = ("psnr_diff_db",)  # of a model to plain, so plain itself lies at zero
SMALLEST_SHOWN = 1e-9  # a strictly equivariant model has defect 0, which a logarithmic axis cannot show
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",  # Vega measures text with it, so it must be a real font
    "view": {"stroke": None},
    "axis": {
        "domainColor": "currentColor",
        "domainOpacity": 0.4,
        "gridColor": "currentColor",
        "gridOpacity": 0.1,
        "labelColor": "currentColor",
        "labelFontSize": 11,
        "tickColor": "currentColor",
        "tickOpacity": 0.4,
        "titleColor": "currentColor",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "aria": True,
}


def prepare_models(models: pd.DataFrame, marks: dict[str, Mark]) -> pd.DataFrame:
    """Add the label, series, colour and shape of each row of ``models.csv``."""
    table = models.copy()
    rows = rows_of(table)
    table["series"] = [series_label(row["method"], row["norm"], row["lam_equi"]) for row in rows]
    table["label"] = [model_label(row["method"], row["norm"], row["lam_perp"], row["lam_equi"]) for row in rows]
    table["colour"] = [marks[series].colour for series in table["series"]]
    table["shape"] = [marks[series].shape for series in table["series"]]
    return table


def response_chart(models: pd.DataFrame, measure: str, title: str, logarithmic: bool = False) -> Spec:
    """A measure against λ⊥, one line for each norm, with intervals; the plain model (λ⊥ = 0) is the dashed rule.

    Args:
        models: rows of one network from `prepare_models`.
        measure: column family, such as ``psnr_db``.
        title: title of the vertical axis, with unit.
        logarithmic: logarithmic vertical axis.
    """
    columns = interval_columns(measure)
    points = side_by_side(models[(models["method"] == "projection") & (models["lam_perp"] > 0)])
    plain = models[models["method"] == "plain"]
    if measure in DIFFERENCES:
        plain = plain.assign(**dict.fromkeys(columns, 0.0))
    shown = pd.concat([points, plain])[columns]
    y_scale = value_scale(shown, logarithmic)
    x = alt.X("shown_lam_perp:Q", title="λ⊥", scale=lam_perp_scale(points), axis=lam_perp_axis(points))
    y = alt.Y(f"{columns[0]}:Q", title=title, scale=y_scale, axis=value_axis(y_scale))
    series = _clean(points, ["series", "label", "colour", "shape", "shown_lam_perp", "lam_perp", *columns])
    series["tooltip"] = _interval_text(points, measure)
    tooltip = [alt.Tooltip("label:N", title="model"), alt.Tooltip("tooltip:N", title=title)]
    base = alt.Chart(series).encode(x=x, color=alt.Color("colour:N", scale=None))
    return _finish(
        alt.layer(
            *_plain_layers(plain, columns, y_scale, title),
            base.mark_line(strokeWidth=1.5, opacity=0.7).encode(y=y, detail="series:N", order="lam_perp:Q"),
            base.mark_rule(strokeWidth=1.25, opacity=0.7).encode(
                y=alt.Y(f"{columns[1]}:Q", title=title, scale=y_scale), y2=f"{columns[2]}:Q"
            ),
            _points(base, y, tooltip),
        ),
        f"{title} against the weight λ⊥ of the penalty, one line per norm, with intervals.",
    )


def trade_off_chart(models: pd.DataFrame, measure: str, title: str) -> Spec:
    """A measure of quality against the measured defect: every model of one network, with both intervals."""
    x_columns, y_columns = interval_columns("defect"), interval_columns(measure)
    table = _clean(models, ["method", "label", "colour", "shape", *x_columns, *y_columns])
    if measure in DIFFERENCES:
        table.loc[table["method"] == "plain", y_columns] = 0.0
    table[x_columns] = table[x_columns].clip(lower=SMALLEST_SHOWN)
    table["tooltip_x"], table["tooltip_y"] = _interval_text(models, "defect"), _interval_text(table, measure)
    x_scale, y_scale = value_scale(table[x_columns], logarithmic=True), value_scale(table[y_columns])
    x_title = "measured defect (left: closer to equivariant)"
    x = alt.X(f"{x_columns[0]}:Q", title=x_title, scale=x_scale, axis=value_axis(x_scale))
    y = alt.Y(f"{y_columns[0]}:Q", title=title, scale=y_scale)
    tooltip = [
        alt.Tooltip("label:N", title="model"),
        alt.Tooltip("tooltip_y:N", title=title),
        alt.Tooltip("tooltip_x:N", title="defect"),
    ]
    base = alt.Chart(table).encode(color=alt.Color("colour:N", scale=None))
    return _finish(
        alt.layer(
            base.mark_rule(opacity=0.45).encode(x=x, y=alt.Y(f"{y_columns[1]}:Q", title=title), y2=f"{y_columns[2]}:Q"),
            base.mark_rule(opacity=0.45).encode(
                x=alt.X(f"{x_columns[1]}:Q", title=x_title), x2=f"{x_columns[2]}:Q", y=y
            ),
            _points(base.encode(x=x), y, tooltip),
        ),
        f"{title} against measured equivariance defect for every model, with intervals.",
        height=300,
    )


def curve_chart(curves: pd.DataFrame, column: str, title: str, logarithmic: bool = False) -> Spec:
    """A learning curve of every model: mean over seeds per epoch, the band spans the seeds.

    Args:
        curves: columns series, label, colour, shape, highlighted, epoch and ``column`` for one network.
        column: what is drawn.
        title: title of the vertical axis, with unit.
        logarithmic: logarithmic vertical axis; values at or below zero are left out.
    """
    table = curves[curves[column] > 0] if logarithmic else curves
    keys = ["label", "colour", "shape", "highlighted", "epoch"]
    grouped = table.groupby(keys, sort=False)[column].agg(["mean", "min", "max"]).reset_index()
    y_scale = value_scale(grouped[["mean", "min", "max"]], logarithmic)
    grouped["tooltip"] = [number(value, 3) for value in grouped["mean"]]
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y("mean:Q", title=title, scale=y_scale, axis=value_axis(y_scale))
    tooltip = [alt.Tooltip("label:N", title="model"), alt.Tooltip("epoch:Q"), alt.Tooltip("tooltip:N", title=title)]
    bright = alt.Chart(grouped[grouped["highlighted"]]).encode(x=x, color=alt.Color("colour:N", scale=None))
    others = alt.Chart(grouped[~grouped["highlighted"]]).encode(x=x, detail="label:N", tooltip=tooltip)
    return _finish(
        alt.layer(
            others.mark_line(strokeWidth=1, opacity=0.25, color="currentColor").encode(y=y),
            bright.mark_area(opacity=0.15).encode(
                y=alt.Y("min:Q", title=title, scale=y_scale), y2="max:Q", detail="label:N"
            ),
            bright.mark_line(strokeWidth=1.75).encode(y=y, detail="label:N", tooltip=tooltip),
            _points(bright, y, tooltip, size=35),
        ),
        f"{title} after each epoch: mean over seeds, bands span the seeds.",
    )


def cost_chart(cost: pd.DataFrame, marks: dict[str, Mark]) -> Spec:
    """Step time of every method relative to the plain step of the same network, one row each."""
    table = cost.copy()
    table["label"] = [series_label(row["method"], row["norm"]) for row in rows_of(table)]
    table["colour"] = [marks[label].colour for label in table["label"]]
    table["shape"] = [marks[label].shape for label in table["label"]]
    table["tooltip"] = [f"{number(value, 3)} ×" for value in table["ratio_to_plain"]]
    low, high = min(1.0, table["ratio_to_plain"].min()), table["ratio_to_plain"].max()
    margin = max(high - low, 0.05)
    scale = alt.Scale(domain=[low - 0.03 * margin, high + 0.03 * margin], nice=False, zero=False)
    right = table["ratio_to_plain"] > (low + high) / 2
    axis = alt.Axis(tickCount=6, grid=False)
    x = alt.X("ratio_to_plain:Q", title="step time relative to the plain step", scale=scale, axis=axis)
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=220, grid=True, ticks=False, domain=False))
    base = alt.Chart(table[["label", "colour", "shape", "ratio_to_plain", "tooltip"]])
    tooltip = [alt.Tooltip("label:N", title="method"), alt.Tooltip("tooltip:N", title="step time")]
    return _finish(
        alt.layer(
            alt.Chart(pd.DataFrame({"one": [1.0]}))
            .mark_rule(strokeDash=[4, 3], opacity=0.7, color="currentColor")
            .encode(x=alt.X("one:Q", scale=scale)),
            _points(base.encode(x=x, color=alt.Color("colour:N", scale=None)), y, tooltip),
            _text_beside(table[~right], x, y, "left"),
            _text_beside(table[right], x, y, "right"),
        ),
        "Step time of every method relative to the plain step.",
        height=34 * table["label"].nunique() + 10,
    )


def _text_beside(table: pd.DataFrame, x: alt.X, y: alt.Y, align: Literal["left", "right"]) -> alt.Chart:
    offset = 9 if align == "left" else -9
    base = alt.Chart(_clean(table, ["label", "ratio_to_plain", "tooltip"]))
    return base.mark_text(align=align, dx=offset, color="currentColor", fontSize=11).encode(x=x, y=y, text="tooltip:N")


def _plain_layers(plain: pd.DataFrame, columns: list[str], y_scale: alt.Scale, title: str) -> list[alt.Chart]:
    mean, low, high = columns
    base = alt.Chart(_clean(plain, ["label", *columns]))
    tooltip = [alt.Tooltip("label:N", title="model"), alt.Tooltip(f"{mean}:Q", title=title, format=".4~g")]
    y = alt.Y(f"{mean}:Q", title=title, scale=y_scale)
    return [
        base.mark_rect(opacity=0.08, color="currentColor").encode(
            y=alt.Y(f"{low}:Q", title=title, scale=y_scale), y2=f"{high}:Q"
        ),
        base.mark_rule(strokeDash=[5, 4], opacity=0.8, color="currentColor").encode(y=y, tooltip=tooltip),
    ]


def _points(base: alt.Chart, y: alt.Y, tooltip: list[alt.Tooltip], size: int = 60) -> alt.Chart:
    return base.mark_point(filled=True, size=size, opacity=1).encode(
        y=y, shape=alt.Shape("shape:N", scale=None), tooltip=tooltip
    )


def _interval_text(table: pd.DataFrame, measure: str) -> list[str]:
    write = scientific if measure in ("defect", "relative_non_equivariance") else number
    return [
        f"{write(mean)} [{write(low)}, {write(high)}]" if write(low) != MISSING else write(mean)
        for mean, low, high in table[interval_columns(measure)].itertuples(index=False)
    ]


def _clean(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[columns].reset_index(drop=True)


def _finish(chart: alt.LayerChart | alt.FacetChart, description: str, height: int = CHART_HEIGHT) -> Spec:
    chart = chart.properties(width="container", height=height, description=description)
    spec: Spec = chart.to_dict() | {"config": CONFIG}
    del spec["$schema"]  # only names the version; the page must hold no address it could be asked to fetch
    return spec
