"""The files of a finished study, read and checked once; everything above works on these tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ctmar.errors import InputError

IDENTITY = ["network", "method", "norm", "lam_perp", "lam_equi"]
INTERVAL_MEASURES = ("psnr_db", "ssim", "rmse_hu", "psnr_diff_db", "relative_non_equivariance", "defect")
BOUNDS = ("mean", "low", "high")


def interval_columns(measure: str) -> list[str]:
    """Names of the three columns of a measure: mean and bounds of its interval."""
    return [f"{measure}_{bound}" for bound in BOUNDS]


COLUMNS = {
    "models": [
        *IDENTITY,
        *(column for measure in INTERVAL_MEASURES for column in interval_columns(measure)),
        "seconds_per_step",
        "peak_memory_mb",
        "n_seeds",
        "n_pairs",
        "n_patients",
    ],
    "runs": [*IDENTITY, "seed"],
    "references": [
        "reference",
        *interval_columns("psnr_db"),
        *interval_columns("ssim"),
        *interval_columns("rmse_hu"),
    ],
    "curves": [*IDENTITY, "seed", "epoch", "task_loss", "penalty", "validation_psnr"],
    "cost": [
        "network",
        "method",
        "norm",
        "milliseconds_per_step",
        "ratio_to_plain",
        "penalty_milliseconds",
        "penalty_share",
        "peak_memory_mb",
        "threads",
        "batch_size",
        "patch_size",
        "n_repeats",
        "device",
    ],
    "catalogue": ["patient", "series", "n_slices_found", "n_slices_kept", "pixel_mm", "source", "licence"],
    "quarantine": ["file", "reason", "remedy"],
    "split": ["patient", "subset", "n_slices"],
    "slices": ["patient", "slice_id", "mask_index", "metal_pixels", "psnr_db", "ssim", "rmse_hu"],
}
COLUMNS["reference_slices"] = ["reference", *COLUMNS["slices"]]
CLAIM_KEYS = ("claim", "source", "test", "measured", "verdict")
VERDICTS = ("agrees", "disagrees", "not decided")


@dataclass(frozen=True)
class ReportInputs:
    """Where the files of a study lie."""

    summary: Path
    references: Path
    runs: Sequence[Path]
    cost: Path
    catalogue: Path
    quarantine: Path
    split: Path
    sources: Path | None = None

    @classmethod
    def of_study(cls, results: Path, sources: Path | None = None) -> "ReportInputs":
        """The files of a study in the places where the workflow puts them, below ``results``."""
        return cls(
            summary=results / "summary",
            references=results / "references",
            runs=sorted(path.parent for path in (results / "runs").rglob("run.json")),
            cost=results / "cost.csv",
            catalogue=results / "data" / "catalogue.csv",
            quarantine=results / "data" / "quarantine.csv",
            split=results / "data" / "split.csv",
            sources=sources,
        )


@dataclass(frozen=True)
class RunRecord:
    """One trained model: its folder and what training and evaluation wrote about it."""

    folder: Path
    run: dict[str, Any]
    model: dict[str, Any]

    @property
    def identity(self) -> tuple[Any, ...]:
        """Network, method, norm and weights: the row of ``models.csv`` this run belongs to."""
        return tuple(self.run["run"][key] for key in IDENTITY)

    @property
    def seed(self) -> int:
        """Seed of initialisation, data order and method."""
        return int(self.run["run"]["seed"])


@dataclass(frozen=True)
class StudyResults:
    """Every table of a finished study."""

    models: pd.DataFrame
    runs: pd.DataFrame
    references: pd.DataFrame
    curves: pd.DataFrame
    cost: pd.DataFrame
    catalogue: pd.DataFrame
    quarantine: pd.DataFrame
    split: pd.DataFrame
    claims: list[dict[str, str]]
    sources: list[dict[str, str]]
    records: list[RunRecord]
    references_folder: Path


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def text_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table that is only shown: missing values are empty text."""
    return rows_of(table.astype(object).where(table.notna(), ""))


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read a CSV file and check that it has the columns of table ``name``.

    Raises:
        InputError: the file is missing, empty or lacks columns.
    """
    if not path.is_file():
        raise InputError(f"{path}: table not found; the report needs it")
    try:
        # a norm is called "none": only empty cells and "nan" are missing values here
        table = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a CSV table: {error}") from None
    missing = [column for column in COLUMNS[name] if column not in table.columns]
    if missing:
        raise InputError(f"{path}: expected column(s) {', '.join(missing)}, found {', '.join(table.columns)}")
    return table


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found; the report needs it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON: {error}") from None


def read_claims(path: Path) -> list[dict[str, str]]:
    """Read the paper's claims with what was measured.

    Raises:
        InputError: a claim lacks a key or has an unknown verdict.
    """
    claims: list[dict[str, str]] = read_json(path)
    for claim in claims:
        missing = [key for key in CLAIM_KEYS if key not in claim]
        if missing:
            raise InputError(f"{path}: a claim lacks the key(s) {', '.join(missing)}")
        if claim["verdict"] not in VERDICTS:
            raise InputError(f"{path}: expected verdict {' | '.join(VERDICTS)}, found {claim['verdict']!r}")
    return claims


def read_results(inputs: ReportInputs) -> StudyResults:
    """Read every file of a finished study.

    Raises:
        InputError: a file is missing or malformed; the message names it.
    """
    runs = read_table(inputs.summary / "runs.csv", "runs")
    return StudyResults(
        models=read_table(inputs.summary / "models.csv", "models"),
        runs=runs,
        references=read_table(inputs.summary / "references.csv", "references"),
        curves=read_table(inputs.summary / "curves.csv", "curves"),
        cost=read_table(inputs.cost, "cost"),
        catalogue=read_table(inputs.catalogue, "catalogue"),
        quarantine=read_table(inputs.quarantine, "quarantine"),
        split=read_table(inputs.split, "split"),
        claims=read_claims(inputs.summary / "claims.json"),
        sources=read_json(inputs.sources) if inputs.sources else [],
        records=read_records(inputs.runs, runs),
        references_folder=inputs.references,
    )


def read_records(folders: Sequence[Path], runs: pd.DataFrame) -> list[RunRecord]:
    """Read the runs of the study; folders that an earlier configuration left behind are not part of it.

    Raises:
        InputError: a run of ``runs.csv`` has no folder.
    """
    expected = set(runs[[*IDENTITY, "seed"]].itertuples(index=False, name=None))
    records = {}
    for folder in folders:
        description = read_json(folder / "run.json")
        key = tuple(description["run"][name] for name in (*IDENTITY, "seed"))
        if key in expected:
            records[key] = RunRecord(folder, description, read_json(folder / "model.json"))
    absent = sorted(map(str, expected - set(records)))
    if absent:
        raise InputError(f"runs: expected a folder for each of {len(expected)} runs, none found for {absent[0]}")
    return [records[key] for key in runs[[*IDENTITY, "seed"]].itertuples(index=False, name=None)]
