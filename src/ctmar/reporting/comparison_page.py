"""Two studies side by side: one page in the style of the report, and its tables as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ctmar.config.labels import condition_parts, model_label, scientific
from ctmar.errors import InputError
from ctmar.evaluation.columns import CONDITION, IDENTITY, interval_columns
from ctmar.evaluation.compared_studies import DIFFERENCES, ONLY_COLUMNS, SETTING_COLUMNS
from ctmar.evaluation.verdicts import PRIMARY
from ctmar.reporting.environment import asset, environment
from ctmar.reporting.marks import assign_marks
from ctmar.reporting.shown_tables import Context, Measure, Table, decimals, judge_difference, model_table
from ctmar.reporting.wording import listing, plural
from ctmar.store.atomic import atomic_folder
from ctmar.store.tables import write_rows

PAGE = "index.html"
_OWN_FILES = {PAGE, "settings.csv", "only.csv", "verdicts.csv", "origins.csv"}
_FAMILY = "B − A"
_NAMED = 3  # of the verdicts that changed, in the sentence
_MEASURES = (
    Measure("n_seeds", "Seeds", "", decimals(0), "", "Shared"),
    Measure("n_patients", "Patients", "", decimals(0), "", "Shared"),
    Measure("psnr_diff_db", "PSNR", "dB", decimals(2, signed=True), "", _FAMILY, judged=True),
    Measure("ssim_diff", "SSIM", "", decimals(4, signed=True), "", _FAMILY, judged=True),
    Measure("defect_diff", "Measured defect", "", scientific, "", _FAMILY),
)
_TITLES = dict(zip(DIFFERENCES, ("PSNR", "SSIM", "measured defect"), strict=True))


@dataclass(frozen=True)
class StudyComparison:
    """What comparing studies A and B gave.

    Attributes:
        names: of both.
        confidence: level of the intervals.
        origins: what differs: area, dotted name, value of A, value of B.
        settings: those that both have, rows of `SETTING_COLUMNS`.
        only: those that one has, rows of `ONLY_COLUMNS`.
        verdicts: of every claim and question that both judge (`shared_verdicts`).
    """

    names: tuple[str, str]
    confidence: float
    origins: list[tuple[str, str, str, str]]
    settings: list[dict[str, Any]]
    only: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]

    @property
    def changed(self) -> list[dict[str, Any]]:
        """Claims and questions that the studies judge differently, the primary comparisons first."""
        found = [row for row in self.verdicts if row["verdict"][0] != row["verdict"][1]]
        return sorted(found, key=lambda row: row["role"] != PRIMARY)


def answer(found: StudyComparison) -> str:
    """The comparison in one sentence: the settings that are shared, those that differ, the verdicts that changed.

    Args:
        found: the comparison.
    """
    settings = found.settings
    if not settings:
        text = "The two studies share no setting"
    elif not any(row["n_pairs"] for row in settings):
        text = (
            f"The two studies share {plural(len(settings), 'setting')}, and no seed tested the same slice with the same"
            " metal in both: no difference can be paired"
        )
    else:
        text = f"The two studies share {plural(len(settings), 'setting')}; {_differing(found)}"
    return f"{text}; {_changed(found)}."


def _differing(found: StudyComparison) -> str:
    judged = {name: [_judge(row, name) for row in found.settings] for name in DIFFERENCES}
    known = [name for name in DIFFERENCES if any(judged[name])]
    if not known:
        return "none has enough shared patients and seeds for an interval"
    parts = [f"{_distinguishable(judged[name])} in {_TITLES[name]}" for name in known]
    level = f"{100 * found.confidence:g} % intervals, where there is one; not corrected for the number of settings"
    return f"their differences are distinguishable from 0 for {listing(parts)} ({level})"


def _judge(row: dict[str, Any], name: str) -> str:
    _, low, high = interval_columns(name)
    return judge_difference(row[low], row[high])


def _distinguishable(judged: list[str]) -> str:
    with_interval = [one for one in judged if one]
    n = sum(one != "undecided" for one in with_interval)
    return f"{n} of {len(with_interval)}"


def _changed(found: StudyComparison) -> str:
    n, changed = len(found.verdicts), found.changed
    if not n:
        return "they judge no claim in common"
    if not changed:
        return f"no verdict changed of {plural(n, 'claim or comparison', 'claims and comparisons')} that both judge"
    said = [f"{row['claim'].rstrip('.')} (from {row['verdict'][0]} to {row['verdict'][1]})" for row in changed]
    more = [f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return f"{len(changed)} of {plural(n, 'verdict')} changed: {'; '.join([*said[:_NAMED], *more])}"


def write_comparison(found: StudyComparison, output: Path) -> None:
    """Write the folder anew, whole or not at all.

    Args:
        found: the comparison.
        output: the folder.

    Raises:
        InputError: there is something else.
    """
    if output.exists() and (not output.is_dir() or {path.name for path in output.iterdir()} - _OWN_FILES):
        raise InputError(f"{output}: expected a new folder or one of an earlier `ctmar compare`, found other files")
    with atomic_folder(output) as made:
        _write_tables(found, made)
        (made / PAGE).write_text(render_comparison(found), encoding="utf-8")


def _write_tables(found: StudyComparison, folder: Path) -> None:
    write_rows(folder / "settings.csv", SETTING_COLUMNS, found.settings)
    write_rows(folder / "only.csv", ONLY_COLUMNS, found.only)
    columns: tuple[str, ...] = ("area", "name", "a", "b")
    write_rows(folder / "origins.csv", columns, [dict(zip(columns, row, strict=True)) for row in found.origins])
    columns = ("claim", "role", "verdict_a", "verdict_b", "measured_a", "measured_b")
    verdicts = [(row["claim"], row["role"], *row["verdict"], *row["measured"]) for row in found.verdicts]
    write_rows(folder / "verdicts.csv", columns, [dict(zip(columns, row, strict=True)) for row in verdicts])


def render_comparison(found: StudyComparison) -> str:
    """The page as text."""
    only = [(row["study"], row["network"], *_names(row), row["n_seeds"], row["why"]) for row in found.only]
    page = environment().get_template("comparison.html")
    return page.render(
        found=found,
        answer=answer(found),
        tables=list(_tables(found)),
        only=only,
        styles=[asset("report.css")],
        scripts=[asset("copying.js"), asset("tables.js")],
    )


def _names(row: dict[str, Any]) -> tuple[str, str]:
    return model_label(row), ", ".join(condition_parts(row["asymmetry"], row["slices"]))


def _tables(found: StudyComparison) -> Iterator[tuple[str, Table]]:
    """A table for each network and condition, with its title."""
    if not found.settings:
        return
    every = pd.DataFrame(found.settings)
    marks = assign_marks(zip(every["method"], every["norm"], strict=True))
    for number, (_, rows) in enumerate(every.groupby(["network", *CONDITION], sort=False)):
        first = found.settings[int(rows.index[0])]
        title = ", ".join([f"Network “{first['network']}”", *condition_parts(first["asymmetry"], first["slices"])])
        chosen = list(rows[list(IDENTITY)].itertuples(index=False, name=None))
        yield title, model_table(f"compared-{number}", rows, _MEASURES, Context(first["network"], marks, chosen))
