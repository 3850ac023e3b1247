"""Simulate one slice and its metal masks; what depends on the slice alone is computed once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Asymmetry, Metal, Simulation
from ctmar.simulation.asymmetry import detected, shadow, view_weights
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.interpolation import interpolate_linearly, interpolate_normalised, prior_image, trace_edges
from ctmar.simulation.operators import NUMBA, Operators
from ctmar.simulation.polychromatic import Beam, beam_through, measure, split_tissue, transmission
from ctmar.simulation.presets import Preset, preset_named


@dataclass(frozen=True, eq=False)
class Scanner:
    """A scan of images of one size, with the photons of ``settings`` and tables for each of its metals."""

    preset: Preset
    geometry: FanBeam
    beams: Mapping[Metal, Beam]
    photons: float
    scatter: float
    operators: Operators
    asymmetry: Asymmetry

    @property
    def beam(self) -> Beam:
        """Tables for tissue, which all metals share."""
        return next(iter(self.beams.values()))

    def read_out(self, beam: Beam, passed: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
        """The sinogram that the detector reports of the share of photons ``passed`` along each ray."""
        seen = detected(self.geometry, self.asymmetry, passed)
        return measure(beam, seen, self.photons, self.scatter, random)

    def reconstruct(self, *sinograms: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Images (size, size) in 1/cm of sinograms (n_views, n_bins), from the views that the scan has."""
        weights = view_weights(self.geometry, self.asymmetry)
        used = sinograms if weights is None else [weights * sinogram for sinogram in sinograms]
        return self.operators.reconstruct(self.geometry, *used, form=self.preset.form)


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


def build_scanner(
    settings: Simulation, image_size: int, pixel_mm: float | None = None, operators: Operators = NUMBA
) -> Scanner:
    """Build the scan of images of ``image_size`` pixels of ``pixel_mm`` (needed by preset `physical` only).

    Raises:
        InputError: unknown preset or metal, or the pixel size is needed and missing.
    """
    preset = preset_named(settings.preset)
    factors: dict[Metal, float] = {"titanium": preset.titanium_factor}
    return Scanner(
        preset=preset,
        geometry=preset.geometry(image_size, pixel_mm),
        beams={name: beam_through(preset.tube, name, factors.get(name, 1.0)) for name in settings.metal},
        photons=settings.photons,
        scatter=settings.scatter,
        operators=operators,
        asymmetry=settings.asymmetry,
    )


def trace_slice(scanner: Scanner, image: NDArray[np.float32]) -> SlicePaths:
    """Project a slice of linear attenuation (size, size) in 1/cm."""
    water, bone = (scanner.operators.project(scanner.geometry, tissue) for tissue in split_tissue(image))
    return SlicePaths(water, bone, transmission(scanner.beam, water, bone))


def scan_slice(
    scanner: Scanner, paths: SlicePaths, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scan a slice without metal; returns (poly_CT in 1/cm, poly_sinogram)."""
    sinogram = scanner.read_out(scanner.beam, paths.passed, random)
    (image,) = scanner.reconstruct(sinogram)
    return image, sinogram


def scan_metal(
    scanner: Scanner,
    paths: SlicePaths,
    mask: NDArray[np.uint8],
    random: np.random.Generator,
    coverage: NDArray[np.float32] | None = None,
    metal: Metal | None = None,
) -> MetalScan:
    """Scan a slice with metal where ``mask`` is 1, and correct it by linear interpolation.

    The metal is added to the tissue; the trace is every ray that meets it, or every bin that a blur lets its shadow
    reach. Where the preset follows partial coverage,
    metal lies where ``coverage`` (fractions, if given) says, else where the mask does. It is of the material
    ``metal``, one of the scanner's, or of the scanner's first.
    """
    beam = scanner.beam if metal is None else scanner.beams[metal]
    covered = mask if coverage is None or not scanner.preset.partial_coverage else coverage
    path_cm = scanner.operators.project(scanner.geometry, covered)
    trace = path_cm > 0
    path_cm[trace_edges(trace)] *= scanner.preset.edge_share(len(mask))
    passed = paths.passed.copy()
    passed[trace] = transmission(beam, paths.water[trace], paths.bone[trace], path_cm[trace])
    sinogram = scanner.read_out(beam, passed, random)
    seen = shadow(scanner.geometry, scanner.asymmetry, trace)
    interpolated = interpolate_linearly(sinogram, seen)
    ma, li = scanner.reconstruct(sinogram, interpolated)
    return MetalScan(ma, li, sinogram, interpolated, seen.astype(np.uint8))


def correct_normalised(scanner: Scanner, scan: MetalScan, mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Correct a scan by normalised interpolation (NMAR), its prior made from the LI image; returns the image [1/cm]."""
    prior = prior_image(scan.LI_CT, mask)
    sinogram = interpolate_normalised(scanner.geometry, scan.ma_sinogram, scan.metal_trace, prior, scanner.operators)
    (image,) = scanner.reconstruct(sinogram)
    return image
