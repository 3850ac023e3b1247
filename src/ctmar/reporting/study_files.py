"""The files of a study, read and checked once; everything above works on these tables.

What is missing or damaged is told (`ctmar.reporting.lacks`) and stands as an empty table: a page shows what there is.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from ctmar.config import Config
from ctmar.config.methods import METHODS
from ctmar.config.study import base_condition
from ctmar.errors import InputError
from ctmar.evaluation.columns import CHOICES, CONDITION, FINISHED, REFERENCE_NETWORK
from ctmar.reporting.checked_files import Thumbnails, read_claims, read_sources, read_thumbnails
from ctmar.reporting.kernel_section import KernelSection, read_kernels
from ctmar.reporting.lacks import Lacks
from ctmar.reporting.required_columns import COLUMNS, IDENTITY, RUN_KEY, TEXTS
from ctmar.reporting.wording import plural
from ctmar.store.planned_runs import PlannedRun, planned_runs
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

_SHOWN = {  # what a page lacks without a table
    "models": "Every comparison of models",
    "runs": "The list of runs, and all images",
    "diverged": "The runs that diverged",
    "references": "The images without any training: input, linear interpolation, NMAR",
    "curves": "Learning curves",
    "cost": "The cost of a training step",
    "sizes": "Quality by size of the metal",
    "materials": "Quality by material of the metal",
    "norms": "Norms at a common defect",
    "dial": "Quality against the strength of the broken symmetry",
    "layers": "The layers of the networks",
    "layer_curves": "The layers through training",
    "not_finite": "Numbers that are not finite",
    "catalogue": "The series of the data",
    "quarantine": "What was left out of the data",
    "split": "The patients of every subset",
}


@dataclass(frozen=True)
class ReportInputs:
    """Where the files of a study lie."""

    results: Path
    summary: Path
    sources: Path | None = None

    @classmethod
    def of_study(cls, results: Path, sources: Path | None = None, summary: Path | None = None) -> "ReportInputs":
        """The files of a study in the places where the workflow puts them.

        Args:
            results: folder of the study's results.
            sources: list of downloaded sources; None: the copy that the study keeps of it, if it does.
            summary: folder of the tables; None: that of the workflow.
        """
        kept = results / "inputs" / "ctmar-sources.json"
        return cls(results, summary or results / "summary", sources or (kept if kept.is_file() else None))

    @property
    def references(self) -> Path:
        """Folder of what needs no training."""
        return self.results / "references"

    @property
    def runs(self) -> list[Path]:
        """Folders of all trained runs, whether or not they are of this configuration."""
        return sorted(path.parent for path in (self.results / "runs").glob("*/*/seed-*/run.json"))

    @property
    def thumbnails(self) -> Path:
        """Small pictures of the slices."""
        return self.results / "data" / "thumbnails.npz"

    @property
    def kernels(self) -> Path:
        """Comparison of the study with itself under other kernels, where somebody made one."""
        return self.results / "kernels.json"

    def table(self, name: str) -> Path:
        """Where a table of `COLUMNS` lies."""
        if name == "cost":
            return self.results / "cost.csv"
        if name in ("catalogue", "quarantine", "split"):
            return self.results / "data" / f"{name}.csv"
        return self.summary / f"{'norms_at_defect' if name == 'norms' else name}.csv"


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


Records = Mapping[tuple[Any, ...], RunRecord]


@dataclass(frozen=True)
class StudyTables:
    """Every table of a study.

    ``runs`` and ``records`` are those that were measured under the base condition, ``every_run`` those under any;
    ``diverged`` are the records of those that were not measured, under whatever condition; ``planned`` are all that the
    configuration asks for. ``lacks`` collects what is not there.
    """

    models: pd.DataFrame
    runs: pd.DataFrame
    every_run: pd.DataFrame
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
    not_finite: pd.DataFrame
    planned: list[PlannedRun]
    lacks: Lacks

    @property
    def folder(self) -> Path:
        """Folder of the study's results."""
        return self.lacks.results


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    # by column: `to_dict("records")` takes five times as long for the hundred columns of a model
    names, columns = [str(name) for name in table], [column.tolist() for _, column in table.items()]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def text_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table that is only shown: missing values are empty text."""
    return rows_of(table.astype(object).where(table.notna(), ""))


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read a CSV file and check that it has the columns of table ``name``.

    Raises:
        InputError: the file is missing, empty, cut off, lacks columns, or has a text where a number should be.
    """
    if not path.is_file():
        raise InputError(f"{path}: table not found; the report needs it")
    try:
        # a norm is called "none": only empty cells and "nan" are missing values here
        table = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table: {error}") from None
    _check_table(path, table, COLUMNS[name])
    if name == "split" and table.empty:
        raise InputError(f"{path}: expected the patients of the study, found none")
    return table.copy()  # one block: a hundred loose columns are slow


