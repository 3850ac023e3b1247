"""The two scans, and what cannot be scanned."""

import math

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam, benchmark_geometry, physical_geometry


def test_size_416_is_the_geometry_of_the_benchmark():
    scan = benchmark_geometry(416)
    pixel = 512 / 416 * 0.03
    assert scan.sinogram_shape == (640, 641)
    assert scan.pixel_cm == pytest.approx(pixel)
    assert scan.n_bins * scan.bin_cm == pytest.approx(2 * math.sqrt(2) * 416 * pixel)
    assert scan.source_cm == scan.detector_cm == pytest.approx(1075 * pixel)
    np.testing.assert_allclose(scan.angles[[0, -1]] + math.pi / 2, [math.pi / 640, 2 * math.pi - math.pi / 640])


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
def test_other_sizes_see_the_same_field(size: int):
    scan, benchmark = benchmark_geometry(size), benchmark_geometry(416)
    assert size * scan.pixel_cm == pytest.approx(416 * benchmark.pixel_cm)
    assert scan.source_cm == pytest.approx(benchmark.source_cm)
    assert scan.n_bins * scan.bin_cm == pytest.approx(benchmark.n_bins * benchmark.bin_cm)
    assert abs(scan.n_views - 640 * size / 416) <= 2
    assert scan.n_views % 4 == 0


def test_physical_scan_has_the_pixels_of_the_patient():
    scan = physical_geometry(128, pixel_mm=3.0)
    assert scan.pixel_cm == pytest.approx(0.3)
    assert scan.source_cm / (128 * 0.3) == pytest.approx(1075 / 416)


def test_a_source_inside_the_image_is_refused():
    with pytest.raises(InputError, match="must lie outside the corner of the image"):
        FanBeam(100, 0.1, 90, 101, 0.2, source_cm=7.0, detector_cm=20.0)
