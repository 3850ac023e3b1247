"""The tables of a finished study; `ctmar.evaluation.columns` names their columns."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctmar.config import Judgement
from ctmar.errors import InputError
from ctmar.evaluation.claims import judge_claims
from ctmar.evaluation.columns import (
    CURVE_COLUMNS,
    IDENTITY,
    MEASURES_OF_A_RUN,
    PAIR_COLUMNS,
    curve_columns,
    group_columns,
    model_columns,
    reference_columns,
    run_columns,
    slice_columns,
)
from ctmar.evaluation.groups import MeasuredImages, everything_measured, group_rows, interval_fields, slice_rows
from ctmar.evaluation.measured_study import MeasuredStudy, Model, check_numbers, read_study
from ctmar.evaluation.model_table import model_row, tests_against_plain
from ctmar.evaluation.preference import choices
from ctmar.evaluation.questions import ask_questions
from ctmar.store.atomic import atomic_path
from ctmar.store.parquet import write_parquet
from ctmar.store.tables import read_rows, write_rows

Row = dict[str, Any]
_COST_NUMBERS = ("ratio_to_plain", "penalty_milliseconds")


def collect(run_folders: Sequence[Path], references: Path, cost: Path, settings: Judgement, output: Path) -> None:
    """Write models, sizes, materials, runs, references, curves (CSV), slices.parquet, claims and questions (JSON).

    Args:
        run_folders: folders of trained and measured runs.
        references: table of `evaluate_references`.
        cost: table of `measure_cost`.
        settings: level of the intervals, margin of equivalence, and primary comparisons.
        output: folder for the tables.

    Raises:
        InputError: a file is missing or malformed, or runs or references were measured on different pairs.
    """
    study = read_study(run_folders, settings)
    measured = everything_measured(study, _read_references(study, references))
    p_values, chosen = tests_against_plain(study), choices(study)
    models = [model_row(study, model) | p_values[model.identity] | chosen[model.identity] for model in study.models]
    tables = {
        "models": (model_columns(study.angles_deg, study.metrics), models),
        "sizes": (group_columns("metal_size"), group_rows(study, measured, "metal_size")),
        "materials": (group_columns("metal"), group_rows(study, measured, "metal")),
        "runs": (run_columns(study.metrics), [row for model in study.models for row in _run_rows(study, model)]),
        "references": (
            reference_columns(study.metrics),
            [_reference_row(study, one) for one in measured if one.seeds == [None]],
        ),
        "curves": (curve_columns(), [row for model in study.models for row in _curve_rows(model)]),
    }
    cost_rows = read_rows(cost, ("method", "norm", *_COST_NUMBERS))
    check_numbers(cost, cost_rows, _COST_NUMBERS)
    findings = {"claims": judge_claims(study, cost_rows), "questions": ask_questions(study, cost_rows)}
    for name, (columns, rows) in tables.items():
        write_rows(output / f"{name}.csv", columns, rows)
    write_parquet(output / "slices.parquet", slice_columns(study.metrics), slice_rows(study, measured))
    for name, found in findings.items():
        with atomic_path(output / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_references(study: MeasuredStudy, path: Path) -> list[dict[str, str]]:
    """The table of `evaluate_references`.

    Raises:
        InputError: it is missing or malformed, or a reference was measured on other pairs than the models.
    """
    rows = read_rows(path, ("reference", *PAIR_COLUMNS, *study.metrics))
    for name in dict.fromkeys(row["reference"] for row in rows):
        pairs = [tuple(row[column] for column in PAIR_COLUMNS) for row in rows if row["reference"] == name]
        if pairs != study.models[0].runs[0].pairs:
            raise InputError(f"{path}: {name} was measured on different test pairs than the models")
    check_numbers(path, rows, study.metrics)
    return rows


def _run_rows(study: MeasuredStudy, model: Model) -> list[Row]:
    """One row for each seed of a model: means over the patients, of each the mean over its pairs."""
    return [
        dict(zip(IDENTITY, model.identity, strict=True))
        | {"seed": run.seed}
        | {metric: study.estimate(run.metrics[metric][None]).mean for metric in study.metrics}
        | {name: getattr(run.measurements, name) for name in MEASURES_OF_A_RUN}
        | {"validation_psnr": run.validation_psnr, "seconds_total": run.description.seconds_total}
        for run in model.runs
    ]


def _reference_row(study: MeasuredStudy, reference: MeasuredImages) -> Row:
    """Input, linear interpolation or NMAR on the same pairs as the models."""
    row: Row = {"reference": reference.identity[1]}
    for metric in study.metrics:
        row |= interval_fields(metric, reference.interval(study, metric))
    return row | {"n_pairs": len(study.patients)}


def _curve_rows(model: Model) -> list[Row]:
    """One row for each epoch of each seed."""
    return [
        dict(zip(IDENTITY, model.identity, strict=True))
        | {"seed": run.seed}
        | {column: getattr(epoch, column) for column in CURVE_COLUMNS}
        for run in model.runs
        for epoch in run.epochs
    ]
