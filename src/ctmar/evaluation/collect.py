"""The tables of a finished study; `ctmar.evaluation.columns` names their columns."""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ctmar.config import Judgement, Run
from ctmar.errors import InputError
from ctmar.evaluation.claims import judge_claims
from ctmar.evaluation.columns import (
    CONDITION,
    CURVE_COLUMNS,
    DIFFERENCES_OF_A_RUN,
    DIVERGED,
    FINISHED,
    IDENTITY,
    MEASURES_OF_A_RUN,
    PAIR_COLUMNS,
    VARIANCE_COLUMNS,
    curve_columns,
    dial_columns,
    difference,
    diverged_columns,
    group_columns,
    layer_columns,
    layer_curve_columns,
    model_columns,
    norm_columns,
    not_finite_columns,
    reference_columns,
    run_columns,
    slice_columns,
)
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.dial import dial_rows
from ctmar.evaluation.groups import MeasuredImages, everything_measured, group_rows, interval_fields, slice_rows
from ctmar.evaluation.intervals import NOTHING
from ctmar.evaluation.layer_tables import layer_curve_rows, layer_rows
from ctmar.evaluation.measured_study import LeaveOut, MeasuredStudy, read_study
from ctmar.evaluation.model_table import model_row, tests_against_plain
from ctmar.evaluation.norms_at_defect import norm_rows
from ctmar.evaluation.not_finite import not_finite_rows
from ctmar.evaluation.preference import choices
from ctmar.evaluation.primary import variance_rows
from ctmar.evaluation.questions import ask_questions
from ctmar.evaluation.run_results import check_numbers
from ctmar.store.atomic import atomic_path
from ctmar.store.parquet import write_parquet
from ctmar.store.run_records import RunDescription
from ctmar.store.tables import read_rows, write_rows

Row = dict[str, Any]
Rows = list[dict[str, str]]
_RATIO = ("ratio_to_plain", "ratio_low", "ratio_high", "ratio_coverage")
_COST_NUMBERS = (*_RATIO, "penalty_milliseconds", "n_parameters", "n_repeats")


