"""All pairs of a subset, or of one shard of it: for every slice of its patients, the wanted number of masks.

Memory is bounded whatever the number of slices: at most 4 · threads + 1 results wait to be written. Measured at
416 × 416 pixels with sinograms: 0.34 GB on one thread, 0.42 GB on four.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation, Subset
from ctmar.errors import InputError
from ctmar.long_work import Progress, ahead, no_progress, thread_pool
from ctmar.simulation.given_masks import GivenMasks, masks_for
from ctmar.simulation.operators import Device, Operators, operators_on
from ctmar.simulation.pair import Prepared, prepare_slice, simulate_pair
from ctmar.simulation.pair_origin import describe
from ctmar.simulation.scanner import build_scanner
from ctmar.store.atomic import check_target
from ctmar.store.pair_writer import open_pair_writer
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.provenance import sha256_of
from ctmar.store.slices import Slice, SliceFile, open_slices
from ctmar.store.tables import read_rows


class Work(NamedTuple):
    """A shard that is about to be simulated: how much it is, and the first pair of it, from which its cost is told."""

    settings: Simulation
    operators: Operators
    source: Slice
    mask: NDArray[np.uint8] | None
    nmar: bool
    n_slices: int
    n_masks: int
    threads: int


def simulate_subset(
    slices: Path | str,
    split: Path | str,
    subset: Subset,
    output: Path | str,
    settings: Simulation,
    *,
    threads: int = 1,
    progress: Progress = no_progress,
    shard: int = 0,
    n_shards: int = 1,
    device: Device = "cpu",
    announce: Callable[[Work], None] | None = None,
) -> None:
    """Write the pair file of a subset, or one shard of it for :func:`ctmar.store.join.join_pair_files`.

    The same settings give the same bytes on any number of threads, and the same numbers in any number of shards. On
    another device the numbers agree to 1e-4 of the largest, not byte for byte.

    Args:
        slices: file of slices.
        split: CSV with the columns patient and subset.
        subset: train, validation or test.
        output: pair file to write.
        settings: section `simulation` of the configuration.
        threads: pairs worked on at the same time.
        progress: called with (pairs done, pairs in all, text).
        shard: which shard, from 0 to n_shards - 1; shards are runs of successive slices.
        n_shards: number of shards that the subset is cut into.
        device: `cpu` or `cuda`.
        announce: called with the work before it starts, unless there is none; what it raises stops the simulation.

    Raises:
        InputError: a file is missing or malformed, the subset has no slice, or a setting does not fit.
    """
    if not 0 <= shard < n_shards:
        raise InputError(f"shard: expected 0 to {n_shards - 1} of {n_shards} shards, found {shard}")
    check_target(output, slices, split)
    operators = operators_on(device)
    with open_slices(slices) as file, thread_pool(threads) as pool:
        indices = _slices_of_subset(file, Path(split), subset)
        masks = masks_for(settings, subset, file)
        scanner = build_scanner(settings, file.image_size, file.pixel_mm[indices[0]], operators)
        checksums = {"slices_sha256": sha256_of(slices), "split_sha256": sha256_of(split), **masks.checksums()}
        chosen = indices[len(indices) * shard // n_shards : len(indices) * (shard + 1) // n_shards]
        if announce is not None and chosen and masks.n_per_slice:
            source = file.read_slice(chosen[0])
            (_, mask), *_ = masks.of_slice(source.slice_id)
            nmar, sizes = subset in settings.nmar, (len(chosen), masks.n_per_slice, threads)
            announce(Work(settings, operators, source, mask, nmar, *sizes))
        provenance = describe(settings, scanner, checksums)
        with open_pair_writer(output, subset, provenance, shard, n_shards) as writer:
            n_pairs, n_done = len(chosen) * masks.n_per_slice, 0
            jobs = _jobs(file, chosen, masks, settings, operators, subset in settings.nmar, pool)
            for job in ahead(jobs, 4 * threads):
                record = job.result()
                if isinstance(record, SliceRecord):
                    writer.write_slice(record)
                    continue
                writer.write_pair(record)
                n_done += 1
                progress(n_done, n_pairs, "pairs")


def _slices_of_subset(file: SliceFile, split: Path, subset: Subset) -> list[int]:
    patients = {row["patient"] for row in read_rows(split, ("patient", "subset")) if row["subset"] == subset}
    indices = [index for index, patient in enumerate(file.patient) if patient in patients]
    if not indices:
        raise InputError(f"{split}: subset '{subset}' has no slice: expected at least one patient with slices in it")
    return indices


def _jobs(
    file: SliceFile,
    indices: list[int],
    masks: GivenMasks,
    settings: Simulation,
    operators: Operators,
    nmar: bool,
    pool: ThreadPoolExecutor,
) -> Iterator[Future[Any]]:
    """Submit the work in the order of the file: a slice, then its pairs, which wait for what they share."""
    # slices are submitted before their pairs and the pool is first in, first out: no worker waits for ever
    for k, index in enumerate(indices):
        source = file.read_slice(index)
        prepared = pool.submit(prepare_slice, settings, operators, source)
        yield pool.submit(lambda slice_ready: slice_ready.result().record, prepared)
        for number, mask in masks.of_slice(source.slice_id):
            yield pool.submit(_pair_of, prepared, settings, k, number, mask, nmar)


def _pair_of(
    prepared: Future[Prepared],
    settings: Simulation,
    slice_index: int,
    mask_index: int,
    mask: NDArray[np.uint8] | None,
    nmar: bool,
) -> PairRecord:
    return simulate_pair(settings, prepared.result(), slice_index, mask_index, mask, nmar)
