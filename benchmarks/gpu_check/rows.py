"""Figures of a part, written one by one: what was measured before a crash stays."""

import json
import statistics
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure: median and quartiles of ``n`` values, and where there is one the target and whether it is met.

    ``target`` starts with ≤ or ≥. A row without a value says in ``note`` why there is none.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Target:
    """A bound that a figure should keep, ``Target("≤", 0.01, "1 %")``; judged on a GPU only."""

    sign: str
    bound: float
    text: str

    def is_met(self, value: float) -> bool:
        """Whether the value keeps the bound."""
        return value <= self.bound if self.sign == "≤" else value >= self.bound


class Recorder:
    """Writes the rows of a part, one JSON object a line."""

    def __init__(self, path: Path, judge: bool) -> None:
        self._path, self._judge, self.n_missing = path, judge, 0

    def __call__(
        self, name: str, values: float | Sequence[float], unit: str, target: Target | None = None, note: str = ""
    ) -> None:
        """Record a single value, or the median and quartiles of several."""
        given = [float(values)] if isinstance(values, int | float) else [float(value) for value in values]
        middle = statistics.median(given)
        low, _, high = statistics.quantiles([*given, middle] if len(given) == 1 else given, n=4, method="inclusive")
        met = target.is_met(middle) if target and self._judge else None
        text = f"{target.sign} {target.text}" if target else ""
        self._write(Row(name, middle, low, high, len(given), unit, text, met, note))

    def missing(self, name: str, note: str) -> None:
        """Record that there is no figure, and why."""
        self.n_missing += 1
        self._write(Row(name, None, note=note))

    def attempt(self, name: str, work: Callable[[], Any]) -> Any:
        """Do ``work``; what goes wrong becomes a row that says so, and the part goes on."""
        try:
            return work()
        # anything can go wrong in untried code on an unknown GPU, and all of it is a finding to report
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self.missing(name, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            return None

    def _write(self, row: Row) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        print(shown(row), flush=True)


def shown(row: Row) -> str:
    """A row as one line of text.

    Examples:
        >>> shown(Row("plain step", 0.05, 0.04, 0.06, 9, "s"))
        'plain step: 0.05 s (0.04 to 0.06, n = 9)'
    """
    if row.value is None:
        return f"{row.name}: {row.note}"
    spread = f" ({row.low:.4g} to {row.high:.4g}, n = {row.n})" if row.n > 1 else ""
    verdict = {True: ", met", False: ", MISSED", None: ""}[row.met]
    target = f"; target {row.target}{verdict}" if row.target else ""
    return f"{row.name}: {row.value:.4g} {row.unit}{spread}{target}" + (f"; {row.note}" if row.note else "")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a part that may have ended at any moment: a last line that is not whole is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]
