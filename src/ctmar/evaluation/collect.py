"""The tables of a finished study: one row for each model, run, reference and epoch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctmar.config import Evaluation
from ctmar.evaluation.claims import judge_claims
from ctmar.evaluation.results import IDENTITY, Model, StudyResults, read_study
from ctmar.evaluation.slices import METRICS, PAIR_COLUMNS
from ctmar.evaluation.statistics import Interval
from ctmar.store.atomic import atomic_path
from ctmar.store.tables import read_rows, write_rows

Row = dict[str, Any]
DIFFERENCES = {"psnr_db": "psnr_diff_db", "ssim": "ssim_diff", "rmse_hu": "rmse_diff_hu"}
NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"))
CURVE_COLUMNS = ("epoch", "step", "loss", "task_loss", "penalty", "learning_rate", "validation_loss", "validation_psnr")


def collect(run_folders: Sequence[Path], references: Path, cost: Path, settings: Evaluation, output: Path) -> None:
    """Write models.csv, runs.csv, references.csv, curves.csv and claims.json into the folder ``output``.

    Args:
        run_folders: folders of trained and measured runs.
        references: table of `evaluate_references`.
        cost: table of `measure_cost`.
        settings: bootstrap.
        output: folder for the tables.

    Raises:
        InputError: a file is missing or malformed, or runs were measured on different pairs.
    """
    study = read_study(run_folders, settings)
    tables = {
        "models": [model_row(study, model) for model in study.models],
        "runs": [row for model in study.models for row in run_rows(model)],
        "references": reference_rows(study, references),
        "curves": [row for model in study.models for row in curve_rows(model)],
    }
    for name, rows in tables.items():
        write_rows(output / f"{name}.csv", list(rows[0]), rows)
    claims = judge_claims(study, read_rows(cost, ("method", "norm", "ratio_to_plain", "penalty_milliseconds")))
    with atomic_path(output / "claims.json") as temporary:
        temporary.write_text(json.dumps(claims, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def model_row(study: StudyResults, model: Model) -> Row:
    """One model over its seeds: intervals of every measure and the paired differences to the plain model."""
    plain = study.plain_of(model)
    row = dict(zip(IDENTITY, model.identity, strict=True))
    for metric in METRICS:
        row |= _columns(metric, study.interval(model.metric(metric)))
        gap = NO_INTERVAL if plain is None or plain is model else study.difference(model, plain, metric)
        row |= _columns(DIFFERENCES[metric], gap)
    for column, name in (("relative_non_equivariance", "relative_non_equivariance"), ("defect", "defect_mean")):
        row |= _columns(column, study.interval_over_seeds(model.per_seed(name)))
    return row | {
        "seconds_per_step": float(np.median([run.description["seconds_per_step_median"] for run in model.runs])),
        "peak_memory_mb": float(np.max([run.description["peak_memory_mb"] for run in model.runs])),
        "n_parameters": model.runs[0].description["n_parameters"],
        "n_seeds": len(model.runs),
        "n_pairs": len(study.patients),
        "n_patients": len(set(study.patients)),
    }


def run_rows(model: Model) -> list[Row]:
    """One row for each seed of a model: means over the test pairs."""
    return [
        dict(zip(IDENTITY, model.identity, strict=True))
        | {"seed": run.seed}
        | {metric: float(np.mean(run.metrics[metric])) for metric in METRICS}
        | {name: run.model[name] for name in ("relative_non_equivariance", "defect_mean", "defect_max")}
        | {"validation_psnr": run.epochs[-1]["validation_psnr"], "seconds_total": run.description["seconds_total"]}
        for run in model.runs
    ]


def reference_rows(study: StudyResults, references: Path) -> list[Row]:
    """Input and linear interpolation on the same pairs as the models."""
    table = read_rows(references, ("reference", *PAIR_COLUMNS, *METRICS))
    rows = []
    for name in dict.fromkeys(row["reference"] for row in table):
        own = [row for row in table if row["reference"] == name]
        row: Row = {"reference": name}
        for metric in METRICS:
            row |= _columns(metric, study.interval(np.array([[float(entry[metric]) for entry in own]])))
        rows.append(row)
    return rows


def curve_rows(model: Model) -> list[Row]:
    """One row for each epoch of each seed."""
    return [
        dict(zip(IDENTITY, model.identity, strict=True))
        | {"seed": run.seed}
        | {column: epoch[column] for column in CURVE_COLUMNS}
        for run in model.runs
        for epoch in run.epochs
    ]


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_mean": interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
