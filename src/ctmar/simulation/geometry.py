"""Fan-beam geometry with a flat detector, and the two presets.

Axes: the image centre is the origin, x runs right along the columns, y runs up against the rows. In view i the
source turned by the angle a_i = (i + 1/2)·2π/n_views − π/2 stands at ``source_cm`` · (sin a, −cos a); the detector
lies opposite, its bins along (cos a, sin a).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError

BENCHMARK_SIZE = 416
_BENCHMARK_PIXEL_CM = 512 / 416 * 0.03
_BENCHMARK_VIEWS = 640
_BENCHMARK_BINS = 641
_DISTANCE_PIXELS = 1075  # source to axis and axis to detector, in pixels of the 416 × 416 grid


@dataclass(frozen=True)
class FanBeam:
    """A full-turn fan-beam scan of a square image; lengths in cm."""

    image_size: int
    pixel_cm: float
    n_views: int
    n_bins: int
    bin_cm: float
    source_cm: float
    detector_cm: float

    def __post_init__(self) -> None:
        reach = self.image_size * self.pixel_cm / math.sqrt(2)
        if not 0 < reach < min(self.source_cm, self.detector_cm):
            raise InputError(
                f"geometry: source ({self.source_cm:g} cm) and detector ({self.detector_cm:g} cm) must lie outside"
                f" the corner of the image, {reach:g} cm from the axis"
            )

    @property
    def angles(self) -> NDArray[np.float64]:
        """View angles a_i [radian], mid-points of n_views equal steps of a full turn."""
        steps = np.arange(self.n_views, dtype=np.float64) + 0.5
        return steps * (2 * math.pi / self.n_views) - math.pi / 2

    @property
    def virtual_bin_cm(self) -> float:
        """Bin width of the detector moved to the axis of rotation."""
        return self.bin_cm * self.source_cm / (self.source_cm + self.detector_cm)

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        """Shape (n_views, n_bins) of a sinogram."""
        return self.n_views, self.n_bins


def _fan_beam(image_size: int, pixel_cm: float) -> FanBeam:
    """Scale the benchmark's scan to another grid: distances and detector follow the width of the image.

    Views and bins are in proportion to ``image_size``, so size 416 with the benchmark's pixel is its geometry. The
    number of views is a multiple of four, as the benchmark's is: then a quarter turn of the image is a shift of the
    views, and the scan commutes with the group C4 exactly.
    """
    width_cm = image_size * pixel_cm
    n_bins = round(_BENCHMARK_BINS * image_size / BENCHMARK_SIZE)
    distance_cm = _DISTANCE_PIXELS / BENCHMARK_SIZE * width_cm
    return FanBeam(
        image_size=image_size,
        pixel_cm=pixel_cm,
        n_views=4 * round(_BENCHMARK_VIEWS / 4 * image_size / BENCHMARK_SIZE),
        n_bins=n_bins,
        bin_cm=2 * math.sqrt(2) * width_cm / n_bins,
        source_cm=distance_cm,
        detector_cm=distance_cm,
    )


def benchmark_geometry(image_size: int) -> FanBeam:
    """Return the shrunken scan of SynDeepLesion: the field is 416 · 0.0369 = 15.36 cm wide on every grid.

    Examples:
        >>> benchmark_geometry(416).sinogram_shape
        (640, 641)
        >>> benchmark_geometry(128).sinogram_shape
        (196, 197)
    """
    return _fan_beam(image_size, BENCHMARK_SIZE * _BENCHMARK_PIXEL_CM / image_size)


def physical_geometry(image_size: int, pixel_mm: float) -> FanBeam:
    """Return the same scan at the true size of the patient: pixels of ``pixel_mm``."""
    return _fan_beam(image_size, pixel_mm / 10)