def collect(
    run_folders: Sequence[Path],
    references: Path,
    cost: Path,
    settings: Judgement,
    output: Path,
    leave_out: LeaveOut | None = None,
) -> None:
    """Write the tables of a study (CSV), every measured slice (Parquet), and claims and questions (JSON).

    Where every run diverged, tables of models are empty but for their header. All but runs.csv, diverged.csv, dial.csv
    and the primary comparisons that name another are about the base condition.

    Args:
        run_folders: folders of trained and measured runs.
        references: table of `evaluate_references`.
        cost: table of `measure_cost`.
        settings: level of the intervals, margin of equivalence, and primary comparisons.
        output: folder for the tables.
        leave_out: told what cannot be read, and why, of a study that is not finished; it is left out. None: an error.

    Raises:
        InputError: a file is missing or malformed, or runs or references were measured on different pairs.
    """
    study = read_study(run_folders, settings, leave_out)
    measured = everything_measured(study, _unless(leave_out, "References", lambda: _read_references(study, references)))
    p_values, chosen = tests_against_plain(study), choices(study)
    preferred_models = [model for model in study.models if chosen[model.identity]["chosen"]]
    models = [model_row(study, model) | p_values[model.identity] | chosen[model.identity] for model in study.models]
    tables = {
        "models": (model_columns(study.angles_deg, study.metrics), models),
        "sizes": (group_columns("metal_size"), group_rows(study, measured, "metal_size")),
        "materials": (group_columns("metal"), group_rows(study, measured, "metal")),
        "runs": (
            run_columns(study.metrics),
            [row for under in study.conditions.values() for row in _rows_of_condition(under)],
        ),
        "diverged": (
            diverged_columns(),
            [_diverged_row(one) for under in study.conditions.values() for one in under.diverged],
        ),
        "references": (
            reference_columns(study.metrics),
            [_reference_row(study, one) for one in measured if one.model is None],
        ),
        "curves": (curve_columns(), [row for model in study.models for row in _curve_rows(model)]),
        "layers": (
            layer_columns(),
            _unless(leave_out, "The layers of the networks", lambda: layer_rows(preferred_models)),
        ),
        "layer_curves": (
            layer_curve_columns(),
            _unless(leave_out, "The layers through training", lambda: layer_curve_rows(preferred_models)),
        ),
        "dial": (dial_columns(), dial_rows(study)),
        "norms_at_defect": (norm_columns(), list(norm_rows(study))),
        "not_finite": (not_finite_columns(), list(not_finite_rows(study))),
        "variances": (list(VARIANCE_COLUMNS), variance_rows(study)),
    }
    cost_rows = _unless(leave_out, "The cost of a training step", lambda: _read_cost(cost))
    findings = {"claims": judge_claims(study, cost_rows), "questions": ask_questions(study, cost_rows)}
    for name, (columns, rows) in tables.items():
        write_rows(output / f"{name}.csv", columns, rows)
    write_parquet(output / "slices.parquet", slice_columns(study.metrics), slice_rows(study, measured))
    for name, found in findings.items():
        with atomic_path(output / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _unless(leave_out: LeaveOut | None, what: str, read: Callable[[], Rows]) -> Rows:
    """The rows of a table; none of one that may be left out and cannot be read."""
    try:
        return read()
    except InputError as error:
        if leave_out is None:
            raise
        leave_out(what, str(error))
        return []


def _read_cost(path: Path) -> Rows:
    rows = read_rows(path, ("network", "method", "norm", *_COST_NUMBERS))
    check_numbers(path, rows, _COST_NUMBERS)
    return rows


def _read_references(study: MeasuredStudy, path: Path) -> Rows:
    """The table of `evaluate_references`, on the pairs of the study in their order.

    Raises:
        InputError: it is missing or malformed, or a reference was measured on other pairs than the models.
    """
    rows = read_rows(path, ("reference", *PAIR_COLUMNS, *study.metrics))
    check_numbers(path, rows, study.metrics)
    found = {(row["reference"], *(row[column] for column in PAIR_COLUMNS)): row for row in rows}
    names = dict.fromkeys(row["reference"] for row in rows)
    for name, pair in product(names, study.pairs):
        if (name, *pair) not in found:
            raise InputError(f"{path}: {name} was measured on different test pairs than the models")
    return [found[name, *pair] for name, pair in product(names, study.pairs)]


def _rows_of_condition(study: MeasuredStudy) -> list[Row]:
    """One row for each run under one condition."""
    return [*(row for model in study.models for row in _run_rows(study, model)), *_rows_without_measures(study)]


def _run_rows(study: MeasuredStudy, model: Model) -> list[Row]:
    """One row for each seed of a model: means over the patients, of each the mean over its pairs."""
    return [
        dict(zip(IDENTITY, model.identity, strict=True))
        | dict(zip(CONDITION, study.condition, strict=True))
        | {"seed": run.seed, "state": FINISHED}
        | {metric: study.over_patients(run.metrics[metric][None]).mean for metric in study.metrics}
        | _differences_of_seed(study, model.of_seeds([run.seed]))
        | {name: getattr(run.measurements, name) for name in MEASURES_OF_A_RUN}
        | {"validation_psnr": run.validation_psnr, "seconds_total": run.description.seconds_total}
        for run in model.runs
    ]


def _differences_of_seed(study: MeasuredStudy, model: Model) -> Row:
    """What one seed of a model gained on plain training with the same seed, pair by pair."""
    plain = study.plain_of(model)
    gaps = {
        metric: NOTHING if plain is None or plain.identity == model.identity else study.difference(model, plain, metric)
        for metric in DIFFERENCES_OF_A_RUN
    }
    return {difference(metric): gap.mean for metric, gap in gaps.items()}


def _rows_without_measures(study: MeasuredStudy) -> list[Row]:
    """One row for each run that diverged; it has no measures."""
    return [
        dict.fromkeys(run_columns(study.metrics), "")
        | _settings_of(one.run)
        | {"state": DIVERGED, "seconds_total": one.seconds_total}
        for one in study.diverged
    ]


def _diverged_row(one: RunDescription) -> Row:
    where = {} if one.diverged is None else one.diverged.model_dump()
    return _settings_of(one.run) | where | {"seconds_total": one.seconds_total}


def _settings_of(run: Run) -> Row:
    return {name: getattr(run, name) for name in (*IDENTITY, *CONDITION, "seed")}


def _reference_row(study: MeasuredStudy, reference: MeasuredImages) -> Row:
    """Input, linear interpolation or NMAR on the same pairs as the models."""
    row: Row = {"reference": reference.identity[1]}
    for metric in study.metrics:
        row |= interval_fields(metric, reference.estimate(study, metric), study.alpha)
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
