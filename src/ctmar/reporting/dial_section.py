"""The first figure of a study that turns the dial of broken symmetry: quality against its strength ε."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from ctmar.config import Config
from ctmar.config.labels import number
from ctmar.config.methods import METHODS, Kind
from ctmar.errors import InputError
from ctmar.evaluation.columns import STRICT_DIFFERENCE
from ctmar.reporting.axes import value_scale
from ctmar.reporting.charts import (
    OF,
    Spec,
    clean,
    finish,
    points,
    prepare_models,
    prepare_series,
    says,
    with_plain_at_zero,
)
from ctmar.reporting.facets import facets_of
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.required_columns import interval_columns
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.wording import capital, from_to

_MEASURES = (  # what is drawn, and the title of its axis
    ("psnr_diff_db", "PSNR difference to plain [dB]"),
    ("psnr_db", "PSNR [dB]"),
)
_APART = 0.012  # of the width of the dial: intervals at one strength stand beside each other
Row = dict[str, Any]


@dataclass(frozen=True)
class DialSection:
    """Charts of one network with their captions, the legend, and what the numbers say."""

    charts: list[tuple[str, Spec]]
    legend: list[tuple[str, Mark]]
    sentences: list[str]


def dial_sections(results: StudyTables, config: Config, marks: dict[SeriesKey, Mark]) -> dict[str, DialSection]:
    """The figures of a study by network, for those that were trained at several strengths.

    Raises:
        InputError: the study turns the dial, and there is no table of it.
    """
    n_strengths = len(config.study.strengths)
    if n_strengths > 1 and results.dial.empty and not results.diverged:
        raise InputError(f"dial.csv: expected rows for {n_strengths} strengths of the asymmetry, found none")
    margin_db = config.judgement.equivalence_margin_db
    found = {
        name: dial_section(results.dial, name, marks, margin_db) for name in dict.fromkeys(results.dial["network"])
    }
    return {name: section for name, section in found.items() if section}


def dial_section(
    dial: pd.DataFrame, network: str, marks: dict[SeriesKey, Mark], margin_db: float
) -> DialSection | None:
    """Lay out the figure of a network; None where it was trained at one strength only.

    Args:
        dial: table with the columns of :func:`ctmar.evaluation.columns.dial_columns`.
        network: name of the network.
        marks: mark of every method and norm.
        margin_db: differences below this are as good as none [dB].
    """
    rows = dial[dial["network"] == network]
    keys = ["slices", "method", "norm"]
    # what was trained at one strength has no line
    rows = rows[rows.groupby(keys)["asymmetry"].transform("nunique") > 1]
    if rows.empty:
        return None
    # a line is a method and norm, whatever power validation prefers at a strength
    rows = prepare_series(prepare_models(rows.reset_index(drop=True), marks), marks)
    panels = [(n, rows[rows["slices"] == n]) for n in sorted(set(rows["slices"]), key=lambda n: (n == 0, n))]
    charts = [
        (f"{title.partition(' [')[0]}, {_slices_in_words(n)} ({_counted(panel)})", _chart(panel, rows, measure, title))
        for n, panel in panels
        for measure, title in _MEASURES
        if panel[interval_columns(measure)[0]].notna().any()
    ]
    legend = {row["series"]: marks[row["method"], row["norm"]] for row in rows_of(rows)}
    said = [sentence for n, panel in panels for sentence in _sentences(rows_of(panel), n, margin_db)]
    return DialSection(charts, list(legend.items()), said)


def _counted(panel: pd.DataFrame) -> str:
    return f"{from_to(panel['n_patients'], 'patient')}, {from_to(panel['n_seeds'], 'seed')}"


def _slices_in_words(n_slices: int) -> str:
    if not n_slices:
        return "trained on all slices"
    return f"trained on {n_slices} {'slice' if n_slices == 1 else 'slices'} of each patient"


def _chart(panel: pd.DataFrame, all_panels: pd.DataFrame, measure: str, title: str) -> Spec:
    """A measure against ε, one line for each method; all panels share the vertical axis."""
    columns = interval_columns(measure)
    mean, low, high = columns
    table = with_plain_at_zero(panel, measure)
    series = list(dict.fromkeys(all_panels["series"]))
    strengths = sorted(set(panel["asymmetry"]))
    width = strengths[-1] - strengths[0]
    shift = {name: (k - (len(series) - 1) / 2) * _APART * width for k, name in enumerate(series)}
    table = table.assign(
        place=table["asymmetry"] + table["series"].map(shift),
        # a line stands for all strengths and numbers of seeds
        line_facets=[facets_of(row) for row in rows_of(table[["method", "norm", "network"]])],
        says=[
            f"{text}\nε = {strength:g}"
            for text, strength in zip(
                says(table, **{measure: title, STRICT_DIFFERENCE: "difference to strict [dB]"}),
                table["asymmetry"],
                strict=True,
            )
        ],
    )
    scale = value_scale(with_plain_at_zero(all_panels, measure)[columns])
    x = alt.X(
        "place:Q",
        title="strength ε of the broken symmetry",
        scale=alt.Scale(domain=[strengths[0] - 0.05 * width, strengths[-1] + 0.05 * width], nice=False),
        axis=alt.Axis(values=strengths, format="~g", grid=False),
    )
    y = alt.Y(f"{mean}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    kept = ["series", "label", "colour", "shape", "asymmetry", "place", *columns, "says", "facets", "line_facets"]
    base = alt.Chart(clean(table, kept)).encode(x=x, color=alt.Color("colour:N", scale=None))
    return finish(
        alt.layer(
            base.mark_line(strokeWidth=1.5, opacity=0.6).encode(y=y, detail="series:N", href="line_facets:N"),
            base.mark_rule(strokeWidth=1.25).encode(
                y=alt.Y(f"{low}:Q", title=title, scale=scale), y2=f"{high}:Q", href=OF
            ),
            points(base, y),
        ),
        f"{title} against the strength of the broken symmetry, one line for each method, with simultaneous intervals.",
        height=300,
    )


def _sentences(rows: Sequence[Row], n_slices: int, margin_db: float) -> list[str]:
    """Where the penalty is better than both plain and strict, and what it loses to strict without broken symmetry."""
    start = capital(_slices_in_words(n_slices))
    trained = [row for row in rows if METHODS[row["method"]].kind is Kind.PENALTY]
    penalties = [row for row in trained if _has_both(row)]
    if not penalties:
        text = "no penalty has intervals of its differences to plain and to strict, so nothing is decided"
        return [f"{start}, {text}."] if trained else []
    better = [row for row in penalties if _surely(row) > 0]
    both = "better than both plain training and strict equivariance, both lower limits above 0"
    if better:
        said = [f"{start}, these are {both}: {'; '.join(map(_comparison, better))}."]
    else:
        nearest = _comparison(max(penalties, key=_surely))
        said = [f"{start}, at no ε is a penalty {both}; the nearest is {nearest}."]
    at_zero = [row for row in penalties if row["asymmetry"] == 0]
    if at_zero:
        said.append(_loss(max(at_zero, key=lambda row: row[f"{STRICT_DIFFERENCE}_low"]), margin_db))
    return said


def _has_both(row: Row) -> bool:
    return bool(pd.notna(row["psnr_diff_db_low"]) and pd.notna(row[f"{STRICT_DIFFERENCE}_low"]))


def _surely(row: Row) -> float:
    """The lower limit of what a penalty gains on plain and on strict, whichever is less [dB]."""
    return float(min(row["psnr_diff_db_low"], row[f"{STRICT_DIFFERENCE}_low"]))


def _comparison(row: Row) -> str:
    to_plain, to_strict = (_difference(row, name) for name in ("psnr_diff_db", STRICT_DIFFERENCE))
    return f"“{row['label']}” at ε = {row['asymmetry']:g} ({to_plain} to plain, {to_strict} to strict)"


def _loss(row: Row, margin_db: float) -> str:
    """What the penalty that comes nearest to strict at ε = 0 may lose to it."""
    low, high = (row[f"{STRICT_DIFFERENCE}_{limit}"] for limit in ("low", "high"))
    decided = "excluded" if low > -margin_db else "certain" if high < -margin_db else "not excluded"
    return (
        f"At ε = 0 “{row['label']}” has a difference to strict equivariance of {_difference(row, STRICT_DIFFERENCE)}: a"
        f" loss of {margin_db:g} dB or more is {decided}."
    )


def _difference(row: Row, measure: str) -> str:
    mean, low, high = (number(row[f"{measure}_{part}"], 2, signed=True) for part in ("mean", "low", "high"))
    return f"{mean} dB [{low}, {high}]"
