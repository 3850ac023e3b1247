"""Pairs per second of the simulation with torch, and its operators alone on batches."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.gpu_check.measure import Work, take_turns
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.worker import Settings

from ctmar.config import Asymmetry
from ctmar.simulation import projector, projector_torch, reconstruction, reconstruction_torch
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import NUMBA, Operators, torch_operators
from ctmar.simulation.polychromatic import Beam
from ctmar.simulation.presets import preset_named
from ctmar.simulation.scanner import Scanner, scan_metal, trace_slice
from ctmar.store.pairs import Pair, PairFile

AS_NUMBA = Target("≤", 1e-4, "1e-4")
BATCHES = (1, 8, 32)


def measure(settings: Settings, record: Recorder) -> None:
    """Whole pairs, then projector, adjoint and filtered back-projection."""
    with PairFile(settings.bundle / "pairs.h5") as file:
        pairs = [smaller(file.read_pair(index), settings.quick) for index in range(min(4, file.n_pairs))]
    record.attempt("pairs", partial(whole_pairs, pairs, settings, record))
    scan = preset_named("benchmark").geometry(len(pairs[0].image), pairs[0].pixel_mm)
    sizes = BATCHES[:1] if settings.quick else BATCHES
    for n_images in sizes:
        images = np.stack([pairs[k % len(pairs)].image for k in range(n_images)])
        record.attempt(f"operators on {n_images}", partial(operators, scan, images, settings, record))


def smaller(pair: Pair, quick: bool) -> Pair:
    """The pair, or for a quick run every fourth pixel of it."""
    return replace(pair, image=pair.image[::4, ::4].copy(), mask=pair.mask[::4, ::4].copy()) if quick else pair


def scanner_on(bundle: Path, image_size: int, pixel_mm: float, with_operators: Operators) -> Scanner:
    """The benchmark's scan with the tables of the bundle, which need no spectrum library."""
    tables = json.loads((bundle / "beam.json").read_text())
    beam = Beam(**{name: np.array(table) for name, table in tables.items()})
    preset = preset_named("benchmark")
    return Scanner(
        preset, preset.geometry(image_size, pixel_mm), {"titanium": beam}, 2e7, 20.0, with_operators, Asymmetry()
    )


def whole_pairs(pairs: list[Pair], settings: Settings, record: Recorder) -> None:
    """Scan with metal and correct by linear interpolation; the slice is traced before, as for all its masks."""
    device = torch.device(settings.device)
    works: dict[str, Work] = {}
    for with_operators in (NUMBA, torch_operators(settings.device)):
        scanner = scanner_on(settings.bundle, len(pairs[0].image), pairs[0].pixel_mm, with_operators)
        paths = trace_slice(scanner, pairs[0].image)
        works[with_operators.name] = partial(
            lambda scanner, paths: scan_metal(scanner, paths, pairs[0].mask, random_stream(0)), scanner, paths
        )
    times = take_turns(works, device, settings.by(0.3), least=2, most=3 if settings.quick else 20)
    for name, values in times.items():
        record(f"pairs: {name}", [1e3 / value for value in values], "pairs/s")
    numba, found = (work().ma_CT for work in works.values())  # type: ignore[attr-defined]
    record(
        "pairs: largest difference to numba / largest", float(np.abs(found - numba).max() / numba.max()), "", AS_NUMBA
    )


def operators(scan: FanBeam, images: np.ndarray, settings: Settings, record: Recorder) -> None:
    """Images per second of each operator, copies left out, and its error."""
    device = torch.device(settings.device)
    batch = torch.from_numpy(images).to(device)
    sinograms = projector_torch.project(scan, batch)
    works: dict[str, Work] = {
        "project": partial(projector_torch.project, scan, batch),
        "adjoint": partial(projector_torch.back_project, scan, sinograms),
        "FBP": partial(reconstruction_torch.filtered_back_projection, scan, sinograms),
    }
    times = take_turns(works, device, settings.by(0.3), least=2, most=3 if settings.quick else 20)
    for name, values in times.items():
        record(f"{name}, {len(images)} together", [1e3 * len(images) / value for value in values], "images/s")
    expected = projector.project(scan, images[0])
    tell_error(f"project, {len(images)} together", sinograms[0], expected, record)
    image = reconstruction_torch.filtered_back_projection(scan, sinograms)[0]
    (wanted,) = reconstruction.filtered_back_projection(scan, expected)
    tell_error(f"FBP, {len(images)} together", image, wanted, record)


def tell_error(name: str, found: torch.Tensor, expected: np.ndarray, record: Recorder) -> None:
    """Largest difference to numba over the largest number."""
    error = np.abs(found.cpu().numpy() - expected).max() / np.abs(expected).max()
    record(f"{name}: largest difference to numba / largest", float(error), "", AS_NUMBA)
