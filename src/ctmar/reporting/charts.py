"""What every chart of the page shares: its look, its marks, and how a specification is finished.

Charts are Vega-Lite specifications, made by pure functions, and drawn as SVG by `ctmar.reporting.drawing`. Axes,
rules and text take ``currentColor``, so one specification serves the light and the dark page. Legends are HTML or
direct labels, hence ``scale=None``: a row carries its own mark.
"""

import math
from typing import Any

import altair as alt
import pandas as pd

from ctmar.config.labels import MISSING, model_label, number, scientific, series_label, setting_label
from ctmar.config.methods import METHODS
from ctmar.reporting.facets import facets_of
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.required_columns import interval_columns
from ctmar.reporting.study_files import rows_of

Spec = dict[str, Any]
_CHART_HEIGHT = 210
DIFFERENCES = ("psnr_diff_db", "psnr_official_diff_db")  # of a model to plain, so plain itself lies at zero
_LETTERS = 26  # of a name in one line; what is longer goes on in the next, after a comma
SMALLEST_SHOWN = 1e-6  # rounding of float32; a logarithmic axis cannot show the 0 of a strictly equivariant model
SAYS = alt.Description("says:N")
OF = alt.Href("facets:N")  # for the filter of the page; of what Vega passes on, the one channel that is no text
CONFIG: Spec = {
    "background": "transparent",
    "font": "sans-serif",  # Vega measures text with it
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
    # only marks say what they are; what joins them is a line
    "line": {"aria": False},
    "rule": {"aria": False},
    "text": {"aria": False},
    # where there is no room, labels give way instead of touching
    "axisQuantitative": {"labelOverlap": "greedy", "labelSeparation": 6},
}


def prepare_models(models: pd.DataFrame, marks: dict[SeriesKey, Mark]) -> pd.DataFrame:
    """Add the label, series, kind, colour and shape of each row of ``models.csv`` or ``curves.csv``.

    What is infinite has no place on an axis: it is missing here, and stands in the tables.
    """
    rows = rows_of(models)
    models = models.replace([math.inf, -math.inf], math.nan)
    labels = {"label": list(map(model_label, rows)), "series": list(map(setting_label, rows))}
    return prepare_series(models, marks).assign(**labels)


def prepare_series(table: pd.DataFrame, marks: dict[SeriesKey, Mark]) -> pd.DataFrame:
    """Add the series, kind, colour and shape of each method and norm, and what the filter of the page asks of a row."""
    keys = list(zip(table["method"], table["norm"], strict=True))
    return table.assign(
        facets=list(map(facets_of, rows_of(table))),
        series=[series_label(*key) for key in keys],
        kind=[METHODS[method].kind.value for method, _ in keys],
        colour=[marks[key].colour for key in keys],
        shape=[marks[key].shape for key in keys],
    )


def with_plain_at_zero(models: pd.DataFrame, measure: str) -> pd.DataFrame:
    """In a difference to plain, plain itself is zero without an interval."""
    if measure not in DIFFERENCES:
        return models
    table = models.copy()
    itself = (table["method"] == "plain") & table[interval_columns(measure)[0]].isna()
    table.loc[itself, interval_columns(measure)] = [0.0, math.nan, math.nan]
    return table


def points(base: alt.Chart, y: alt.Y, size: int = 60) -> alt.Chart:
    """Marks of a series, each with its own shape and what it says."""
    return base.mark_point(filled=True, size=size, opacity=1).encode(
        y=y, shape=alt.Shape("shape:N", scale=None), description=SAYS, href=OF
    )


def write_value(measure: str, value: float) -> str:
    """A value of a measure as charts print it."""
    if "defect" in measure or "equivariance" in measure:
        return scientific(value)
    return number(value, 2, signed=measure in DIFFERENCES)


def interval_text(table: pd.DataFrame, measure: str) -> list[str]:
    """Mean and interval of each row in words."""
    texts = []
    for mean, low, high in table[interval_columns(measure)].itertuples(index=False):
        lower = write_value(measure, low)
        interval = "" if lower == MISSING else f" [{lower}, {write_value(measure, high)}]"
        texts.append(f"{write_value(measure, mean)}{interval}")
    return texts


def says(table: pd.DataFrame, **measures: str) -> list[str]:
    """What the mark of each row says: the name of the setting, and a line for each measure.

    Args:
        table: rows with a ``label``.
        measures: title of each measure, by column family.
    """
    columns = [[f"{title}: {text}" for text in interval_text(table, name)] for name, title in measures.items()]
    return ["\n".join(lines) for lines in zip(table["label"], *columns, strict=True)]


def lines_of(name: str) -> list[str]:
    """A name in lines that fit beside a chart or in it, broken after commas.

    Examples:
        >>> lines_of("Projection, Frobenius, squared, drawn start")
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


def clean(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The columns a chart needs and no more: every further one would be text on the page."""
    return table[list(dict.fromkeys(columns))].reset_index(drop=True)


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, description: str, height: int = _CHART_HEIGHT) -> Spec:
    """The chart as a specification that is given its width where it is drawn."""
    chart = chart.properties(height=height, description=description)
    spec: Spec = chart.to_dict() | {"config": CONFIG}
    del spec["$schema"]  # only names the version
    return spec
