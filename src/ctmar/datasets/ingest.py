"""From a folder of CT to checked slices of linear attenuation on the working grid."""

import hashlib
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ctmar.config import Ingest, Source
from ctmar.datasets.benchmark_slices import read_masks
from ctmar.datasets.catalogue import write_catalogue
from ctmar.datasets.parallel import ordered_map
from ctmar.datasets.portions import choose_patients, choose_slices, make_tasks
from ctmar.datasets.quality import Limits, Tally
from ctmar.datasets.sources import Findings, Stack, find_stacks
from ctmar.datasets.thumbnails import write_thumbnails
from ctmar.datasets.tree import Tree, open_tree
from ctmar.datasets.worker import Finished, Recipe, lost_task, read_task, split_task
from ctmar.errors import InputError
from ctmar.long_work import Progress, no_progress
from ctmar.store.atomic import check_target
from ctmar.store.chunks import PackedImage
from ctmar.store.provenance import PACKAGES, provenance_json
from ctmar.store.pseudonyms import read_salt
from ctmar.store.quarantine import Quarantined, Refused, summarise, write_quarantine
from ctmar.store.slices import SliceWriter, open_slice_writer
from ctmar.units import WATER_PER_CM

READERS = ("pydicom", "nibabel", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pyjpegls")


@dataclass(frozen=True)
class Summary:
    """What ingestion did."""

    n_files: int
    n_patients: int
    n_series: int
    n_slices: int
    n_quarantined: int

    def __str__(self) -> str:
        return (
            f"{self.n_slices} slices of {self.n_patients} patients kept, from {self.n_series} series in"
            f" {self.n_files} files; {self.n_quarantined} files or slices left out"
        )


@dataclass(frozen=True)
class _Job:
    """What is to be done, and what is known so far."""

    settings: Ingest
    source: Source
    threads: int
    progress: Progress
    findings: Findings = field(default_factory=Findings)
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))


