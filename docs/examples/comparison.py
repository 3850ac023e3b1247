"""What the tables of the examples say: means, paired differences with intervals, a figure and a table of text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import altair as alt
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

METHODS = ("plain", "augmentation", "test-time average", "strict", "penalty, tuned", "penalty, adaptive", "proximal")
REFERENCES = ("plain", "strict")
LEVEL = 0.95
BETTER, WORSE = "▲", "▼"


class Described(Protocol):
    """What a domain says of its tables; `harness.Domain` is one."""

    @property
    def title(self) -> str:
        """As in the table over all domains."""

    @property
    def dial(self) -> str:
        """What breaks the symmetry."""

    @property
    def metrics(self) -> dict[str, int]:
        """Names, to +1 where more is better and −1 where less is."""


def paired_interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences and its limits at `LEVEL`, by Student's t.

    Raises:
        ValueError: fewer than two differences.

    Examples:
        >>> [round(limit, 3) for limit in paired_interval([1.0, 2.0, 3.0])]
        [2.0, -0.484, 4.484]
    """
    values = pd.Series(differences, dtype=float)
    if len(values) < 2:
        raise ValueError(f"expected two paired differences or more, found {len(values)}")
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std() / math.sqrt(len(values))
    return values.mean(), values.mean() - half, values.mean() + half


def summary(table: pd.DataFrame, metrics: dict[str, int]) -> pd.DataFrame:
    """A row for each metric, position of the dial and method: the mean, and its gains with their limits.

    A gain is the difference to plain (or strict) of the same seed, above 0 where the method is better.

    Args:
        table: the rows of `harness.run`.
        metrics: names, to +1 where more is better and −1 where less is.
    """
    rows = []
    for (metric, dial), part in table.groupby(["metric", "dial"], sort=False):
        values = part.pivot(index="seed", columns="method", values="value")
        for method in [name for name in METHODS if name in values]:
            row = {"metric": metric, "dial": dial, "method": method, "seeds": len(values)}
            row["mean"] = values[method].mean()
            for reference in REFERENCES:
                if reference != method:
                    gain = metrics[metric] * (values[method] - values[reference])
                    names = (f"over_{reference}{end}" for end in ("", "_low", "_high"))
                    row |= dict(zip(names, paired_interval(gain.tolist()), strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def verdict(row: Any, reference: str) -> str:
    """`BETTER`, `WORSE` or nothing: whether the interval of the gain over the reference lies beside 0."""
    low, high = row[f"over_{reference}_low"], row[f"over_{reference}_high"]
    return BETTER if low > 0 else WORSE if high < 0 else ""


def decimals(rows: pd.DataFrame) -> int:
    """So many that half of a narrow interval, the first quartile, has two digits."""
    half = ((rows["over_plain_high"] - rows["over_plain_low"]) / 2).quantile(0.25)
    return max(0, 1 - math.floor(math.log10(half))) if half > 0 else 3


def cell(row: Any, places: int) -> str:
    """The mean of plain, or the gain over it with its interval."""
    if row["method"] == "plain":
        return f"{row['mean']:.{places}f}"
    gain, low, high = (f"{row['over_plain' + end]:+.{places}f}".replace("-", "−") for end in ("", "_low", "_high"))
    return f"{gain} [{low}, {high}] {verdict(row, 'plain')}".strip()


def markdown(table: pd.DataFrame, domain: Described) -> str:
    """A table for each metric: plain's mean, and the gains of the other methods over it."""
    parts = []
    for metric, rows in summary(table, domain.metrics).groupby("metric", sort=False):
        present = [method for method in METHODS if method in set(rows["method"])]
        places = decimals(rows)
        parts.append(f"Gain over plain in {metric}:\n")
        parts.append(f"| {domain.dial} | " + " | ".join(present) + " |")
        parts.append("|---" * (1 + len(present)) + "|")
        for dial, of_dial in rows.groupby("dial", sort=False):
            cells = {row["method"]: cell(row, places) for _, row in of_dial.iterrows()}
            parts.append(f"| {dial:g} | " + " | ".join(cells[method] for method in present) + " |")
        parts.append("")
    return "\n".join(parts)


def figure(table: pd.DataFrame, domain: Described) -> alt.VConcatChart:
    """For each metric the means against the dial, and the gains over plain with their intervals."""
    rows = summary(table, domain.metrics)
    order = list(METHODS)
    scale = alt.Scale(domain=order, scheme="tableau10")
    panels = []
    for metric, of_metric in rows.groupby("metric", sort=False):
        base = alt.Chart(of_metric).encode(
            x=alt.X("dial:O", title=domain.dial, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("method:N", sort=order),  # side by side, or intervals hide each other
            color=alt.Color("method:N", sort=order, scale=scale, title=None),
        )
        means = base.mark_point(filled=True, size=60, opacity=1).encode(
            y=alt.Y("mean:Q", title=str(metric), scale=alt.Scale(zero=False))
        )
        gains = base.transform_filter("datum.method != 'plain'")
        limits = gains.mark_rule().encode(
            y=alt.Y("over_plain_low:Q", title="gain over plain"), y2=alt.Y2("over_plain_high:Q")
        )
        middles = gains.mark_point(filled=True, size=60, opacity=1).encode(
            y=alt.Y("over_plain:Q", title="gain over plain")
        )
        zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3]).encode(y="zero:Q")
        size = {"width": 420, "height": 220}
        panels.append(alt.hconcat(means.properties(**size), alt.layer(zero, limits, middles).properties(**size)))
    return alt.vconcat(*panels)


def save_figure(chart: alt.VConcatChart, path: Path) -> None:
    """Write a PNG or SVG by the ending of the path, under a temporary name first."""
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    chart.save(temporary)
    temporary.replace(path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write CSV under a temporary name first; six digits are more than a seed decides."""
    temporary = path.with_name(f".{path.name}.partial")
    table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    temporary.replace(path)
