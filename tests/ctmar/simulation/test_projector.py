"""Line integrals against closed forms, and the adjoint against the definition."""

import numba
import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam, benchmark_geometry
from ctmar.simulation.projector import back_project, compiled, project


def gaussian(scan: FanBeam, x_cm: float, y_cm: float, sigma_cm: float):
    """Image of a Gaussian and its exact sinogram sqrt(2π) σ exp(-d² / 2σ²), d the distance of a ray."""
    half = (scan.image_size - 1) / 2
    rows, columns = np.indices((scan.image_size, scan.image_size))
    x, y = (columns - half) * scan.pixel_cm, (half - rows) * scan.pixel_cm
    image = np.exp(-((x - x_cm) ** 2 + (y - y_cm) ** 2) / (2 * sigma_cm**2))
    a = scan.angles[:, None]
    u = (np.arange(scan.n_bins) - (scan.n_bins - 1) / 2) * scan.bin_cm
    source = np.stack([np.sin(a) * scan.source_cm, -np.cos(a) * scan.source_cm])
    pixel = np.stack([np.cos(a) * u - np.sin(a) * scan.detector_cm, np.sin(a) * u + np.cos(a) * scan.detector_cm])
    along = (pixel - source) / np.linalg.norm(pixel - source, axis=0)
    distance = along[0] * (y_cm - source[1]) - along[1] * (x_cm - source[0])
    return image, np.sqrt(2 * np.pi) * sigma_cm * np.exp(-(distance**2) / (2 * sigma_cm**2))


def test_gaussian_has_its_closed_form():
    scan = benchmark_geometry(128)
    image, exact = gaussian(scan, 2.1, -3.3, 0.8)
    # linear interpolation flattens a peak by about h²/(12 σ²) = 0.2 %
    assert np.abs(project(scan, image) - exact).max() < 4e-3 * exact.max()


def test_rays_through_a_uniform_square_have_their_length():
    scan = benchmark_geometry(64)
    sinogram = project(scan, np.ones((64, 64)))
    assert sinogram.max() == pytest.approx(np.sqrt(2) * 64 * scan.pixel_cm, rel=0.03)
    assert sinogram[:, scan.n_bins // 2].min() == pytest.approx(64 * scan.pixel_cm, rel=0.03)


def test_back_projection_is_the_adjoint():
    scan = benchmark_geometry(48)
    random = np.random.default_rng(0)
    image, sinogram = random.random((48, 48)), random.random(scan.sinogram_shape)
    left = float((project(scan, image).astype(float) * sinogram).sum())
    assert left == pytest.approx(float((image * back_project(scan, sinogram)).sum()), rel=1e-6)


def test_projection_is_linear():
    scan = benchmark_geometry(48)
    a, b = np.random.default_rng(1).random((2, 48, 48))
    np.testing.assert_allclose(
        project(scan, 2 * a - 3 * b), 2 * project(scan, a) - 3 * project(scan, b), rtol=0, atol=1e-5
    )


def test_quarter_turn_of_the_image_shifts_the_views():
    scan = benchmark_geometry(64)
    image = np.random.default_rng(2).random((64, 64))
    quarter = np.roll(project(scan, image), scan.n_views // 4, axis=0)
    np.testing.assert_allclose(project(scan, np.rot90(image)), quarter, rtol=0, atol=2e-3)


def test_small_objects_are_traced_like_large_images():
    """The search for rays is confined to the object; what lies around it must not change its line integrals."""
    scan = benchmark_geometry(64)
    small, corners = np.zeros((2, 64, 64))
    small[30:33, 40:42] = 1
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = 1
    np.testing.assert_allclose(
        project(scan, small), project(scan, small + corners) - project(scan, corners), rtol=0, atol=1e-6
    )
    assert project(scan, np.zeros((64, 64))).max() == 0


def test_frozen_value():
    scan = benchmark_geometry(32)
    image = np.add.outer(np.arange(32.0), np.arange(32.0))
    sinogram = project(scan, image)
    assert sinogram.sum() == pytest.approx(FROZEN_SUM, rel=1e-6)
    assert sinogram[7, 20] == pytest.approx(FROZEN_RAY, rel=1e-6)


FROZEN_SUM, FROZEN_RAY = 807265.4, 479.15894


def test_wrong_shapes_are_named():
    scan = benchmark_geometry(32)
    with pytest.raises(InputError, match=r"expected 32 × 32 pixels, found shape \(32, 31\)"):
        project(scan, np.zeros((32, 31)))
    with pytest.raises(InputError, match=r"sinogram: expected shape \(48, 49\), found \(48, 48\)"):
        back_project(scan, np.zeros((48, 48)))


def test_compiles_where_no_cache_can_be_written(monkeypatch):
    """Installed read-only and without a home there is no place for compiled code: it is compiled anew."""

    def refuse(_) -> None:
        raise OSError

    def double(x: float) -> float:
        return 2 * x

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refuse)
    with pytest.raises(RuntimeError, match="cannot cache function"):
        numba.njit(cache=True)(double)
    assert compiled(double)(3.0) == 6.0
