"""One slice and one mask from plain files to one file with the benchmark's field names."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctmar.config import Simulation, validate_section
from ctmar.errors import InputError
from ctmar.simulation.materials import draw_metal
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import Device, operators_on
from ctmar.simulation.pair_origin import describe
from ctmar.simulation.plain_files import fit_mask, read_image, read_mask
from ctmar.simulation.scanner import build_scanner, scan_metal, scan_slice, trace_slice
from ctmar.store.atomic import check_target
from ctmar.store.benchmark import write_fields
from ctmar.store.provenance import sha256_of


def simulate_files(
    image: Path | str,
    mask: Path | str,
    output: Path | str,
    preset: str = "benchmark",
    seed: int = 0,
    pixel_mm: float | None = None,
    settings: Simulation | None = None,
    threads: int = 1,
    mask_index: int | None = None,
    device: Device = "cpu",
) -> None:
    """Simulate the artefacts of one mask in one slice.

    Args:
        image: HDF5 file with a field `image`, or .npy: linear attenuation of a square slice [1/cm].
        mask: .png, .npy, NIfTI or .mat of the image's size or 512 × 512 pixels; metal is where it is not zero.
        output: HDF5 file to write, in the field names of :mod:`ctmar.store.benchmark`.
        preset: `benchmark` or `physical`.
        seed: seed of the photon noise.
        pixel_mm: pixel of the image, needed by preset `physical` [mm].
        settings: photons, scatter and metal; preset and seed are taken from the arguments.
        threads: 2 or more scan with and without metal at the same time; no number depends on it.
        mask_index: which mask of a file with several.
        device: `cpu` or `cuda`; the bytes are the same for one device only.

    Raises:
        InputError: a file cannot be read or does not fit, or a setting is unknown.
    """
    base = settings.model_dump() if settings else {}
    chosen = validate_section(Simulation, {**base, "preset": preset, "seed": seed}, "simulation")
    check_target(output, image, mask)
    if preset == "benchmark" and pixel_mm is not None:
        raise InputError(
            f"pixel_mm: expected none with preset 'benchmark', which has its own pixel, found {pixel_mm:g}"
        )
    attenuation = read_image(image)
    given = read_mask(mask, mask_index)
    try:
        metal = fit_mask(given, attenuation.shape[0])
    except InputError as error:
        raise InputError(f"{mask}: {error}") from None
    scanner = build_scanner(chosen, attenuation.shape[0], pixel_mm, operators_on(device))
    material = draw_metal(chosen.metal, random_stream(seed, "single", "material"))
    paths = trace_slice(scanner, attenuation)
    with ThreadPoolExecutor(threads) as pool:
        clean = pool.submit(scan_slice, scanner, paths, random_stream(seed, "single", "clean"))
        noise = random_stream(seed, "single", "metal")
        with_metal = pool.submit(scan_metal, scanner, paths, metal, noise, metal=material)
    poly_ct, poly_sinogram = clean.result()
    checksums = {"image_sha256": sha256_of(image), "mask_sha256": sha256_of(mask)}
    fields = {"image": attenuation, "poly_CT": poly_ct, "poly_sinogram": poly_sinogram, **vars(with_metal.result())}
    write_fields(output, fields, describe(chosen, scanner, {**checksums, "metal": material}))
