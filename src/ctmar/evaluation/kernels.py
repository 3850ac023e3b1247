"""What other kernels, as another processor has them, change in a study: verdicts, and the spread of every figure.

Sums of float32 depend on the order of their terms, and that on the processor's vector instructions. Training amplifies
the last digits: a run with other kernels is another run, as one with another seed is.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctmar.errors import InputError
from ctmar.evaluation.columns import IDENTITY
from ctmar.store.atomic import atomic_path
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import read_rows

Row = dict[str, Any]
_LOW, _HIGH, _MEAN = "_low", "_high", "_mean"


def compare_kernels(summaries: Mapping[str, Path]) -> dict[str, Any]:
    """Compare the tables of one study that was run under several settings of kernels.

    A model of which every run diverged under one setting is in no figure: it has no value there.

    Args:
        summaries: name of a setting and the folder of `collect`'s tables; intervals are those of the first.

    Returns:
        ``settings``: their names. ``diverged``: how many runs diverged under each. ``verdicts``: for every claim and
        question its role, and what was measured and decided under each setting. ``figures``: for every model and
        measure with an interval the values under each setting, their ``spread`` (largest less smallest) and the
        ``half_width`` of the interval. ``measures``: over the models the ``largest_spread`` of a measure, and the
        ``median_share`` that the spread has of the half-width.

    Raises:
        InputError: fewer than two settings, or they are about different claims or models.

    Examples:
        >>> compare_kernels({})
        Traceback (most recent call last):
        ctmar.errors.InputError: expected a study under two settings of kernels or more, found 0
    """
    if len(summaries) < 2:
        raise InputError(f"expected a study under two settings of kernels or more, found {len(summaries)}")
    folders = list(summaries.values())
    lost = [read_rows(path / "diverged.csv", IDENTITY) for path in folders]
    figures = _figures([path / "models.csv" for path in folders], [{_identity(row) for row in rows} for rows in lost])
    return {
        "settings": list(summaries),
        "diverged": [len(rows) for rows in lost],
        "verdicts": [
            row
            for name in ("questions", "claims")
            for row in _verdicts([path / f"{name}.json" for path in folders], any(lost))
        ],
        "measures": [
            _over_models(measure, [row for row in figures if row["measure"] == measure])
            for measure in dict.fromkeys(row["measure"] for row in figures)
        ],
        "figures": figures,
    }


def turned_verdicts(comparison: Mapping[str, Any]) -> list[str]:
    """Claims and questions whose verdict is not the same under all settings."""
    return [row["claim"] for row in comparison["verdicts"] if len(set(row["verdict"])) > 1]


def kernels_of_study(results: Path) -> str:
    """The instructions that torch says it used in the first run of a study.

    Raises:
        InputError: there is no run.
    """
    folder = min((path.parent for path in (results / "runs").rglob("run.json")), default=results / "runs")
    return RunFolder(folder).read_description().provenance.processor


def comparison_table(comparison: Mapping[str, Any]) -> str:
    """Verdicts and spreads as Markdown."""
    settings = [
        f"{name} ({n_diverged} diverged)" if n_diverged else name
        for name, n_diverged in zip(comparison["settings"], comparison["diverged"], strict=True)
    ]
    lines = [f"| claim | role | {' | '.join(settings)} |", "|---" * (2 + len(settings)) + "|"]
    lines += [f"| {row['claim']} | {row['role']} | {' | '.join(row['verdict'])} |" for row in comparison["verdicts"]]
    lines += ["", "| measure | models | largest spread | of the half-width, median |", "|---|---|---|---|"]
    for row in comparison["measures"]:
        share = "" if row["median_share"] is None else f"{row['median_share']:.2f}"
        lines.append(f"| {row['measure']} | {row['n_models']} | {row['largest_spread']:.3g} | {share} |")
    return "\n".join(lines)


def write_comparison(comparison: Mapping[str, Any], output: Path) -> None:
    """Write ``kernels.json``, from which the report shows what other kernels changed."""
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(comparison, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _verdicts(paths: Sequence[Path], some_diverged: bool) -> list[Row]:
    """What all settings judge; without the models that diverged, a question is not asked."""
    tables = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    claims = [[row["claim"] for row in table] for table in tables]
    for path, found in zip(paths, claims, strict=True):
        if found != claims[0] and not some_diverged:
            raise InputError(f"{path}: expected the claims of {paths[0]}, found others: run both with the same code")
    return shared_verdicts(tables)


def shared_verdicts(tables: Sequence[Sequence[Mapping[str, str]]]) -> list[Row]:
    """What several tables of claims or questions all judge, in the order of the first.

    Returns:
        For each claim its role, and ``verdict`` and ``measured`` of every table.
    """
    by_claim = [{row["claim"]: row for row in table} for table in tables]
    return [
        {"claim": claim, "role": first["role"]}
        | {key: [table[claim][key] for table in by_claim] for key in ("verdict", "measured")}
        for claim, first in by_claim[0].items()
        if all(claim in table for table in by_claim)
    ]


def _identity(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in IDENTITY)


def _figures(paths: Sequence[Path], lost: Sequence[set[tuple[str, ...]]]) -> list[Row]:
    tables = [{_identity(row): row for row in read_rows(path, IDENTITY)} for path in paths]
    for path, table, diverged in zip(paths, tables, lost, strict=True):
        if tables[0].keys() - table.keys() - diverged or table.keys() - tables[0].keys() - lost[0]:
            raise InputError(f"{path}: expected the models of {paths[0]}, found others")
    return [
        dict(zip(IDENTITY, identity, strict=True)) | figure
        for identity, first in tables[0].items()
        if all(identity in table for table in tables)
        for measure in _measures(first)
        if (figure := _figure(measure, [table[identity] for table in tables])) is not None
    ]


def _measures(row: Mapping[str, str]) -> list[str]:
    names = [name.removesuffix(_LOW) for name in row if name.endswith(_LOW)]
    return [name for name in names if {name + _MEAN, name + _HIGH} <= row.keys()]


def _figure(measure: str, rows: Sequence[Mapping[str, str]]) -> Row | None:
    """A measure of a model; None where it has no value, as the difference of a model to itself."""
    values = [_number(row[measure + _MEAN]) for row in rows]
    if not all(map(math.isfinite, values)):
        return None
    width = _number(rows[0][measure + _HIGH]) - _number(rows[0][measure + _LOW])
    half_width = width / 2 if math.isfinite(width) else None
    return {"measure": measure, "values": values, "spread": max(values) - min(values), "half_width": half_width}


def _number(text: str) -> float:
    return float(text or "nan")


def _over_models(measure: str, figures: Sequence[Row]) -> Row:
    shares = [figure["spread"] / figure["half_width"] for figure in figures if figure["half_width"]]
    return {
        "measure": measure,
        "n_models": len(figures),
        "largest_spread": max(figure["spread"] for figure in figures),
        "median_share": statistics.median(shares) if shares else None,
    }
