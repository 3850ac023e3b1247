"""Low-contrast discs near the metal, in images that are simulated with them and without: what an observer is to find.

The file is one of pairs (:mod:`ctmar.store.pairs`) in which two entries belong together: 2k without and 2k + 1 with
discs, the same slice, mask and metal, and photon noise of their own. The difference of the two artefact-free images
says where the discs are.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.long_work import Progress, ahead, no_progress, thread_pool
from ctmar.simulation.given_masks import GivenMasks, masks_for
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import Device, Operators, operators_on
from ctmar.simulation.pair import Prepared, prepare_slice, simulate_pair
from ctmar.simulation.pair_origin import describe
from ctmar.simulation.scanner import build_scanner, scan_slice, trace_slice
from ctmar.store.atomic import check_target
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pair_writer import open_pair_writer
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.provenance import sha256_of
from ctmar.store.slices import Slice, SliceFile, open_slices
from ctmar.store.tables import read_rows
from ctmar.units import WATER_PER_CM, attenuation_to_hu

_MOST_DISCS = 4  # in an image
_BACKGROUND_HU = (-150.0, 250.0)  # soft tissue: what a disc lies in
_MARGIN = 1.0  # pixels of soft tissue around a disc
_REGION = 2.5  # half the side of the region around a disc, in radii of the disc


class Both(NamedTuple):
    """One image without discs and with them."""

    slices: tuple[SliceRecord, SliceRecord]
    pairs: tuple[PairRecord, PairRecord]


def simulate_signals(
    slices: Path | str,
    split: Path | str,
    output: Path | str,
    settings: Simulation,
    *,
    threads: int = 1,
    progress: Progress = no_progress,
    device: Device = "cpu",
) -> None:
    """Write the images with discs and without of every patient that a fold tests.

    Args:
        slices: file of slices.
        split: CSV with the columns patient and subset.
        output: pair file to write.
        settings: section `simulation` of the configuration.
        threads: images worked on at the same time.
        progress: called with (images done, images in all, text).
        device: `cpu` or `cuda`.

    Raises:
        InputError: a file is missing or malformed, or no image has a place for a disc.
    """
    check_target(output, slices, split)
    operators = operators_on(device)
    with open_slices(slices) as file, thread_pool(threads) as pool:
        masks = masks_for(settings, "test", file)
        chosen = _chosen_images(file, Path(split), masks, settings.signals.images_per_patient)
        scanner = build_scanner(settings, file.image_size, file.pixel_mm[chosen[0][0]], operators)
        checksums = {"slices_sha256": sha256_of(slices), "split_sha256": sha256_of(split), **masks.checksums()}
        n_written = 0
        with open_pair_writer(output, "test", describe(settings, scanner, checksums)) as writer:
            for done, job in enumerate(ahead(_jobs(file, chosen, settings, operators, pool), 4 * threads), start=1):
                both = job.result()
                if both is not None:
                    for record, pair in zip(both.slices, both.pairs, strict=True):
                        writer.write_slice(record)
                        writer.write_pair(replace(pair, slice_index=n_written))
                        n_written += 1
                progress(done, len(chosen), "images")
            if n_written == 0:
                raise InputError(f"{slices}: expected soft tissue near the metal of a test image, found none: no disc")


def _chosen_images(
    file: SliceFile, split: Path, masks: GivenMasks, n_per_patient: int
) -> list[tuple[int, int, NDArray[np.uint8] | None]]:
    """Slice, number of the mask and mask of some images of each tested patient: other slices first, then other masks.

    Raises:
        InputError: there is none.
    """
    tested = {row["patient"] for row in read_rows(split, ("patient", "subset")) if row["subset"] == "test"}
    chosen = []
    for patient in sorted(tested & set(file.patient)):
        own = [index for index, name in enumerate(file.patient) if name == patient]
        spread = [own[position] for position in evenly_spaced(len(own), n_per_patient)]
        every = [
            (index, *masks.of_slice(file.slice_id[index])[k]) for k in range(masks.n_per_slice) for index in spread
        ]
        chosen += every[:n_per_patient]
    if not chosen:
        raise InputError(f"{split}: expected images to put signals into, found no test patient, mask or wanted image")
    return chosen


def _jobs(
    file: SliceFile,
    chosen: list[tuple[int, int, NDArray[np.uint8] | None]],
    settings: Simulation,
    operators: Operators,
    pool: ThreadPoolExecutor,
) -> Iterator[Future[Any]]:
    for index, number, mask in chosen:
        yield pool.submit(simulate_both, settings, operators, file.read_slice(index), number, mask)


def simulate_both(
    settings: Simulation, operators: Operators, source: Slice, mask_index: int, given: NDArray[np.uint8] | None
) -> Both | None:
    """One image without discs and with them; None where there is no place for a disc."""
    absent = prepare_slice(settings, operators, source)
    without = simulate_pair(settings, absent, 0, mask_index, given, nmar=False)
    radius = max(1.0, settings.signals.diameter_mm / 2 / source.pixel_mm)
    random = random_stream(settings.seed, source.slice_id, mask_index, "signals")
    reach = settings.signals.reach_mm / source.pixel_mm
    places = draw_places(source.image, without.mask, radius, reach, random)
    if not places:
        return None
    present = _with_discs(settings, absent, discs(len(source.image), places, radius))
    noise = "photons with signals"
    seen = simulate_pair(settings, present, 0, mask_index, given, nmar=False, noise=noise)
    return Both((absent.record, present.record), (without, seen))


def _with_discs(settings: Simulation, absent: Prepared, coverage: NDArray[np.float32]) -> Prepared:
    """The same slice with discs; metal is drawn as in the slice without them."""
    raised = settings.signals.contrast_hu / 1000 * WATER_PER_CM
    image = absent.record.image + np.float32(raised) * coverage
    paths = trace_slice(absent.scanner, image)
    random = random_stream(settings.seed, absent.record.slice_id, "clean with signals")
    poly_CT, sinogram = scan_slice(absent.scanner, paths, random)
    kept = sinogram if settings.store_sinograms else None
    return replace(absent, paths=paths, record=replace(absent.record, image=image, poly_CT=poly_CT, poly_sinogram=kept))


def region_half_side(radius: float) -> int:
    """Pixels from the centre of a disc to the side of the square region in which it is looked for.

    Examples:
        >>> region_half_side(2.0)
        5
    """
    return int(np.ceil(_REGION * radius))


def draw_places(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    radius: float,
    reach: float,
    random: np.random.Generator,
) -> list[tuple[int, int]]:
    """Centres of discs in soft tissue near the metal, at most four, so far apart that each has a region of its own.

    Args:
        image: artefact-free image, shape (size, size) [1/cm].
        mask: 1 where there is metal, shape (size, size).
        radius: of the discs [pixels].
        reach: farthest of a centre from the metal [pixels].
        random: source of the order in which places are tried.

    Returns:
        Rows and columns.
    """
    low, high = _BACKGROUND_HU
    hu = attenuation_to_hu(image)
    tissue = (hu >= low) & (hu < high) & (mask == 0)
    half = region_half_side(radius)
    free = (distance_transform_edt(tissue) > radius + _MARGIN) & (distance_transform_edt(mask == 0) <= reach)
    free[:half], free[-half:], free[:, :half], free[:, -half:] = False, False, False, False
    apart = half + radius + _MARGIN
    places: list[tuple[int, int]] = []
    for row, column in random.permutation(np.argwhere(free)).tolist():
        if all(max(abs(row - y), abs(column - x)) > apart for y, x in places):
            places.append((row, column))
        if len(places) == _MOST_DISCS:
            break
    return places


def discs(size: int, places: list[tuple[int, int]], radius: float) -> NDArray[np.float32]:
    """Share of each pixel that a disc covers, shape (size, size).

    Examples:
        >>> float(discs(21, [(10, 10)], 4.0).sum().round()) == round(np.pi * 4**2)
        True
    """
    rows, columns = np.arange(size)[:, None], np.arange(size)
    coverage = np.zeros((size, size), np.float32)
    for row, column in places:
        coverage += np.clip(radius + 0.5 - np.hypot(rows - row, columns - column), 0, 1).astype(np.float32)
    return coverage
