"""Forest charts: one row for each method and norm, with its interval, its name on the left and its value on the right.

Rows stand under the kind of method they are of, so that no legend is needed.
"""

import json
from collections.abc import Mapping

import altair as alt
import pandas as pd

from ctmar.config.methods import Kind
from ctmar.reporting.axes import value_axis, value_scale
from ctmar.reporting.charts import (
    SMALLEST_SHOWN,
    Spec,
    clean,
    finish,
    points,
    says,
    with_plain_at_zero,
    write_value,
)
from ctmar.reporting.required_columns import interval_columns

_ROW_HEIGHT = 21
_LINE_HEIGHT = 12
_NAME_WIDTH = 150
_LETTERS = 26  # of a name in one line; what is longer goes on in the next, after a comma


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
    shown = clean(table, ["row", "kind", "label", "colour", "shape", "says", "text", *columns])
    return _forest(shown, columns, title, rule, log)


def ratio_chart(cost: pd.DataFrame) -> Spec:
    """Step time of every method relative to the plain step of the same network.

    Args:
        cost: rows of one network with series, kind, colour and shape.
    """
    table = cost.assign(
        row=cost["series"],
        label=cost["series"],
        text=[f"{value:.2f} ×" for value in cost["ratio_to_plain"]],
    )
    columns = ["ratio_to_plain"] * 3
    title = "step time relative to the plain step"
    table = table.assign(
        says=[f"{name}\n{title}: {text}" for name, text in zip(table["label"], table["text"], strict=True)]
    )
    shown = clean(table, ["row", "kind", "label", "colour", "shape", "says", "text", "ratio_to_plain"])
    return _forest(shown, columns, title, 1.0, bool(cost["ratio_to_plain"].max() > 4))


def _forest(table: pd.DataFrame, columns: list[str], title: str, rule: float | None, log: bool) -> Spec:
    mean, low, high = columns
    names = _rows_under_kinds(table)
    values = pd.concat([table[columns], pd.DataFrame([[rule] * 3] if rule is not None else [], columns=columns)])
    scale = value_scale(values, log)
    # the axis of few ticks is meant for heights; a row is twice as wide, so it may keep them all
    x = alt.X(f"{mean}:Q", title=title, scale=scale, axis=value_axis(scale))
    kinds = [name for name in names if name in set(Kind)]
    y_scale = alt.Scale(domain=names)
    lines = {name: _lines_of(name) for name in names}
    y = alt.Y("row:N", title=None, scale=y_scale, axis=_name_axis(kinds, lines))
    base = alt.Chart(table).encode(color=alt.Color("colour:N", scale=None))
    layers = [
        base.mark_rule(strokeWidth=1.5).encode(x=alt.X(f"{low}:Q", title=title, scale=scale), x2=f"{high}:Q", y=y),
        points(base.encode(x=x), y, size=55),
    ]
    if rule is not None:
        line = alt.Chart(pd.DataFrame({"rule": [rule]})).mark_rule(strokeDash=[4, 3], opacity=0.6, color="currentColor")
        layers.insert(0, line.encode(x=alt.X("rule:Q", scale=scale)))
    texts = dict(zip(table["row"], table["text"], strict=True))
    values_beside = base.mark_point(opacity=0, aria=False).encode(
        x=x, y=alt.Y("row:N", title=None, scale=y_scale, axis=_value_axis_right(texts))
    )
    chart = alt.layer(alt.layer(*layers), values_beside).resolve_scale(y="independent")
    row_height = _ROW_HEIGHT + 9 * (max(map(len, lines.values())) - 1)
    return finish(chart, f"{title}, one row for each method and norm.", height=row_height * len(names))


def _rows_under_kinds(table: pd.DataFrame) -> list[str]:
    names: list[str] = []
    for kind in Kind:
        own = table.loc[table["kind"] == kind, "row"].tolist()
        # plain training is a single row, which needs no heading
        names += own if kind is Kind.PLAIN or not own else [kind.value, *own]
    return names


def _lines_of(name: str) -> list[str]:
    """A name in lines that fit beside the chart, broken after commas.

    Examples:
        >>> _lines_of("Projection, Frobenius, squared, drawn start")
        ['Projection, Frobenius,', 'squared, drawn start']
    """
    lines: list[str] = []
    for part in name.split(", "):
        if lines and len(lines[-1]) + len(part) + 2 <= _LETTERS:
            lines[-1] = f"{lines[-1]}, {part}"
            continue
        if lines:
            lines[-1] += ","
        lines.append(part)
    return lines


def _name_axis(kinds: list[str], lines: Mapping[str, list[str]]) -> alt.Axis:
    bold = {"condition": {"test": f"indexof({json.dumps(kinds)}, datum.value) >= 0", "value": 600}, "value": 400}
    return alt.Axis(
        labelExpr=f"({json.dumps(dict(lines), ensure_ascii=False)})[datum.value]",
        labelLimit=_NAME_WIDTH,
        labelLineHeight=_LINE_HEIGHT,
        labelAlign="left",
        labelPadding=_NAME_WIDTH,
        labelFontWeight=bold,
        ticks=False,
        domain=False,
        grid=True,
    )


def _value_axis_right(texts: Mapping[str, str]) -> alt.Axis:
    return alt.Axis(
        orient="right",
        labelExpr=f"({json.dumps(dict(texts), ensure_ascii=False)})[datum.value] || ''",
        labelPadding=6,
        ticks=False,
        domain=False,
        grid=False,
    )
