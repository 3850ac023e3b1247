"""Tables as the page shows them: grouped rows of cells with text, interval, and the number behind both."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

import pandas as pd

from ctmar.config.labels import MISSING, number, setting_label, weight
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.choice import only
from ctmar.reporting.facets import facets_of
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.required_columns import IDENTITY, interval_columns, measured
from ctmar.reporting.study_files import rows_of

OneOf = Literal["series", "kinds"]
WEIGHTS = ("lam_perp", "lam_equi", "softness", "target", "balance")


@dataclass(frozen=True)
class Measure:
    """A column: the measure it shows, its heading, the family it stands under, and which direction is better.

    Under the mean stands the interval, or, where ``beside`` names another measure, that one after the word ``called``.
    What is not above ``rounding`` is equally good.
    """

    name: str
    title: str
    unit: str
    write: Callable[[float], str]
    better: str = ""
    family: str = ""
    judged: bool = False
    beside: str = ""
    called: str = ""
    interval: bool = True
    rounding: float | None = None


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; ``value`` is what sorting looks at."""

    text: str
    value: float | None = None
    interval: str = ""
    best: bool = False
    best_chosen: bool = False
    judgement: str = ""


@dataclass(frozen=True)
class Row:
    """A model or a reference: its name, its mark, its cells, whether validation chose it, and what the filter asks."""

    label: str
    mark: Mark | None
    cells: list[Cell]
    chosen: bool = True
    facets: str = ""


@dataclass(frozen=True)
class RowGroup:
    """Rows under one heading; references stay on top when the others are sorted."""

    title: str
    rows: list[Row]
    references: bool = False


@dataclass(frozen=True)
class Heading:
    """Head of a column, the family it stands under, and which direction is better: high, low, or neither."""

    title: str
    unit: str = ""
    family: str = ""
    better: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page; at first it shows of each series, or of each kind of method, the chosen setting alone."""

    name: str
    headings: list[Heading]
    groups: list[RowGroup]
    one_of: OneOf = "series"
    download: str = ""

    @property
    def families(self) -> list[tuple[str, int]]:
        """Families of columns in order, each with its number of columns; none if no column has one."""
        spans: list[tuple[str, int]] = []
        for heading in self.headings:
            if spans and spans[-1][0] == heading.family:
                spans[-1] = (heading.family, spans[-1][1] + 1)
            else:
                spans.append((heading.family, 1))
        return spans if any(family for family, _ in spans) else []


@dataclass(frozen=True)
class Context:
    """What tables of a network share: marks, the settings shown at first, if others have rows, and what each is of."""

    network: str
    marks: dict[SeriesKey, Mark]
    chosen: Sequence[tuple[Any, ...]]
    every_setting: bool = True
    one_of: OneOf = "series"


def model_table(
    name: str,
    models: pd.DataFrame,
    measures: Sequence[Measure],
    context: Context,
    references: pd.DataFrame | None = None,
) -> Table:
    """Models grouped by kind of method, references on top; measures and weights without a value are left out.

    Args:
        name: name of the table and of its download.
        models: rows of one network with the columns of `IDENTITY`.
        measures: columns, in order.
        context: marks and chosen settings.
        references: rows with a column ``reference``.
    """
    if not context.every_setting:
        models = only(models, context.chosen)
    shown = [measure for measure in measures if measured(models, measure.name)]
    weights = bool((models[list(WEIGHTS)] > 0).any(axis=None))
    rows = [(METHODS[row["method"]].kind, _model_row(row, weights, shown, context)) for row in rows_of(models)]
    marked = _mark_best([row for _, row in rows], int(weights), shown)
    by_kind = [
        RowGroup(kind, [row for (own, _), row in zip(rows, marked, strict=True) if own is kind]) for kind in Kind
    ]
    groups = [group for group in by_kind if group.rows]
    if references is not None and len(references):
        rows_above = _reference_rows(references, weights, shown)
        groups.insert(0, RowGroup("References, without training", rows_above, references=True))
    headings = [Heading("Weight")] * weights + [Heading(m.title, m.unit, m.family, m.better) for m in shown]
    return Table(f"{name}-{context.network}", headings, groups, context.one_of)


def download_address(table: pd.DataFrame) -> str:
    """The whole table, every digit, as a tab-separated ``data:`` address."""
    text = table.to_csv(sep="\t", index=False)
    return f"data:text/tab-separated-values;charset=utf-8,{quote(text)}"


def judge_difference(low: float, high: float) -> str:
    """What an interval of a difference to plain allows to say.

    Examples:
        >>> judge_difference(0.1, 0.4), judge_difference(-0.4, -0.1), judge_difference(-0.1, 0.2)
        ('above', 'below', 'undecided')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return "above" if low > 0 else "below" if high < 0 else "undecided"


