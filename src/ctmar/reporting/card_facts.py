"""What the cards say beside the tables of the report: version and date, checkpoints, compute, balance of the data."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from ctmar.config import Config
from ctmar.config.labels import MISSING, model_label, number
from ctmar.reporting.choice import Identity
from ctmar.reporting.study_files import RunRecord, StudyTables
from ctmar.reporting.wording import listing, plural
from ctmar.store.checkout import Checkout
from ctmar.store.provenance import package_versions, read_checksums
from ctmar.store.run_folder import RunFolder

_SLOWEST_SHOWN_IN_SECONDS = 600
_LARGEST = 3  # patients, whose share of the test slices is named


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one run: its model, its seed, the file below the results of the study, and its SHA-256."""

    model: str
    seed: int
    file: str
    sha256: str


def version_and_date(results: StudyTables) -> dict[str, str]:
    """Version of the software, and when the results were summarised: a study itself keeps no clock."""
    version = f"equiproj {package_versions(['equiproj'])['equiproj']}, this card by commit {Checkout().said}"
    summary = _folder(results) / "summary" / "models.csv"
    if not summary.is_file():
        return {"version": version}
    return {"version": version, "date": datetime.fromtimestamp(summary.stat().st_mtime, UTC).strftime("%Y-%m-%d")}


def checkpoints(results: StudyTables, identities: Iterable[Identity]) -> list[Checkpoint]:
    """The weights of every seed of some models.

    Args:
        results: the study; digests are those that the jobs listed when they ended.
        identities: the models.
    """
    listed = _folder(results) / "runs.sha256"
    digests = read_checksums(listed) if listed.is_file() else {}
    by_identity: dict[Identity, list[RunRecord]] = {}
    for record in results.records:
        by_identity.setdefault(record.identity, []).append(record)
    return [
        _checkpoint(record, digests)
        for identity in identities
        for record in sorted(by_identity.get(identity, []), key=lambda record: record.seed)
    ]


def compute_sentences(results: StudyTables) -> list[str]:
    """What the trainings of the card took."""
    runs = [record.description for record in results.records]
    if not runs:
        return []
    seconds = [run.seconds_total for run in runs]
    return [
        f"{plural(len(runs), 'training')} took {_duration(sum(seconds))} one after the other, each"
        f" {_duration(median(seconds))} in the median, with {plural(max(run.threads for run in runs), 'thread')}; the"
        f" largest process held {number(max(run.peak_memory_mb for run in runs), 0)} MB.",
        f"Hardware: {listing(sorted({run.device for run in runs}))}, vector instructions "
        f"{listing(sorted({run.provenance.processor for run in runs}))}; energy was not measured.",
    ]


def balance_sentences(results: StudyTables, config: Config) -> list[str]:
    """How unevenly the patients share the test slices."""
    tested = results.split[results.split["subset"] == "test"].drop_duplicates("patient")["n_slices"]
    counts = sorted(map(int, tested), reverse=True)
    if not counts:
        return []
    masks = config.simulation.masks_per_slice["test"]
    pairs = f" (with {plural(masks, 'pair')} of slice and metal each)" if config.simulation.pairs == "simulated" else ""
    said = [
        f"{plural(sum(counts), 'test slice')}{pairs} come from {plural(len(counts), 'patient')}:"
        f" {listing(list(map(str, counts)))}."
    ]
    if len(counts) > _LARGEST:
        share = 100 * sum(counts[:_LARGEST]) / sum(counts)
        said.append(f"The {_LARGEST} largest patients hold {number(share, 0)} % of them.")
    said.append(
        "A mean over pairs would be one over the largest patients; every mean of the study takes a patient once,"
        " so that a patient of one slice counts as much as one of many, and is known less well."
    )
    return said


def _checkpoint(record: RunRecord, digests: dict[str, str]) -> Checkpoint:
    file = RunFolder.of(Path(), record.description.run).weights.as_posix()
    label = model_label(record.description.run.model_dump())
    return Checkpoint(label, record.seed, f"runs/{file}", digests.get(file, MISSING))


def _duration(seconds: float) -> str:
    """A time in seconds, minutes or hours.

    Examples:
        >>> _duration(6.9), _duration(900), _duration(9000)
        ('6.9 s', '15.0 min', '2.5 h')
    """
    if seconds < _SLOWEST_SHOWN_IN_SECONDS:
        return f"{number(seconds, 1)} s"
    return f"{number(seconds / 60, 1)} min" if seconds < 7200 else f"{number(seconds / 3600, 1)} h"


def _folder(results: StudyTables) -> Path:
    """The results of the study."""
    return results.references_folder.parent
