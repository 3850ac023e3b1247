"""From a folder to stacks of slices under names that tell nothing of a person."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ctmar.config import Ingest, Source, readers_by_suffix
from ctmar.datasets.acquire import SOURCES_FILE
from ctmar.datasets.benchmark_slices import find_series
from ctmar.datasets.parallel import ordered_map
from ctmar.datasets.tree import Tree, open_tree
from ctmar.datasets.worker import Headers, Selection, lost_paths, read_headers, split_paths
from ctmar.dicom.headers import Image
from ctmar.dicom.patients import merge_patients
from ctmar.dicom.series import group_series
from ctmar.errors import InputError
from ctmar.long_work import Progress
from ctmar.store.ct_source import CtSource
from ctmar.store.pseudonyms import Pseudonyms, pseudonym, read_salt
from ctmar.store.quarantine import Quarantined, Refused

_CONFLICTS = (
    "warning: {} of the patients carry several patient identifiers in one study or frame of reference; each counts as"
    " one patient, so that nobody is in training and test; if they are different people, give their studies and frames"
    " of reference identifiers of their own"
)
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Origin:
    """Where CT came from: folder or file, the patient's alias if it is public, licence."""

    path: Path
    patient: str | None  # None: the user's own data, named by pseudonyms
    source: str
    licence: str

    def file_name(self, relative: str, salt: bytes) -> str:
        """What tables call a file: its path in the folder if the data are public, else a pseudonym."""
        return relative if self.patient is not None else pseudonym("f", relative, salt)


@dataclass(frozen=True)
class Stack:
    """Slices of one series in order from foot to head, under names that tell nothing of a person."""

    patient: str
    series: str
    origin: Origin
    content: CtSource

    @property
    def slice_prefix(self) -> str:
        """First part of the slice identifiers."""
        return f"{self.patient}/{self.series}"


@dataclass
class Findings:
    """What a folder holds: stacks to read, and files that are no usable CT."""

    stacks: list[Stack] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    n_files: int = 0
    n_conflicts: int = 0  # patients that carry several identifiers


def find_stacks(
    tree: Tree,
    settings: Ingest,
    source: Source,
    salt: bytes,
    n_workers: int,
    progress: Progress,
    *,
    findings: Findings | None = None,
) -> Findings:
    """Read the headers of all files of a tree and sort them into stacks.

    Args:
        tree: of a folder made by ``ctmar acquire``, which holds its list of sources, or of any with DICOM and volumes.
        settings: smallest image.
        source: licence of the user's own data.
        salt: key of the pseudonyms.
        n_workers: processes.
        progress: called with the number of files read.
        findings: filled and returned; what is known before a failure stays in it.

    Raises:
        InputError: the folder holds no file, its list of sources is malformed, or two patients share a pseudonym.
    """
    findings = Findings() if findings is None else findings
    if source.kind == "syndeeplesion":
        return _find_stored(tree, settings, source, salt, findings)
    for name, refusal in tree.refused:
        findings.quarantined.append(Quarantined(pseudonym("f", name, salt), refusal.reason, refusal.remedy))
    files = [(origin, path) for origin in _origins(tree.folder, source) for path in tree.files(origin.path)]
    if not files and not tree.refused:
        formats = ", ".join(readers_by_suffix())
        raise InputError(f"{tree.given}: no files found; give a folder that holds CT as DICOM or volumes ({formats})")
    findings.n_files = len(files) + len(tree.refused)
    names = Pseudonyms(salt)
    refused: list[tuple[Origin, Path, Refused]] = []
    contents: dict[Origin, list[CtSource]] = {origin: [] for origin in dict(files)}
    images: dict[Origin, list[Image]] = {origin: [] for origin in contents}
    for (origin, path), found in zip(files, _read_all(tree, files, settings, n_workers, progress), strict=True):
        images[origin] += found.images
        contents[origin] += found.sources
        if found.refused is not None:
            refused.append((origin, path, found.refused))
    # a header may stand for a file of bare numbers beside it, which is no CT by itself
    referred = {path for sources in contents.values() for source in sources for path in source.paths[1:]}
    rows = [_row(tree, origin, path, salt, refusal) for origin, path, refusal in refused if path not in referred]
    findings.quarantined.extend(rows)
    for origin in contents:
        merged, n_conflicts = merge_patients(images[origin])
        findings.n_conflicts += n_conflicts
        all_series = group_series(merged)
        for image, refusal in (pair for series in all_series for pair in series.left_out):
            frame = f"#{image.frame:04d}" if image.frame >= 0 else ""
            findings.quarantined.append(_row(tree, origin, image.path, salt, refusal, frame))
        findings.stacks.extend(_named([*all_series, *contents[origin]], tree, origin, names))
    if findings.n_conflicts:
        print(_CONFLICTS.format(findings.n_conflicts), file=sys.stderr)
    return findings


