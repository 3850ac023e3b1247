"""Scans of a phantom: what metal does, and what it does not touch."""

import numpy as np
import pytest

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.noise import random_stream
from ctmar.simulation.presets import preset_named
from ctmar.simulation.scanner import build_scanner, correct_normalised, scan_metal, scan_slice, trace_slice


@pytest.fixture(scope="module")
def mask():
    mask = np.zeros((128, 128), np.uint8)
    mask[78:84, 56:60] = mask[78:84, 68:72] = 1
    return mask


def scan(body, mask, seed: int = 0, coverage=None, pixel_mm: float | None = None, **settings):
    scanner = build_scanner(Simulation(**settings), len(body), pixel_mm)
    paths = trace_slice(scanner, body)
    return scanner, paths, scan_metal(scanner, paths, mask, random_stream(seed), coverage)


def error(image, body, mask) -> float:
    return float(np.sqrt(np.mean((np.clip(image, 0, 0.5) - np.clip(body, 0, 0.5))[mask == 0] ** 2)))


def test_metal_free_scan_shows_the_slice(body):
    scanner = build_scanner(Simulation(), len(body))
    image, sinogram = scan_slice(scanner, trace_slice(scanner, body), random_stream(0))
    inside = (slice(70, 90), slice(40, 55))
    assert image[inside].mean() == pytest.approx(body[inside].mean(), rel=0.01)
    assert sinogram.shape == scanner.geometry.sinogram_shape


def test_metal_makes_artefacts_and_interpolation_mends_them(body, mask):
    _, _, result = scan(body, mask)
    assert result.ma_CT[mask == 1].min() > 0.6
    assert error(result.ma_CT, body, mask) > 1.4 * error(result.LI_CT, body, mask)
    between = result.ma_CT[80:82, 61:67].mean()
    assert between < body[80:82, 61:67].mean() - 0.03  # the dark band between two metals


def test_outside_the_trace_there_is_only_noise(body, mask):
    scanner, paths, result = scan(body, mask)
    outside = result.metal_trace == 0
    _, clean = scan_slice(scanner, paths, random_stream(1))
    np.testing.assert_array_equal(result.ma_sinogram[outside], result.LI_sinogram[outside])
    assert np.abs(result.ma_sinogram - clean)[outside].max() < 0.02
    assert (result.ma_sinogram - clean)[~outside].mean() > 0.5


def test_noise_follows_the_seed(body, mask):
    first, again, other = (scan(body, mask, seed)[2] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.ma_CT, again.ma_CT)
    assert (first.ma_sinogram != other.ma_sinogram).any()


def test_heavier_metal_makes_stronger_artefacts(body, mask):
    errors = [error(scan(body, mask, metal=name)[2].ma_CT, body, mask) for name in ("titanium", "steel", "amalgam")]
    assert errors == sorted(errors)


def test_fewer_photons_make_more_noise(body, mask):
    few, many = (scan(body, mask, photons=n)[2].LI_sinogram for n in (1e4, 2e7))
    clean = scan(body, mask, photons=1e12, scatter=0)[2].LI_sinogram
    assert np.std(few - clean) > 10 * np.std(many - clean)


def test_physical_scan_starves_behind_metal(body, mask):
    """At its real size the same slice lets few photons pass: line integrals of 6 and more, counts near the scatter."""
    scanner, paths, result = scan(body, mask, pixel_mm=3.0, preset="physical", metal="cobalt_chromium")
    small, _, _ = scan(body, mask, metal="cobalt_chromium")
    assert (paths.water + paths.bone).max() > 6
    assert scanner.geometry.pixel_cm / small.geometry.pixel_cm == pytest.approx(2.5)
    assert result.ma_sinogram.max() > 2 * paths.water.max()
    assert error(result.ma_CT, body, mask) > error(result.LI_CT, body, mask)


def test_partial_coverage_counts_in_the_physical_preset_only(body, mask):
    half = 0.6 * mask.astype(np.float32)
    for preset, smaller in (("physical", True), ("benchmark", False)):
        whole = scan(body, mask, pixel_mm=3.0, preset=preset)[2]
        partial = scan(body, mask, coverage=half, pixel_mm=3.0, preset=preset)[2]
        assert (partial.ma_CT[mask == 1].mean() < 0.95 * whole.ma_CT[mask == 1].mean()) is np.bool_(smaller)


def test_unknown_names_and_missing_pixels_are_said():
    with pytest.raises(InputError, match="unknown preset 'toy': expected one of benchmark, physical"):
        preset_named("toy")
    with pytest.raises(InputError, match=r"expected the pixel size from 0\.05 to 50 mm, found None"):
        build_scanner(Simulation(preset="physical"), 64)


def test_normalised_interpolation_beats_linear_near_bone(body):
    """Metal in the spine: LI smears the bone along the trace, NMAR keeps it; both against the scan without metal."""
    metal = np.zeros((128, 128), np.uint8)
    metal[84:88, 55:58] = metal[84:88, 70:73] = 1
    scanner, paths, result = scan(body, metal)
    clean, _ = scan_slice(scanner, paths, random_stream(1))
    li_error, nmar_error = (
        error(image, clean, metal) for image in (result.LI_CT, correct_normalised(scanner, result, metal))
    )
    assert nmar_error < 0.75 * li_error


def test_several_materials_share_one_scanner(body, mask):
    scanner = build_scanner(Simulation(metal=["steel", "titanium"]), len(body))
    paths = trace_slice(scanner, body)
    for name in ("steel", "titanium"):
        together = scan_metal(scanner, paths, mask, random_stream(0), metal=name)
        np.testing.assert_array_equal(together.ma_CT, scan(body, mask, metal=name)[2].ma_CT)
    first = scan_metal(scanner, paths, mask, random_stream(0))
    np.testing.assert_array_equal(first.ma_CT, scan(body, mask, metal="steel")[2].ma_CT)


def test_starved_rays_end_at_one_photon_and_scatter_hides_them(body, mask):
    """At real size few photons pass cobalt-chromium: p = ln n_0 is the most that can be measured, less with scatter."""
    photons = 1e5
    most = {}
    for scatter in (0.0, 100.0):
        settings = {"preset": "physical", "metal": "cobalt_chromium", "photons": photons, "scatter": scatter}
        scanner, _, result = scan(body, mask, pixel_mm=3.0, **settings)
        p = np.log(photons)
        first, second, third = scanner.beam.correction
        ceiling = ((third * p + second) * p + first) * p
        most[scatter] = result.ma_sinogram.max() / ceiling
    assert most[0.0] == pytest.approx(1, rel=1e-6)
    assert most[100.0] < 0.75


def test_noise_follows_the_dose(body):
    """Ten times the mAs is ten times the photons: the noise of a ray falls by the root of ten."""
    noise = {}
    for photons in (1e5, 1e6):
        settings = Simulation(preset="physical", photons=photons, scatter=0)
        scanner = build_scanner(settings, len(body), 3.0)
        paths = trace_slice(scanner, body)
        first, second = (scan_slice(scanner, paths, random_stream(k))[1] for k in (0, 1))
        bright = paths.passed > 0.01
        noise[photons] = np.std((first - second)[bright] * np.sqrt(paths.passed[bright]))
    assert noise[1e5] / noise[1e6] == pytest.approx(np.sqrt(10), rel=0.03)
