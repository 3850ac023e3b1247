"""Simulate one slice and its metal masks; what depends on the slice alone is computed once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.interpolation import interpolate_linearly, trace_edges
from ctmar.simulation.polychromatic import Beam, beam_through, measure, split_tissue, transmission
from ctmar.simulation.presets import Preset, preset_named
from ctmar.simulation.projector import project
from ctmar.simulation.reconstruction import filtered_back_projection


@dataclass(frozen=True, eq=False)
class Scanner:
    """A scan of images of one size, with the photons and the metal of ``settings``."""

    preset: Preset
    geometry: FanBeam
    beam: Beam
    photons: float
    scatter: float


@dataclass(frozen=True, eq=False)
class SlicePaths:
    """What every mask of a slice shares: line integrals of water and bone, and the share that passes both."""

    water: NDArray[np.float32]
    bone: NDArray[np.float32]
    passed: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MetalScan:
    """A scan with metal: images (size, size) in 1/cm, sinograms and trace of shape (n_views, n_bins)."""

    ma_CT: NDArray[np.float32]  # noqa: N815 (name in the files)
    LI_CT: NDArray[np.float32]
    ma_sinogram: NDArray[np.float32]
    LI_sinogram: NDArray[np.float32]
    metal_trace: NDArray[np.uint8]


def build_scanner(settings: Simulation, image_size: int, pixel_mm: float | None = None) -> Scanner:
    """Build the scan of images of ``image_size`` pixels of ``pixel_mm`` (needed by preset `physical` only).

    Raises:
        InputError: unknown preset or metal, or the pixel size is needed and missing.
    """
    preset = preset_named(settings.preset)
    factor = preset.titanium_factor if settings.metal == "titanium" else 1.0
    return Scanner(
        preset=preset,
        geometry=preset.geometry(image_size, pixel_mm),
        beam=beam_through(preset.tube, settings.metal, factor),
        photons=settings.photons,
        scatter=settings.scatter,
    )


def trace_slice(scanner: Scanner, image: NDArray[np.float32]) -> SlicePaths:
    """Project a slice of linear attenuation (size, size) in 1/cm."""
    water, bone = (project(scanner.geometry, tissue) for tissue in split_tissue(image))
    return SlicePaths(water, bone, transmission(scanner.beam, water, bone))


def scan_slice(
    scanner: Scanner, paths: SlicePaths, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scan a slice without metal; returns (poly_CT in 1/cm, poly_sinogram)."""
    sinogram = measure(scanner.beam, paths.passed, scanner.photons, scanner.scatter, random)
    (image,) = filtered_back_projection(scanner.geometry, sinogram, form=scanner.preset.form)
    return image, sinogram


def scan_metal(
    scanner: Scanner,
    paths: SlicePaths,
    mask: NDArray[np.uint8],
    random: np.random.Generator,
    coverage: NDArray[np.float32] | None = None,
) -> MetalScan:
    """Scan a slice with metal where ``mask`` is 1, and correct it by linear interpolation.

    The metal is added to the tissue; the trace is every ray that meets it. Where the preset follows partial coverage,
    metal lies where ``coverage`` (fractions, if given) says, else where the mask does.
    """
    metal = mask if coverage is None or not scanner.preset.partial_coverage else coverage
    path_cm = project(scanner.geometry, metal)
    trace = path_cm > 0
    path_cm[trace_edges(trace)] *= scanner.preset.edge_share(len(mask))
    passed = paths.passed.copy()
    passed[trace] = transmission(scanner.beam, paths.water[trace], paths.bone[trace], path_cm[trace])
    sinogram = measure(scanner.beam, passed, scanner.photons, scanner.scatter, random)
    interpolated = interpolate_linearly(sinogram, trace)
    ma, li = filtered_back_projection(scanner.geometry, sinogram, interpolated, form=scanner.preset.form)
    return MetalScan(ma, li, sinogram, interpolated, trace.astype(np.uint8))
