"""One slice made ready, and one pair of it; everything random has a stream of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.masks import Anatomy, Mask, draw_mask, find_anatomy
from ctmar.simulation.materials import draw_metal
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import Operators
from ctmar.simulation.scanner import (
    Scanner,
    SlicePaths,
    build_scanner,
    correct_normalised,
    scan_metal,
    scan_slice,
    trace_slice,
)
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.slices import Slice


@dataclass(frozen=True, eq=False)
class Prepared:
    """What all pairs of a slice share; ``anatomy`` is None where masks are given and not drawn."""

    record: SliceRecord
    scanner: Scanner
    paths: SlicePaths
    anatomy: Anatomy | None


def prepare_slice(settings: Simulation, operators: Operators, source: Slice) -> Prepared:
    """Scan a slice without metal, and find where in it metal can be if masks are drawn.

    Raises:
        InputError: there is no body in the slice.
    """
    scanner = build_scanner(settings, len(source.image), source.pixel_mm, operators)
    paths = trace_slice(scanner, source.image)
    try:
        anatomy = find_anatomy(source.image) if settings.masks == "drawn" else None
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
    return Prepared(record, scanner, paths, anatomy)


def simulate_pair(
    settings: Simulation,
    prepared: Prepared,
    slice_index: int,
    mask_index: int,
    given: NDArray[np.uint8] | None,
    nmar: bool,
    *,
    noise: str = "photons",
) -> PairRecord:
    """Simulate the metal of one mask in a slice.

    Args:
        settings: section `simulation` of the configuration.
        prepared: the slice.
        slice_index: its index in the file of pairs.
        mask_index: number of the mask; it also names the streams of the mask, its material and the noise.
        given: metal mask (size, size), or None to draw one.
        nmar: also correct by NMAR.
        noise: name of the stream of the noise.

    Raises:
        InputError: there is no place for metal in the slice.
    """
    labels = (settings.seed, prepared.record.slice_id, mask_index)
    coverage, binary = None, given
    if binary is None:
        mask = _drawn(prepared, random_stream(*labels, "mask"))
        coverage, binary = mask.coverage, mask.binary
    metal = draw_metal(settings.metal, random_stream(*labels, "metal"))
    photons = random_stream(*labels, noise)
    scan = scan_metal(prepared.scanner, prepared.paths, binary, photons, coverage, metal)
    keep = settings.store_sinograms
    return PairRecord(
        ma_CT=scan.ma_CT,
        LI_CT=scan.LI_CT,
        mask=binary,
        slice_index=slice_index,
        mask_index=mask_index,
        metal=metal,
        NMAR_CT=correct_normalised(prepared.scanner, scan, binary) if nmar else None,
        ma_sinogram=scan.ma_sinogram if keep else None,
        LI_sinogram=scan.LI_sinogram if keep else None,
        metal_trace=scan.metal_trace if keep else None,
    )


def _drawn(prepared: Prepared, random: np.random.Generator) -> Mask:
    if prepared.anatomy is None:
        raise ValueError("expected a slice prepared for drawn masks")
    try:
        return draw_mask(prepared.anatomy, random)
    except InputError as error:
        raise InputError(f"slice {prepared.record.slice_id}: {error}") from None
