"""The files of a finished study, read and checked once; everything above works on these tables."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.evaluation.columns import FINISHED
from ctmar.reporting.kernel_section import KernelSection, read_kernels
from ctmar.reporting.required_columns import COLUMNS, IDENTITY, RUN_KEY
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

CLAIM_KEYS = ("claim", "source", "role", "test", "measured", "verdict", "precision")
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
    thumbnails: Path
    kernels: Path
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
            thumbnails=results / "data" / "thumbnails.npz",
            kernels=results / "kernels.json",
        )


@dataclass(frozen=True)
class RunRecord:
    """One trained model: its folder and what training wrote about it."""

    folder: RunFolder
    description: RunDescription

    @property
    def identity(self) -> tuple[Any, ...]:
        """Network, method, norm and weights: the row of ``models.csv`` this run belongs to."""
        return tuple(getattr(self.description.run, key) for key in IDENTITY)

    @property
    def key(self) -> tuple[Any, ...]:
        """Identity, condition and seed: the row of ``runs.csv`` this run belongs to."""
        return tuple(getattr(self.description.run, key) for key in RUN_KEY)

    @property
    def setting(self) -> tuple[Any, ...]:
        """Identity and condition: what the runs of a model share."""
        return self.key[:-1]

    @property
    def seed(self) -> int:
        """Seed of initialisation, data order and method."""
        return self.description.run.seed


@dataclass(frozen=True)
class Thumbnails:
    """Small grey pictures of the slices read: for each its series, its position in the series, and the image."""

    series: NDArray[np.str_]
    position: NDArray[np.generic]
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class StudyTables:
    """Every table of a finished study.

    ``runs`` and ``records`` are those that were measured; ``diverged`` are the records of those that were not, under
    whatever condition.
    """

    models: pd.DataFrame
    runs: pd.DataFrame
    references: pd.DataFrame
    curves: pd.DataFrame
    cost: pd.DataFrame
    sizes: pd.DataFrame
    materials: pd.DataFrame
    dial: pd.DataFrame
    layers: pd.DataFrame
    layer_curves: pd.DataFrame
    norms: pd.DataFrame
    catalogue: pd.DataFrame
    quarantine: pd.DataFrame
    split: pd.DataFrame
    claims: list[dict[str, str]]
    questions: list[dict[str, str]]
    sources: list[dict[str, str]]
    records: list[RunRecord]
    diverged: list[RunRecord]
    references_folder: Path
    thumbnails: Thumbnails
    kernels: KernelSection | None


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
    return table.copy()  # one block: a hundred loose columns are slow


def read_thumbnails(path: Path) -> Thumbnails:
    """Read the thumbnails of the ingestion.

    Raises:
        InputError: the file is missing or lacks an array, or the arrays do not go together.
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found; the report needs it")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = {"series", "position", "image"} - set(file.files)
            if missing:
                raise InputError(
                    f"{path}: expected array(s) {', '.join(sorted(missing))}, found {', '.join(file.files)}"
                )
            thumbnails = Thumbnails(file["series"], file["position"], file["image"])
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a file of thumbnails: {error}") from None
    n, image = len(thumbnails.series), thumbnails.image
    if image.dtype != np.uint8 or image.ndim != 3 or len(image) != n or len(thumbnails.position) != n:
        raise InputError(f"{path}: expected {n} grey images of bytes, found {image.dtype} of shape {image.shape}")
    return thumbnails


def _read_json(path: Path) -> Any:
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


def _read_claims(path: Path) -> list[dict[str, str]]:
    """Read the paper's claims, or what readers of the paper ask beyond them, with what was measured.

    Raises:
        InputError: a claim lacks a key or has an unknown verdict.
    """
    claims: list[dict[str, str]] = _read_json(path)
    for claim in claims:
        missing = [key for key in CLAIM_KEYS if key not in claim]
        if missing:
            raise InputError(f"{path}: a claim lacks the key(s) {', '.join(missing)}")
        if claim["verdict"] not in VERDICTS:
            raise InputError(f"{path}: expected verdict {' | '.join(VERDICTS)}, found {claim['verdict']!r}")
    return claims


def _read_sources(path: Path, patients: set[str]) -> list[dict[str, str]]:
    """Origin, licence and citation of the patients of the study; a download may hold others."""
    return [source for source in _read_json(path) if source["patient"] in patients]


def read_results(inputs: ReportInputs) -> StudyTables:
    """Read every file of a finished study.

    Raises:
        InputError: a file is missing or malformed; the message names it.
    """
    runs = read_table(inputs.summary / "runs.csv", "runs")
    runs = runs[runs["state"] == FINISHED]
    diverged = read_table(inputs.summary / "diverged.csv", "diverged")
    records = _read_records(inputs.runs)
    catalogue = read_table(inputs.catalogue, "catalogue")
    return StudyTables(
        models=read_table(inputs.summary / "models.csv", "models"),
        runs=runs,
        references=read_table(inputs.summary / "references.csv", "references"),
        curves=read_table(inputs.summary / "curves.csv", "curves"),
        cost=read_table(inputs.cost, "cost"),
        sizes=read_table(inputs.summary / "sizes.csv", "sizes"),
        materials=read_table(inputs.summary / "materials.csv", "materials"),
        norms=read_table(inputs.summary / "norms_at_defect.csv", "norms"),
        dial=read_table(inputs.summary / "dial.csv", "dial"),
        layers=read_table(inputs.summary / "layers.csv", "layers"),
        layer_curves=read_table(inputs.summary / "layer_curves.csv", "layer_curves"),
        catalogue=catalogue,
        quarantine=read_table(inputs.quarantine, "quarantine"),
        split=read_table(inputs.split, "split"),
        claims=_read_claims(inputs.summary / "claims.json"),
        questions=_read_claims(inputs.summary / "questions.json"),
        sources=[] if inputs.sources is None else _read_sources(inputs.sources, set(catalogue["patient"])),
        records=_records_of(runs, records),
        diverged=_records_of(diverged, records),
        references_folder=inputs.references,
        thumbnails=read_thumbnails(inputs.thumbnails),
        kernels=read_kernels(inputs.kernels),
    )


def _read_records(folders: Sequence[Path]) -> dict[tuple[Any, ...], RunRecord]:
    """Read every run that there is a folder of, by its key."""
    found = (RunRecord(RunFolder(folder), RunFolder(folder).read_description()) for folder in folders)
    return {record.key: record for record in found}


def _records_of(runs: pd.DataFrame, records: Mapping[tuple[Any, ...], RunRecord]) -> list[RunRecord]:
    """The records of the runs of a table; folders that an earlier configuration left behind are not part of it.

    Raises:
        InputError: a run has no folder.
    """
    expected = list(runs[RUN_KEY].itertuples(index=False, name=None))
    absent = sorted(map(str, set(expected) - set(records)))
    if absent:
        raise InputError(f"runs: expected a folder for each of {len(expected)} runs, none found for {absent[0]}")
    return [records[key] for key in expected]
