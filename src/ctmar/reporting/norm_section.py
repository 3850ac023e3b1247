"""Norms of the penalty where they broke the symmetry alike: quality against measured defect, and a table of it."""

from typing import Any

import pandas as pd

from ctmar.config.labels import MISSING, scientific, setting_label, weight
from ctmar.config.methods import Kind
from ctmar.evaluation.columns import FROBENIUS_DIFFERENCE
from ctmar.evaluation.norms_at_defect import REFERENCE
from ctmar.reporting.charts import SMALLEST_SHOWN, interval_text, with_plain_at_zero, write_value
from ctmar.reporting.facets import facets_of, facets_of_all
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.panels import Line, Panel, Panels, dots, horizontal, interval, line, log_ticks, vertical
from ctmar.reporting.required_columns import interval_columns
from ctmar.reporting.shown_tables import Cell, Heading, Measure, Row, RowGroup, Table, decimals, measure_cell
from ctmar.reporting.small_multiples import swept_settings
from ctmar.reporting.study_files import rows_of

_STANDARD = {"method": "projection", "start": "equivariant", "compute": 1.0}
_SHARES = {0.5: "1/2", 0.25: "1/4", 0.125: "1/8"}


def defect_panels(models: pd.DataFrame, measure: str, y_title: str) -> Panels | None:
    """Quality against measured defect, one panel for each norm; Frobenius is the dashed line in all.

    Args:
        models: rows of one network from `prepare_models`.
        measure: column family of the vertical axis.
        y_title: what it shows, with unit.

    Returns:
        None where there is but one norm.
    """
    table = with_plain_at_zero(models, measure)
    plain, swept = table[(table["method"] == "plain") & table["standard"]], swept_settings(table)
    if swept["series"].nunique() < 2:
        return None
    columns = interval_columns(measure)
    defects = pd.concat([plain, swept])["defect_mean"].clip(lower=SMALLEST_SHOWN)
    x = horizontal(defects.tolist(), log_ticks(defects.min() / 1.6, defects.max() * 1.6), logarithmic=True)
    y = vertical(pd.concat([swept, plain])[columns].to_numpy(float).ravel().tolist())
    paths = {}
    for series, own in swept.groupby("series", sort=False):
        curve = pd.concat([plain.head(1), own.sort_values("lam_perp")])
        paths[series] = curve, line(x, y, curve["defect_mean"].tolist(), curve[columns[0]].tolist())
    frobenius = [path for curve, path in paths.values() if _is_reference(rows_of(curve)[-1])]
    dashed = [Line(path, "plain") for path in frobenius]
    panels = [_panel(str(series), curve, path, dashed, (x, y, measure)) for series, (curve, path) in paths.items()]
    return Panels(x, y, "measured defect", y_title, panels)


def _panel(series: str, curve: pd.DataFrame, path: str, dashed: list[Line], axes: tuple[Any, Any, str]) -> Panel:
    x, y, measure = axes
    mean, low, high = interval_columns(measure)
    rows = list(zip(rows_of(curve), interval_text(curve, measure), strict=True))
    bars = "".join(interval(x, y, row["defect_mean"], row[low], row[high]) for row, _ in rows)
    places = [
        (
            row["defect_mean"],
            row[mean],
            f"λ⊥ = {weight(row['lam_perp'])}: {text}, defect {write_value('defect', row['defect_mean'])}",
        )
        for row, text in rows
    ]
    title = series.partition(", ")[2]
    return Panel(
        title[:1].upper() + title[1:],
        curve["colour"].iloc[-1],
        [*dashed, Line(bars, "interval"), Line(path, "mean")],
        dots(x, y, places),
        facets=facets_of_all(curve[curve["method"] != "plain"]),
    )


def norm_table(norms: pd.DataFrame, network: str, marks: dict[SeriesKey, Mark]) -> Table | None:
    """PSNR of every norm less that of Frobenius at shares of the plain network's defect; None without a second norm.

    Args:
        norms: ``norms_at_defect.csv``.
        network: name of the network.
        marks: mark of every method and norm.
    """
    own = norms[norms["network"] == network]
    if own.groupby(["norm", "power"]).ngroups < 2:
        return None
    shares = sorted(set(own["share"]), reverse=True)
    measure = Measure(FROBENIUS_DIFFERENCE, "", "dB", decimals(2, signed=True), judged=True)
    rows = []
    for (norm, power), group in own.groupby(["norm", "power"], sort=False):
        setting = _STANDARD | {"network": network, "norm": norm, "power": power}
        by_share = {row["share"]: row for row in rows_of(group)}
        cells = [_cell(by_share.get(share), measure, _is_reference(setting)) for share in shares]
        rows.append(Row(setting_label(setting), marks["projection", str(norm)], cells, facets=facets_of(setting)))
    defect = {share: own.loc[own["share"] == share, "defect"].iloc[0] for share in shares}
    family = "PSNR less Frobenius, at a share of the plain network’s measured defect"
    headings = [
        Heading(f"{_SHARES.get(share, f'{share:g}')} (defect {scientific(defect[share])})", "dB", family)
        for share in shares
    ]
    return Table(f"norms-{network}", headings, [RowGroup(Kind.PENALTY, rows)])


def _cell(row: dict[str, Any] | None, measure: Measure, is_reference: bool) -> Cell:
    if row is None or not row["reached"]:
        return Cell("not reached")
    return Cell(MISSING) if is_reference else measure_cell(row, measure)


def _is_reference(setting: dict[str, Any]) -> bool:
    return bool(setting["norm"] == REFERENCE and setting["power"] == 1)
