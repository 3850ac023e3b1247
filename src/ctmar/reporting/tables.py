"""The result tables as rows of cells: text, interval, the number behind it, and whether it is the best."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pandas as pd

from ctmar.reporting.labels import MISSING, Mark, model_label, number, scientific, series_label, weight
from ctmar.reporting.results import interval_columns, rows_of, text_rows


@dataclass(frozen=True)
class Measure:
    """A column of the main table: where it comes from, how it is written, and which direction is better."""

    name: str
    title: str
    unit: str
    write: Callable[[float], str]
    better: str
    in_references: bool = True


MEASURES = (
    Measure("psnr_db", "PSNR", "dB", lambda value: number(value, 2), "high"),
    Measure("psnr_diff_db", "Difference to plain", "dB", lambda value: number(value, 2, signed=True), "high", False),
    Measure("ssim", "SSIM", "", lambda value: number(value, 4), "high"),
    Measure("rmse_hu", "RMSE", "HU", lambda value: number(value, 1), "low"),
    Measure("relative_non_equivariance", "‖W−PW‖ / ‖W‖", "", scientific, "low", False),
    Measure("defect", "Measured defect", "", scientific, "low", False),
)


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; ``value`` is what sorting looks at."""

    text: str
    value: float | None = None
    interval: str = ""
    best: bool = False
    judgement: str = ""


@dataclass(frozen=True)
class Row:
    """A model or a reference: its name, its mark, its weights and one cell for each measure."""

    label: str
    mark: Mark | None
    weights: list[Cell]
    cells: list[Cell]


@dataclass(frozen=True)
class ResultTable:
    """The main table of one network."""

    network: str
    weight_titles: list[str]
    rows: list[Row]
    references: list[Row]
    download: str
    seeds: str
    n_pairs: int
    n_patients: int


def result_table(
    models: pd.DataFrame, references: pd.DataFrame, cost: pd.DataFrame, marks: dict[str, Mark], network: str
) -> ResultTable:
    """The main table of one network: references on top, then every model in the order of the study."""
    table = models[models["network"] == network].reset_index(drop=True)
    with_equi = bool((table["lam_equi"] > 0).any())
    ratios = {(row["method"], row["norm"]): row["ratio_to_plain"] for row in rows_of(cost[cost["network"] == network])}
    rows = [_model_row(row, ratios, marks, with_equi) for row in rows_of(table)]
    seeds = sorted(set(table["n_seeds"]))
    return ResultTable(
        network=network,
        weight_titles=["λ⊥", "λ_G"] if with_equi else ["λ⊥"],
        rows=_mark_best(rows),
        references=[_reference_row(row, with_equi) for row in rows_of(references)],
        download=download_address(table),
        seeds=" or ".join(str(n) for n in seeds) + (" seed" if seeds == [1] else " seeds"),
        n_pairs=int(table["n_pairs"].max()),
        n_patients=int(table["n_patients"].max()),
    )


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


def _model_row(row: dict[str, Any], ratios: dict[Any, float], marks: dict[str, Mark], with_equi: bool) -> Row:
    series = series_label(row["method"], row["norm"], row["lam_equi"])
    weights = [Cell(weight(row["lam_perp"]) if row["lam_perp"] else MISSING, row["lam_perp"])]
    if with_equi:
        weights.append(Cell(weight(row["lam_equi"]) if row["lam_equi"] else MISSING, row["lam_equi"]))
    cells = [measure_cell(row, measure) for measure in MEASURES]
    ratio = ratios.get((row["method"], row["norm"]), math.nan)
    cells.append(Cell(f"{number(ratio, 2)} ×" if math.isfinite(ratio) else MISSING, _finite(ratio)))
    return Row(series_label(row["method"], row["norm"]), marks[series], weights, cells)


def _reference_row(row: dict[str, Any], with_equi: bool) -> Row:
    empty = Cell("")
    cells = [measure_cell(row, measure) if measure.in_references else empty for measure in MEASURES]
    return Row(str(row["reference"]), None, [empty] * (2 if with_equi else 1), [*cells, empty])


def measure_cell(row: dict[str, Any], measure: Measure) -> Cell:
    """Mean and interval of one measure of a row of ``models.csv`` or ``references.csv``."""
    mean, low, high = (float(row[column]) for column in interval_columns(measure.name))
    if measure.name == "psnr_diff_db" and row["method"] == "plain":
        return Cell(MISSING)
    has_interval = math.isfinite(low) and math.isfinite(high)
    interval = f"[{measure.write(low)}, {measure.write(high)}]" if has_interval else ""
    judgement = judge_difference(low, high) if measure.name == "psnr_diff_db" else ""
    return Cell(measure.write(mean), _finite(mean), interval, judgement=judgement)


def _mark_best(rows: list[Row]) -> list[Row]:
    """Mark the best of each measure, and all that read the same at the printed precision."""
    marked = [list(row.cells) for row in rows]
    for index, measure in enumerate(MEASURES):
        values = [value for row in rows if (value := row.cells[index].value) is not None]
        if len(values) < 2:
            continue
        best = measure.write(max(values) if measure.better == "high" else min(values))
        for cells in marked:
            cells[index] = replace(cells[index], best=cells[index].text == best)
    return [replace(row, cells=cells) for row, cells in zip(rows, marked, strict=True)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def legend_entries(models: pd.DataFrame, marks: dict[str, Mark]) -> list[tuple[str, Mark]]:
    """Series of ``models`` in order of appearance with their marks."""
    return [(series, marks[series]) for series in dict.fromkeys(models["series"])]


def cost_rows(cost: pd.DataFrame, marks: dict[str, Mark]) -> list[Row]:
    """Rows of the cost table: step time, ratio to plain, time and share of the penalty, peak memory."""
    rows = []
    for row in rows_of(cost):
        label = series_label(row["method"], row["norm"])
        share = 100 * row["penalty_share"]
        cells = [
            Cell(number(row["milliseconds_per_step"], 1), _finite(row["milliseconds_per_step"])),
            Cell(f"{number(row['ratio_to_plain'], 3)} ×", _finite(row["ratio_to_plain"])),
            Cell(number(row["penalty_milliseconds"], 2), _finite(row["penalty_milliseconds"])),
            Cell(f"{number(share, 1)} %" if math.isfinite(share) else MISSING, _finite(share)),
            Cell(number(row["peak_memory_mb"], 0), _finite(row["peak_memory_mb"])),
        ]
        rows.append(Row(label, marks[label], [], cells))
    return rows


def quarantine_summary(quarantine: pd.DataFrame) -> list[dict[str, Any]]:
    """Number of files for each reason and remedy, most frequent first."""
    counts = Counter((row["reason"], row["remedy"]) for row in text_rows(quarantine))
    return [{"reason": reason, "remedy": remedy, "n_files": n} for (reason, remedy), n in counts.most_common()]


def model_name(row: dict[str, Any]) -> str:
    """Full name of the model of a row of ``models.csv``."""
    return model_label(row["method"], row["norm"], row["lam_perp"], row["lam_equi"])


def plain_row(models: pd.DataFrame) -> dict[str, Any] | None:
    """The plain model among ``models``, if there is one."""
    return next((row for row in rows_of(models) if row["method"] == "plain"), None)
