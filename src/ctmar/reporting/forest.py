"""Forest charts: one row for each method and norm, with its interval, its name on the left and its value on the right.

Rows stand under the kind of method they are of, so that no legend is needed.
"""

from typing import Any

import altair as alt
import pandas as pd

from ctmar.config.methods import Kind
from ctmar.reporting.axes import value_axis, value_scale
from ctmar.reporting.charts import (
    OF,
    SMALLEST_SHOWN,
    Spec,
    clean,
    finish,
    lines_of,
    points,
    says,
    with_plain_at_zero,
    write_value,
)
from ctmar.reporting.required_columns import interval_columns

_ROW_HEIGHT = 21
_AXIS_HEIGHT = 40  # of the axis and its title, which stand within the height of a chart
_LINE_HEIGHT = 12
_NAME_WIDTH = 150
_APART = 6
_ROW_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=True)


def forest_chart(models: pd.DataFrame, measure: str, title: str, rule: float | None = None, log: bool = False) -> Spec:
    """A measure of the chosen settings, one row each.

    Args:
        models: the chosen rows of one network from `prepare_models`.
        measure: column family, such as ``psnr_diff_db``.
        title: title of the horizontal axis, with unit.
        rule: where a dashed line stands, such as 0 for a difference.
        log: logarithmic axis.
    """
    columns = interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    table = table[table[columns[0]].notna()]
    texts = [write_value(measure, value) for value in table[columns[0]]]
    table = table.assign(row=table["series"], says=says(table, **{measure: title}), text=texts)
    if log:
        table[columns] = table[columns].clip(lower=SMALLEST_SHOWN)
    shown = clean(table, ["row", "kind", "label", "colour", "shape", "says", "facets", "text", *columns])
    return _forest(shown, columns, title, rule, log)


def ratio_chart(cost: pd.DataFrame) -> Spec:
    """Step time of every method relative to the plain step of the same network, with the interval of its median.

    Args:
        cost: rows of one network with series, kind, colour and shape.
    """
    table = cost.assign(
        row=cost["series"],
        label=cost["series"],
        text=[f"{value:.2f} ×" for value in cost["ratio_to_plain"]],
    )
    columns = ["ratio_to_plain", "ratio_low", "ratio_high"]
    title = "step time relative to the plain step"
    ranges = [
        f"{low:.2f} to {high:.2f} with probability {probability:.1%}"
        for low, high, probability in zip(cost["ratio_low"], cost["ratio_high"], cost["ratio_coverage"], strict=True)
    ]
    table = table.assign(
        says=[
            f"{name}\n{title}: {text} ({over})"
            for name, text, over in zip(table["label"], table["text"], ranges, strict=True)
        ]
    )
    shown = clean(table, ["row", "kind", "label", "colour", "shape", "says", "facets", "text", *columns])
    return _forest(shown, columns, title, 1.0, bool(cost["ratio_to_plain"].max() > 4))


def _forest(table: pd.DataFrame, columns: list[str], title: str, rule: float | None, log: bool) -> Spec:
    mean, low, high = columns
    names = _rows_under_kinds(table)
    values = pd.concat([table[columns], pd.DataFrame([[rule] * 3] if rule is not None else [], columns=columns)])
    scale = value_scale(values, log)
    # the axis of few ticks is meant for heights; a row is twice as wide, so it may keep them all
    x = alt.X(f"{mean}:Q", title=title, scale=scale, axis=value_axis(scale))
    y = alt.Y("row:N", title=None, scale=alt.Scale(domain=names), axis=_ROW_AXIS)
    base = alt.Chart(table).encode(color=alt.Color("colour:N", scale=None))
    layers = [
        base.mark_rule(strokeWidth=1.5).encode(
            x=alt.X(f"{low}:Q", title=title, scale=scale), x2=f"{high}:Q", y=y, href=OF
        ),
        points(base.encode(x=x), y, size=55),
        *_words(table, [name for name in names if name in set(Kind)], y),
    ]
    if rule is not None:
        line = alt.Chart(pd.DataFrame({"rule": [rule]})).mark_rule(strokeDash=[4, 3], opacity=0.6, color="currentColor")
        layers.insert(0, line.encode(x=alt.X("rule:Q", scale=scale)))
    row_height = _ROW_HEIGHT + 9 * (max(len(lines_of(name)) for name in names) - 1)
    chart = alt.layer(*layers)
    return finish(chart, f"{title}, one row for each method and norm.", height=row_height * len(names) + _AXIS_HEIGHT)


def _words(table: pd.DataFrame, kinds: list[str], y: alt.Y) -> list[alt.Chart]:
    """Names on the left and values on the right: marks like the others, so that the filter of the page pales them."""
    style: dict[str, Any] = {"align": "left", "color": "currentColor", "fontSize": 11, "aria": False}
    lines = [lines_of(name) for name in table["row"]]
    named = table.assign(name=["\n".join(parts) for parts in lines], n_lines=list(map(len, lines)))
    headings = alt.Chart(pd.DataFrame({"row": kinds}))
    return [
        headings.mark_text(dx=-_NAME_WIDTH, fontWeight=600, **style).encode(x=alt.value(0), y=y, text="row:N"),
        *(
            alt.Chart(clean(own, ["row", "name", "facets"]))
            # the first of several lines stands above the middle of the row
            .mark_text(
                dx=-_NAME_WIDTH,
                dy=-_LINE_HEIGHT * (n - 1) / 2,
                limit=_NAME_WIDTH,
                lineBreak="\n",
                lineHeight=_LINE_HEIGHT,
                **style,
            )
            .encode(x=alt.value(0), y=y, text="name:N", href=OF)
            for n in sorted({len(parts) for parts in lines})
            for own in [named[named["n_lines"] == n]]
        ),
        alt.Chart(clean(table, ["row", "text", "facets"]))
        .mark_text(dx=_APART, **style)
        .encode(x=alt.value("width"), y=y, text="text:N", href=OF),
    ]


def _rows_under_kinds(table: pd.DataFrame) -> list[str]:
    names: list[str] = []
    for kind in Kind:
        own = table.loc[table["kind"] == kind, "row"].tolist()
        # plain training is a single row, which needs no heading
        names += own if kind is Kind.PLAIN or not own else [kind.value, *own]
    return names
