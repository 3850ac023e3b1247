"""Can a study run on this folder? A trial ingestion of a few slices of each patient, told in words."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ctmar.config import SUBSETS, Ingest, Source, Split
from ctmar.datasets import catalogue
from ctmar.datasets.ingest import ingest
from ctmar.datasets.split import deal_folds, patients_of
from ctmar.errors import InputError
from ctmar.long_work import Progress, no_progress
from ctmar.store import quarantine
from ctmar.store.tables import read_rows

_SLICES_TO_TRY = 4  # of each patient: headers tell how many there are, only pixels whether they pass
_REASONS_SHOWN = 12
_PATIENTS_FOR_INTERVALS = 6  # of the test subset: with fewer, the t quantile is 2.8 and more, not 2

Row = dict[str, str]


@dataclass(frozen=True)
class Checked:
    """What a folder holds, in lines, and what stands in the way of a study, if anything."""

    lines: list[str]
    obstacle: str | None


def check_folder(
    folder: Path, settings: Ingest, source: Source, split: Split, *, threads: int, progress: Progress = no_progress
) -> Checked:
    """Read all headers of a folder and a few slices of each patient, and say what a study would make of it.

    Nothing is kept; the tables are those of `ingest` with fewer slices.

    Args:
        folder: folder or archive of CT.
        settings: working grid and quality control.
        source: kind of the source.
        split: how patients are dealt.
        threads: processes.
        progress: called as for `ingest`.
    """
    n_wanted = settings.maximum_slices_per_patient
    tried = settings.model_copy(update={"maximum_slices_per_patient": min(_SLICES_TO_TRY, n_wanted)})
    with tempfile.TemporaryDirectory(prefix="ctmar-") as temporary:
        left_out, series = Path(temporary) / "quarantine.csv", Path(temporary) / "catalogue.csv"
        obstacle = None
        try:
            output = Path(temporary) / "slices.h5"
            ingest(folder, output, left_out, series, settings=tried, source=source, threads=threads, progress=progress)
        except InputError as error:
            obstacle = str(error).partition(" (")[0]
        refused = read_rows(left_out, quarantine.COLUMNS) if left_out.is_file() else []
        found = read_rows(series, catalogue.COLUMNS) if series.is_file() else []
    lines = [_kept(found, n_wanted), *map(_series, found), *_left_out(refused)]
    lines += _patients(found, n_wanted, split) if obstacle is None else []
    return Checked(lines, obstacle or _obstacle(found, n_wanted, split))


def _n_slices(found: list[Row], n_wanted: int) -> dict[str, int]:
    """Slices that each patient with a usable one would give: those that fail quality control are not known yet."""
    counts: Counter[str] = Counter()
    usable = {row["patient"] for row in found if int(row["n_slices_kept"])}
    for row in found:
        if row["patient"] in usable:
            counts[row["patient"]] += int(row["n_slices_found"])
    return {patient: min(n_slices, n_wanted) for patient, n_slices in counts.items()}


def _kept(found: list[Row], n_wanted: int) -> str:
    counts = _n_slices(found, n_wanted)
    return (
        f"usable: {len(counts)} patients, {len(found)} series, about {sum(counts.values())} slices"
        f" (at most {n_wanted} of a patient: ingest.maximum_slices_per_patient)"
    )


def _series(row: Row) -> str:
    spacing = f", {float(row['slice_spacing_mm']):g} mm apart" if row["slice_spacing_mm"] else ""
    missing = f"; {row['n_missing']} missing" if int(row["n_missing"] or 0) else ""
    tried = f"{row['n_slices_kept']} of {row['n_slices_read']} slices tried pass"
    if row["n_slices_read"] == "0":
        tried = "none tried"
    return (
        f"  {row['patient']} series {row['series']}: {row['n_slices_found']} slices of {row['rows']} × {row['columns']}"
        f" pixels{spacing}{missing}; {tried}"
    )


def _left_out(refused: list[Row]) -> list[str]:
    reasons = Counter((row["reason"], row["remedy"]) for row in refused).most_common()
    lines = [f"left out: {len(refused)} files or slices"]
    lines += [f"  {n} × {reason}; what to do: {remedy}" for (reason, remedy), n in reasons[:_REASONS_SHOWN]]
    n_more = sum(n for _, n in reasons[_REASONS_SHOWN:])
    return lines + ([f"  {n_more} × other reasons (all of them: `ctmar ingest … --quarantine`)"] if n_more else [])


def _patients(found: list[Row], n_wanted: int, split: Split) -> list[str]:
    counts = _n_slices(found, n_wanted)
    try:
        folds = deal_folds(counts, split)
    except InputError:
        return []
    dealt = {subset: len(patients_of(folds, subset)) for subset in SUBSETS}
    shares = ", ".join(f"{n} {subset}" for subset, n in sorted(dealt.items()) if n)
    lines = [f"patients by subset: {shares}"]
    if dealt["test"] < _PATIENTS_FOR_INTERVALS:
        lines.append(
            f"with {dealt['test']} test patients differences stay undecided unless they are large: about"
            f" {_PATIENTS_FOR_INTERVALS} are needed"
        )
    return lines


def _obstacle(found: list[Row], n_wanted: int, split: Split) -> str | None:
    try:
        deal_folds(_n_slices(found, n_wanted), split)
    except InputError as error:
        return str(error)
    return None