def _find_stored(tree: Tree, settings: Ingest, source: Source, salt: bytes, findings: Findings) -> Findings:
    all_series, refused = find_series(tree.folder, settings.image_size)
    origin = Origin(tree.folder, None, source.kind, source.licence)
    findings.n_files = len(refused) + sum(len(series.paths) for series in all_series)
    findings.quarantined.extend(_row(tree, origin, path, salt, refusal) for path, refusal in refused)
    findings.stacks.extend(_named(all_series, tree, origin, Pseudonyms(salt)))
    return findings


def _row(tree: Tree, origin: Origin, path: Path, salt: bytes, refusal: Refused, frame: str = "") -> Quarantined:
    return Quarantined(origin.file_name(tree.name(path), salt) + frame, refusal.reason, refusal.remedy)


def find_file(folder: Path, name: str, settings: Ingest) -> Path:
    """The file that a row of the quarantine table means, for the user who has the folder and the salt.

    What lies in an archive is found as if the archive were a folder.

    Raises:
        InputError: no file of the folder has this name in tables.
    """
    salt = read_salt(settings.salt_file)
    with open_tree(folder, settings) as tree:
        known = [*map(tree.name, tree.files(tree.folder)), *(refused for refused, _ in tree.refused)]
    for relative in known:
        if pseudonym("f", relative, salt) == name.partition("#")[0]:
            return folder / relative
    raise InputError(f"{folder}: no file is called '{name}' in tables; check the name, the folder and the salt")


def _origins(folder: Path, source: Source) -> list[Origin]:
    listing = folder / SOURCES_FILE
    if not listing.is_file():
        return [Origin(folder, None, source.kind if source.folder else "own data", source.licence)]
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))
        origins = [
            Origin(folder / entry["path"], entry["patient"], f"{entry['package']} {entry['version']}", entry["licence"])
            for entry in entries
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{listing}: expected the list that 'ctmar acquire' writes ({type(error).__name__})") from None
    for origin in origins:
        if not _ALIAS.fullmatch(str(origin.patient)) or not origin.path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{listing}: patient '{origin.patient}' has a forbidden name or a path outside the folder")
        if not origin.path.exists():
            raise InputError(f"{origin.path}: file of patient '{origin.patient}' not found; run 'ctmar acquire' again")
    return origins


def _read_all(
    tree: Tree, files: list[tuple[Origin, Path]], settings: Ingest, n_workers: int, progress: Progress
) -> Iterator[Headers]:
    chunks = [[path for _, path in files[start : start + 32]] for start in range(0, len(files), 32)]
    selection = Selection(
        tree.folder.resolve(), settings.minimum_rows, settings.derived_maps, readers=readers_by_suffix()
    )
    read = partial(read_headers, selection=selection)
    # for a few hundred headers starting more processes takes longer than reading
    workers = n_workers if len(files) > 500 else 1
    n_done = 0
    for chunk, results in ordered_map(read, chunks, workers, split_paths, lost_paths):
        yield from results
        n_done += len(chunk)
        progress(n_done, len(files), "files read")


def _named(contents: Sequence[CtSource], tree: Tree, origin: Origin, names: Pseudonyms) -> Iterator[Stack]:
    """Stacks with names: the series of a patient are numbered from 1."""
    n_of_patient: dict[str, int] = {}
    for content in contents:
        patient = origin.patient or names.give("p", content.identity(tree.name))
        n_of_patient[patient] = n_of_patient.get(patient, 0) + 1
        yield Stack(patient, str(n_of_patient[patient]), origin, content)
