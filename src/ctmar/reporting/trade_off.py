"""Quality against equivariance: every setting, and by name those that no other beats in both."""

import math
from typing import Any

import altair as alt
import pandas as pd

from ctmar.reporting.axes import value_axis, value_scale
from ctmar.reporting.charts import (
    OF,
    SAYS,
    SMALLEST_SHOWN,
    Spec,
    clean,
    finish,
    lines_of,
    points,
    says,
    with_plain_at_zero,
)
from ctmar.reporting.drawing import NARROW, WIDE
from ctmar.reporting.front import on_front, places
from ctmar.reporting.required_columns import interval_columns

_HEIGHT = 360
_AXES = 58, 52  # about what axes take of the width and the height [pixels]


def trade_off_chart(models: pd.DataFrame, measure: str, title: str) -> Spec:
    """Quality against the measured defect: chosen settings with intervals, all others as pale dots, the front by name.

    Args:
        models: rows of one network from `prepare_models`, with a truth column ``chosen``.
        measure: column family of the vertical axis.
        title: its title, with unit.
    """
    x_columns, y_columns = interval_columns("defect"), interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    table = table.assign(says=says(table, **{measure: title, "defect": "measured defect"}))
    table[x_columns] = table[x_columns].clip(lower=SMALLEST_SHOWN)
    table = clean(table, ["label", "colour", "shape", "chosen", *x_columns, *y_columns, "says", "facets"])
    x_scale, y_scale = value_scale(table[x_columns], logarithmic=True), value_scale(table[y_columns])
    x_title = "measured defect (left: closer to equivariant)"
    x = alt.X(f"{x_columns[0]}:Q", title=x_title, scale=x_scale, axis=value_axis(x_scale))
    y = alt.Y(f"{y_columns[0]}:Q", title=title, scale=y_scale)
    others = alt.Chart(table[~table["chosen"]]).mark_circle(size=28, opacity=0.35)
    chosen = alt.Chart(table[table["chosen"]]).encode(color=alt.Color("colour:N", scale=None), href=OF)
    return finish(
        alt.layer(
            others.encode(x=x, y=y, color=alt.Color("colour:N", scale=None), description=SAYS, href=OF),
            chosen.mark_rule(opacity=0.4).encode(
                x=x, y=alt.Y(f"{y_columns[1]}:Q", title=title), y2=f"{y_columns[2]}:Q"
            ),
            chosen.mark_rule(opacity=0.4).encode(
                x=alt.X(f"{x_columns[1]}:Q", title=x_title), x2=f"{x_columns[2]}:Q", y=y
            ),
            *_front_layers(table, (x, y), (x_columns[0], y_columns[0])),
            points(chosen.encode(x=x), y),
        ),
        f"{title} against measured equivariance defect, with intervals; names at settings that no other beats in both.",
        height=_HEIGHT,
    )


def _front_layers(table: pd.DataFrame, axes: tuple[alt.X, alt.Y], columns: tuple[str, str]) -> list[alt.Chart]:
    """The front as a line of steps, and a name at each of its settings."""
    (x, y), (defect, quality) = axes, columns
    front = on_front(table, quality, defect)
    if len(front) < 2:
        return []
    shares = _shares(table, axes, columns)
    lines = [lines_of(label) for label in front["label"]]
    sizes = [(width - _AXES[0], _HEIGHT - _AXES[1]) for width in (WIDE, NARROW)]
    named = [(*shares[row], own) for row, own in zip(front.index, lines, strict=True)]
    style: dict[str, Any] = {"lineBreak": "\n", "lineHeight": 13, "fontSize": 11, "color": "currentColor"}
    steps = alt.Chart(clean(front, [*columns])).mark_line(
        interpolate="step-after", strokeWidth=1, strokeDash=[2, 3], opacity=0.6, color="currentColor"
    )
    found = places(named, list(shares.values()), sizes)
    return [
        steps.encode(x=x, y=y),
        *(
            alt.Chart(clean(front.loc[[row]].assign(name="\n".join(own)), ["name", "facets", *columns]))
            .mark_text(dx=place.dx, dy=place.dy, align=place.align, **style)
            .encode(x=x, y=y, text="name:N", href=OF)
            for row, own, place in zip(front.index, lines, found, strict=True)
        ),
    ]


def _shares(table: pd.DataFrame, axes: tuple[alt.X, alt.Y], columns: tuple[str, str]) -> dict[Any, tuple[float, float]]:
    """Where each setting lies, as shares of the drawing from the left and from the top."""
    (left, right), (bottom, top) = (axis["scale"]["domain"] for axis in axes)
    measured = table.dropna(subset=list(columns))
    return {
        row: (math.log(defect / left) / math.log(right / left), (top - quality) / (top - bottom))
        for row, defect, quality in measured[list(columns)].itertuples(name=None)
    }
