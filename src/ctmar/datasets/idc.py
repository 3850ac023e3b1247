"""CT of the Imaging Data Commons: a pinned manifest made without a network, then a download that can be resumed.

The index comes from the package ``idc-index-data`` (Fedorov et al., National Cancer Institute Imaging Data Commons,
RadioGraphics 43(12), 2023, doi 10.1148/rg.230180). The files lie in public buckets that list their MD5.
"""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from ctmar.errors import InputError
from ctmar.store.tables import read_rows, write_rows

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_FEWEST_IMAGES, _MOST_IMAGES = 20, 1000  # fewer is a localiser or a biopsy, more a perfusion or heart series
ATTRIBUTION = ("CC BY 4.0", "CC BY 3.0")
COLUMNS = {
    "collection_id": "collection",
    "BodyPartExamined": "body_part",
    "SeriesInstanceUID": "series_uid",
    "crdc_series_uuid": "series_uuid",
    "aws_bucket": "bucket",
    "instanceCount": "n_images",
    "series_size_MB": "megabytes",
    "license_short_name": "licence",
    "source_DOI": "doi",
    "PatientID": "patient",
}


@dataclass(frozen=True)
class Entry:
    """One series of the manifest; ``patient`` is a hash of the collection's own, already de-identified, name."""

    patient: str
    collection: str
    body_part: str
    series_uid: str
    series_uuid: str
    bucket: str
    n_images: int
    megabytes: float
    licence: str
    doi: str
    index_version: str


def make_manifest(
    output: Path | str,
    collections: Sequence[str] = (),
    body_parts: Sequence[str] = (),
    licences: Sequence[str] = ATTRIBUTION,
    n_patients: int = 10,
    seed: int = 0,
    index: Path | str | None = None,
) -> list[Entry]:
    """Choose patients, one CT series of each, and write what to download as CSV; the same arguments give the same file.

    Of each patient the series with most images is taken, from 20 to 1,000. Patients come in the order of a hash of
    their name and the seed, so that more patients extend the manifest rather than change it.

    Args:
        output: CSV to write, one row per series (columns: the fields of :class:`Entry`).
        collections: identifiers such as ``stageii_colorectal_ct``; none means all.
        body_parts: such as ``ABDOMEN``; none means all.
        licences: short names that are allowed; none means all.
        n_patients: patients wanted.
        seed: which patients are drawn.
        index: Parquet index; None takes that of the installed package ``idc-index-data``.

    Raises:
        InputError: the index is not installed, a name is unknown, or there are too few patients.
    """
    if n_patients < 1:
        raise InputError(f"n_patients: expected at least 1, found {n_patients}")
    path, version = _index() if index is None else (Path(index), Path(index).name)
    table = pyarrow.dataset.dataset(path, format="parquet").to_table(columns=list(COLUMNS), filter=_usable_ct())
    table = table.rename_columns(list(COLUMNS.values()))
    wanted = {"collection": collections, "body_part": body_parts, "licence": licences}
    # licences are a list of what is allowed: one that nothing has does no harm
    for column in ("collection", "body_part"):
        _check_known(table[column], column, wanted[column])
    for column, names in wanted.items():
        if names:
            table = table.filter(_is_in(table[column], names))
    best = _largest_of_each_patient(table.to_pylist(), version)
    if len(best) < n_patients:
        filters = "; ".join(f"{column}: {', '.join(names) or 'any'}" for column, names in wanted.items())
        raise InputError(f"Imaging Data Commons: expected {n_patients} patients, found {len(best)} for {filters}")
    chosen = sorted(best, key=lambda entry: hashlib.sha256(f"{seed}/{entry.patient}".encode()).digest())[:n_patients]
    write_rows(output, [field.name for field in fields(Entry)], map(asdict, chosen))
    return chosen


def read_manifest(path: Path | str) -> list[Entry]:
    """Read a manifest.

    Raises:
        InputError: the file is missing, a column is, or a number is none.
    """
    rows = read_rows(path, [field.name for field in fields(Entry)])
    try:
        entries = [_entry(row) for row in rows]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not entries:
        raise InputError(f"{path}: expected at least one series, found none")
    return entries


def _entry(row: dict[str, Any]) -> Entry:
    values = {field.name: row[field.name] for field in fields(Entry)}
    return Entry(**values | {"n_images": int(values["n_images"]), "megabytes": round(float(values["megabytes"]), 3)})


def _index() -> tuple[Path, str]:
    try:
        package = metadata.distribution("idc-index-data")
    except metadata.PackageNotFoundError:
        raise InputError("the index is not installed: pip install 'equiproj[idc]'") from None
    path = Path(str(package.locate_file("idc_index_data/idc_index.parquet")))
    if not path.is_file():
        raise InputError(f"idc-index-data {package.version}: expected its index at {path}; install it again")
    return path, f"idc-index-data {package.version}"


def _usable_ct() -> Any:
    field = pc.field
    images = (field("instanceCount") >= _FEWEST_IMAGES) & (field("instanceCount") <= _MOST_IMAGES)
    # results of an analysis are no acquisitions; one image per file, so that the bucket's checksums are plain MD5
    original = field("analysis_result_id").is_null() & (field("SOPClassUID") == CT_IMAGE_STORAGE)
    return (field("Modality") == "CT") & original & images


def _lower(values: pa.ChunkedArray) -> Any:
    return pc.utf8_lower(pc.fill_null(values, "").cast(pa.string()))


def _check_known(values: pa.ChunkedArray, column: str, names: Sequence[str]) -> None:
    known = _lower(values.unique()).to_pylist()
    for name in names:
        if name.lower() not in known:
            near = ", ".join(difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)) or "no similar name"
            raise InputError(f"Imaging Data Commons: no CT with {column} '{name}'; there is: {near}")


def _is_in(values: pa.ChunkedArray, names: Sequence[str]) -> Any:
    """Whether each value is one of the names, whatever the case of its letters."""
    return pc.is_in(_lower(values), value_set=pa.array([name.lower() for name in names], pa.string()))


def _largest_of_each_patient(rows: list[dict[str, Any]], version: str) -> list[Entry]:
    best: dict[str, Entry] = {}
    for row in sorted(rows, key=lambda row: (-row["n_images"], row["series_uid"])):
        digest = hashlib.sha256(f"{row['collection']}/{row['patient']}".encode()).hexdigest()
        public = {name: "" if value is None else value for name, value in row.items()}
        entry = _entry(public | {"patient": f"idc-{digest[:12]}", "index_version": version})
        best.setdefault(entry.patient, entry)
    return list(best.values())