def measure_cell(row: dict[str, Any], measure: Measure) -> Cell:
    """Mean and interval of one measure of a row, or the plain value where the measure has no interval."""
    mean, low, high = (float(row.get(column, math.nan)) for column in interval_columns(measure.name))
    if f"{measure.name}_mean" not in row:
        mean = float(row.get(measure.name, math.nan))
    if measure.beside:
        other = measure_cell(row, Measure(measure.beside, "", "", measure.write))
        beneath = "" if other.value is None else f"{measure.called} {other.text}"
        return Cell(measure.write(mean), mean if math.isfinite(mean) else None, beneath)
    has_interval = measure.interval and math.isfinite(low) and math.isfinite(high)
    interval = f"[{measure.write(low)}, {measure.write(high)}]" if has_interval else ""
    judgement = judge_difference(low, high) if measure.judged else ""
    return Cell(measure.write(mean), mean if math.isfinite(mean) else None, interval, judgement=judgement)


def _mark_best(rows: list[Row], n_weights: int, measures: Sequence[Measure]) -> list[Row]:
    """Mark the best of each measure, and all that read the same: once among all rows, once among the chosen ones."""
    cells = [list(row.cells) for row in rows]
    for index, measure in enumerate(measures, start=n_weights):
        best = _best_text(measure, [row.cells[index] for row in rows])
        best_chosen = _best_text(measure, [row.cells[index] for row in rows if row.chosen])
        for row, own in zip(rows, cells, strict=True):
            text = _compared(measure, own[index])
            own[index] = replace(own[index], best=text == best, best_chosen=row.chosen and text == best_chosen)
    return [replace(row, cells=own) for row, own in zip(rows, cells, strict=True)]


def _best_text(measure: Measure, cells: Sequence[Cell]) -> str | None:
    """How the best of some cells reads; where all read the same none is best."""
    known = [cell for cell in cells if cell.value is not None]
    if not measure.better or len({_compared(measure, cell) for cell in known}) < 2:
        return None
    return _compared(measure, (max if measure.better == "high" else min)(known, key=lambda cell: cell.value or 0.0))


def _compared(measure: Measure, cell: Cell) -> str:
    """What a cell is compared by: how it reads, and one text for all that differ by rounding alone."""
    below = cell.value is not None and measure.rounding is not None and cell.value <= measure.rounding
    return "rounding" if below else cell.text


def p_value(value: float) -> str:
    r"""A p-value to two or three digits.

    Examples:
        >>> p_value(0.0002), p_value(0.034), p_value(0.5), p_value(float("nan"))
        ('<\xa00.001', '0.034', '0.50', '–')
    """
    if not math.isfinite(value):
        return MISSING
    if value < 0.001:
        return "<\N{NO-BREAK SPACE}0.001"
    return number(value, 3 if value < 0.1 else 2)


def decimals(digits: int, signed: bool = False) -> Callable[[float], str]:
    """How a measure with a fixed number of decimals is written."""
    return lambda value: number(value, digits, signed)


def times(digits: int) -> Callable[[float], str]:
    """How a ratio is written.

    Examples:
        >>> times(2)(1.5)
        '1.50 ×'
    """
    return lambda value: f"{number(value, digits)} ×" if math.isfinite(value) else MISSING


def _model_row(row: dict[str, Any], weights: bool, measures: Sequence[Measure], context: Context) -> Row:
    method, norm = row["method"], row["norm"]
    cells = [weight_cell(row)] * weights + [measure_cell(row, measure) for measure in measures]
    chosen = tuple(row[key] for key in IDENTITY) in context.chosen
    n_lost = row.get("n_diverged", 0)
    lost = f" ({n_lost} of {row['n_seeds'] + n_lost} seeds diverged)" if n_lost else ""
    return Row(setting_label(row) + lost, context.marks[method, norm], cells, chosen, facets_of(row))


def weight_cell(row: dict[str, Any]) -> Cell:
    """The weight of a setting under the symbol of its method, or what adapts it; λᴳ below, where there is one."""
    facts = METHODS[row["method"]]
    if facts.reads_softness:
        return Cell(f"s {row['softness']:g}", row["softness"])
    equivariant = f"λᴳ {weight(row['lam_equi'])}" if row["lam_equi"] else ""
    for name in ("target", "balance"):
        if row[name]:
            return Cell(f"{name} {weight(row[name])}", row[name], equivariant)
    if not row["lam_perp"]:
        return Cell(equivariant or MISSING, None)
    return Cell(f"{facts.weight_symbol} {weight(row['lam_perp'])}", row["lam_perp"], equivariant)


def _reference_rows(references: pd.DataFrame, weights: bool, measures: Sequence[Measure]) -> list[Row]:
    rows = []
    for row in rows_of(references):
        cells = [measure_cell(row, measure) for measure in measures]
        blank = [cell if cell.value is not None else Cell("") for cell in cells]
        rows.append(Row(str(row["reference"]), None, [Cell("")] * weights + blank))
    return rows