def _check_table(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path}: expected column(s) {', '.join(missing)}, found {', '.join(table.columns)}")
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":  # pandas would fill up the row that is cut off
            raise InputError(f"{path}: expected whole rows, found a table that is cut off")
    for column in columns:
        is_number = is_numeric_dtype(table[column]) or table[column].isna().all()
        if column not in TEXTS and not is_number:
            raise InputError(f"{path}: expected numbers in the column {column}, found texts")
    trained = table[table["network"] != REFERENCE_NETWORK] if "method" in columns else table
    unknown = set(trained["method"]) - set(METHODS) if "method" in columns else set()
    if unknown:
        raise InputError(f"{path}: expected methods of this version, found {', '.join(sorted(map(str, unknown)))}")


def read_results(inputs: ReportInputs, config: Config) -> StudyTables:
    """Read every file of a study, finished or not; what cannot be read is empty, and `StudyTables.lacks` says why.

    Args:
        inputs: where the files lie.
        config: the configuration of the study.
    """
    lacks = Lacks(inputs.results)
    tables = {name: lacks.unless(what, partial(_table, inputs, name), _empty(name)) for name, what in _SHOWN.items()}
    every_run = tables["runs"][tables["runs"]["state"] == FINISHED]
    tables["runs"] = _of_base_condition(every_run)
    planned = planned_runs(inputs.results, config)
    records = _read_records(inputs, planned, lacks)
    diverged = tables.pop("diverged")
    patients = set(tables["catalogue"]["patient"])
    sources = inputs.sources
    return StudyTables(
        **tables,
        every_run=every_run,
        claims=lacks.unless("The paper’s claims", lambda: read_claims(inputs.summary / "claims.json"), []),
        questions=lacks.unless("Primary comparisons", lambda: read_claims(inputs.summary / "questions.json"), []),
        sources=[] if sources is None else lacks.unless("Sources", lambda: read_sources(sources, patients), []),
        records=_records_of(tables["runs"], records, lacks),
        diverged=_records_of(diverged, records, lacks),
        references_folder=inputs.references,
        thumbnails=lacks.unless(
            "Pictures of the series", lambda: read_thumbnails(inputs.thumbnails), Thumbnails.none()
        ),
        kernels=lacks.unless("Verdicts under other kernels", lambda: read_kernels(inputs.kernels), None),
        planned=planned,
        lacks=lacks,
    )


def _of_base_condition(runs: pd.DataFrame) -> pd.DataFrame:
    conditions = list(dict.fromkeys(runs[list(CONDITION)].itertuples(index=False, name=None)))
    if not conditions:
        return runs
    base = pd.Series(base_condition(conditions), index=list(CONDITION))
    return runs[(runs[list(CONDITION)] == base).all(axis=1)]


def _table(inputs: ReportInputs, name: str) -> pd.DataFrame:
    return read_table(inputs.table(name), name)


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=_dtype(column)) for column in COLUMNS[name]})


def _dtype(column: str) -> type:
    return bool if column in CHOICES else object if column in TEXTS else float


def _read_records(inputs: ReportInputs, planned: Sequence[PlannedRun], lacks: Lacks) -> Records:
    """What training says of every run that there is a folder of, by its key."""
    found = [RunRecord(one.folder, one.description) for one in planned if one.description is not None]
    known = {one.folder.path for one in planned}
    for path in inputs.runs:
        if path not in known:  # of another configuration than this one, whose summary may hold it
            description = lacks.unless(f"The run in {path.name}", RunFolder(path).read_description, None)
            found += [] if description is None else [RunRecord(RunFolder(path), description)]
    return {record.key: record for record in found}


def _records_of(runs: pd.DataFrame, records: Records, lacks: Lacks) -> list[RunRecord]:
    """The records of the runs of a table; folders that an earlier configuration left behind are not part of it."""
    keys = list(runs[RUN_KEY].itertuples(index=False, name=None))
    absent = [key for key in keys if key not in records]
    if absent:
        lacks.tell(
            f"What training says of {plural(len(absent), 'run')} of the tables",
            "there is no folder, or its run.json cannot be read",
        )
    return [records[key] for key in keys if key in records]
