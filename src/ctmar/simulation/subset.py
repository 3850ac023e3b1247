"""All pairs of a subset: for every slice of its patients, the wanted number of masks."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ctmar.config import Simulation, Subset
from ctmar.errors import InputError
from ctmar.simulation.masks import Anatomy, draw_mask, find_anatomy
from ctmar.simulation.materials import draw_metal
from ctmar.simulation.noise import random_stream
from ctmar.simulation.provenance import describe
from ctmar.simulation.scanner import (
    Scanner,
    SlicePaths,
    build_scanner,
    correct_normalised,
    scan_metal,
    scan_slice,
    trace_slice,
)
from ctmar.store.pairs import PairRecord, SliceRecord, open_pair_writer
from ctmar.store.provenance import sha256_of
from ctmar.store.slices import Slice, SliceFile, open_slices
from ctmar.store.tables import read_rows

Progress = Callable[[int, int, str], None]
Prepared = tuple[SliceRecord, Scanner, SlicePaths, Anatomy]
T = TypeVar("T")


def simulate_subset(
    slices: Path | str,
    split: Path | str,
    subset: Subset,
    output: Path | str,
    settings: Simulation,
    threads: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write the pair file of a subset; the same settings give the same bytes on any number of threads.

    Args:
        slices: file of slices.
        split: CSV with the columns patient and subset.
        subset: train, validation or test.
        output: pair file to write.
        settings: section `simulation` of the configuration.
        threads: pairs worked on at the same time.
        progress: called with (pairs done, pairs in all, text).

    Raises:
        InputError: a file is missing or malformed, or the subset has no slice.
    """
    with open_slices(slices) as file, ThreadPoolExecutor(threads) as pool:
        indices = _slices_of_subset(file, Path(split), subset)
        n_masks = settings.masks_per_slice[subset]
        scanner = build_scanner(settings, file.image_size, file.pixel_mm[indices[0]])
        checksums = {"slices_sha256": sha256_of(slices), "split_sha256": sha256_of(split)}
        with open_pair_writer(output, subset, describe(settings, scanner, checksums)) as writer:
            n_pairs, n_done = len(indices) * n_masks, 0
            jobs = _jobs(file, indices, n_masks, settings, subset in settings.nmar, pool)
            for record in _in_order(jobs, 4 * threads):
                if isinstance(record, SliceRecord):
                    writer.write_slice(record)
                    continue
                writer.write_pair(record)
                n_done += 1
                if progress is not None:
                    progress(n_done, n_pairs, "pairs")


def _slices_of_subset(file: SliceFile, split: Path, subset: Subset) -> list[int]:
    patients = {row["patient"] for row in read_rows(split, ("patient", "subset")) if row["subset"] == subset}
    indices = [index for index, patient in enumerate(file.patient) if patient in patients]
    if not indices:
        raise InputError(f"{split}: subset '{subset}' has no slice: expected at least one patient with slices in it")
    return indices


def _jobs(
    file: SliceFile, indices: list[int], n_masks: int, settings: Simulation, nmar: bool, pool: ThreadPoolExecutor
) -> Iterator[Future[Any]]:
    """Submit the work in the order of the file: a slice, then its masks, which wait for what they share."""
    for k, index in enumerate(indices):
        prepared = pool.submit(_prepare, settings, file.read_slice(index))
        yield pool.submit(lambda slice_ready: slice_ready.result()[0], prepared)
        for mask_index in range(n_masks):
            yield pool.submit(_simulate, settings, nmar, prepared, k, mask_index)


def _prepare(settings: Simulation, source: Slice) -> Prepared:
    scanner = build_scanner(settings, len(source.image), source.pixel_mm)
    paths = trace_slice(scanner, source.image)
    try:
        anatomy = find_anatomy(source.image)
    except InputError as error:
        raise InputError(f"slice {source.slice_id}: {error}") from None
    image, sinogram = scan_slice(scanner, paths, random_stream(settings.seed, source.slice_id, "clean"))
    record = SliceRecord(
        image=source.image,
        poly_CT=image,
        patient=source.patient,
        slice_id=source.slice_id,
        pixel_mm=source.pixel_mm,
        poly_sinogram=sinogram if settings.store_sinograms else None,
    )
    return record, scanner, paths, anatomy


def _simulate(
    settings: Simulation, nmar: bool, prepared: Future[Prepared], slice_index: int, mask_index: int
) -> PairRecord:
    # the slice was submitted before its masks and the pool is first in, first out: no worker waits for ever
    record, scanner, paths, anatomy = prepared.result()
    try:
        mask = draw_mask(anatomy, random_stream(settings.seed, record.slice_id, mask_index, "mask"))
    except InputError as error:
        raise InputError(f"slice {record.slice_id}: {error}") from None
    noise = random_stream(settings.seed, record.slice_id, mask_index, "photons")
    metal = draw_metal(settings.metal, random_stream(settings.seed, record.slice_id, mask_index, "metal"))
    scan = scan_metal(scanner, paths, mask.binary, noise, mask.coverage, metal)
    keep = settings.store_sinograms
    return PairRecord(
        ma_CT=scan.ma_CT,
        LI_CT=scan.LI_CT,
        mask=mask.binary,
        slice_index=slice_index,
        mask_index=mask_index,
        metal=metal,
        NMAR_CT=correct_normalised(scanner, scan, mask.binary) if nmar else None,
        ma_sinogram=scan.ma_sinogram if keep else None,
        LI_sinogram=scan.LI_sinogram if keep else None,
        metal_trace=scan.metal_trace if keep else None,
    )


def _in_order(jobs: Iterator[Future[T]], n_ahead: int) -> Iterator[T]:
    """Yield results in the order of submission, with at most ``n_ahead`` jobs waiting: memory stays bounded."""
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(job)
            if len(waiting) > n_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for job in waiting:
            job.cancel()