def ingest(
    folder: Path | str,
    output: Path | str,
    quarantine: Path | str,
    catalogue: Path | str | None = None,
    thumbnails: Path | str | None = None,
    *,
    settings: Ingest,
    source: Source | None = None,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Summary:
    """Read all CT below a folder and write slices, a catalogue of series and a quarantine table.

    Args:
        folder: made by ``ctmar acquire``, or any folder, zip or tar archive of DICOM and NIfTI files (archives in a
            folder are opened, too), or a copy of the benchmark if the source says so.
        output: HDF5 file of slices (layout: :mod:`ctmar.store.slices`).
        quarantine: CSV of files and slices that are left out, with reason and remedy.
        catalogue: CSV with one row for each series.
        thumbnails: NPZ with small pictures of each series (layout: :mod:`ctmar.datasets.thumbnails`).
        settings: working grid, quality control, file of the salt.
        source: patients to take, licence of the user's own data.
        threads: processes; the result does not depend on it.
        progress: called as ``progress(n_done, n_total, what)``.

    Raises:
        InputError: no salt in its file, a file to write that is in the way, an unknown patient, or nothing usable in
            the folder; the message then tells the commonest reasons and where the others stand.
    """
    targets = [Path(target) for target in (output, quarantine, catalogue, thumbnails) if target is not None]
    _check_targets(targets)
    job = _Job(settings, source or Source(), threads, progress)
    findings, tallies = job.findings, job.tallies
    try:
        n_slices = _fill(Path(folder), targets, job)
    finally:  # the table stands even when the command fails or is stopped
        write_quarantine(quarantine, findings.quarantined)
    if catalogue is not None:
        write_catalogue(Path(catalogue), findings.stacks, tallies)
    if thumbnails is not None:
        write_thumbnails(thumbnails, output)
    return Summary(
        n_files=findings.n_files,
        n_patients=len({prefix.partition("/")[0] for prefix, tally in tallies.items() if tally.n_kept}),
        n_series=len(findings.stacks),
        n_slices=n_slices,
        n_quarantined=len(findings.quarantined),
    )


def _check_targets(targets: list[Path]) -> None:
    """Check every target before anything is written: slices without their quarantine table are half a result."""
    for number, target in enumerate(targets):
        check_target(target, *targets[:number])


def _spare_sources(targets: list[Path], findings: Findings) -> None:
    sources = {path.resolve() for stack in findings.stacks for path in stack.content.paths}
    for target in targets:
        if target.resolve() in sources:
            raise InputError(f"{target}: expected a file to write, found CT that is to be read")


def _tree(folder: Path, settings: Ingest, source: Source) -> AbstractContextManager[Tree]:
    # archives beside a copy of the benchmark are not part of it
    stored = source.kind == "syndeeplesion"
    return nullcontext(Tree(folder, folder)) if stored else open_tree(folder, settings)


def _fill(folder: Path, targets: list[Path], job: _Job) -> int:
    """Find all CT and write the slices; how many."""
    settings, findings = job.settings, job.findings
    output, quarantine, *_ = targets
    salt = read_salt(settings.salt_file)
    with _tree(folder, settings, job.source) as tree:
        find_stacks(tree, settings, job.source, salt, job.threads, job.progress, findings=findings)
        _spare_sources(targets, findings)
        if not findings.stacks:
            raise _nothing_left(tree.given, findings, quarantine, "none of the files is usable CT")
        findings.stacks = choose_patients(findings.stacks, job.source)
        with open_slice_writer(output, settings.image_size) as writer:
            checksum = _write_all(writer, tree, salt, job)
            if writer.n_slices == 0:
                raise _nothing_left(tree.given, findings, quarantine, "no slice passes quality control")
            if job.source.kind == "syndeeplesion":
                for name, masks in read_masks(tree.folder, settings.image_size).items():
                    writer.write_masks(name, masks)
            writer.provenance = _provenance(settings, findings, checksum)
    return writer.n_slices


def _nothing_left(folder: Path, findings: Findings, quarantine: Path, verdict: str) -> InputError:
    reasons = summarise(findings.quarantined)
    return InputError(f"{folder}: {verdict} ({reasons}); reasons and remedies file by file: {quarantine}")


def _write_all(writer: SliceWriter, tree: Tree, salt: bytes, job: _Job) -> str:
    """Write every chosen slice that passes; the digest of all files it came from."""
    settings, findings, tallies = job.settings, job.findings, job.tallies
    chosen = choose_slices(findings.stacks, settings.maximum_slices_per_patient)
    stacks = {stack.slice_prefix: stack for stack in findings.stacks}
    tasks = [task for stack in findings.stacks for task in make_tasks(stack, chosen[stack.slice_prefix])]
    n_total, n_done = sum(map(len, chosen.values())), 0
    checksums, read = hashlib.sha256(), partial(read_task, recipe=_recipe(settings))
    fragile = any(part.fragile for task in tasks for part in task.parts)
    for task, finished in ordered_map(read, tasks, job.threads, split_task, lost_task, fragile):
        stack = stacks[task.prefix]
        for result in finished:
            checksums.update(result.sha256.encode())
            if result.statistics is not None:
                tallies[task.prefix].add(result.statistics)
            if isinstance(result.outcome, Refused):
                name = _name_in_tables(result, stack.origin.file_name(tree.name(result.path), salt))
                findings.quarantined.append(Quarantined(name, result.outcome.reason, result.outcome.remedy))
            else:
                _append(writer, result.outcome, result, stack)
                tallies[task.prefix].n_kept += 1
        n_done += task.n_slices
        job.progress(n_done, n_total, "slices")
    return checksums.hexdigest()


def _recipe(settings: Ingest) -> Recipe:
    limits = Limits(
        metal_hu=settings.metal_hu,
        maximum_metal_pixels=settings.maximum_metal_pixels,
        minimum_body_fraction=settings.minimum_body_fraction,
        maximum_border_fraction=settings.maximum_border_fraction,
    )
    return Recipe(settings.image_size, settings.pixel_mm, limits)


def _name_in_tables(result: Finished, file_name: str) -> str:
    """The file's name, with the number of the slice where the file holds several."""
    return f"{file_name}#{result.index:04d}" if result.shares_file and result.index is not None else file_name


def _append(writer: SliceWriter, image: PackedImage, result: Finished, stack: Stack) -> None:
    writer.append_packed(
        image,
        patient=stack.patient,
        series=stack.series,
        slice_id=f"{stack.slice_prefix}/{result.index:04d}",
        position_mm=result.position_mm,
        pixel_mm=result.pixel_mm,
    )


def _provenance(settings: Ingest, findings: Findings, checksum: str) -> str:
    sources: dict[str, Any] = {stack.origin.source: stack.origin.licence for stack in findings.stacks}
    geometry = {
        "image_size": settings.image_size,
        "pixel_mm": settings.pixel_mm,
        "rows": "anterior to posterior",
        "columns": "patient's right to left",
        "water_per_cm": WATER_PER_CM,
    }
    return provenance_json(
        settings.published(), (*PACKAGES, *READERS), sources=sources, input_sha256=checksum, geometry=geometry
    )
