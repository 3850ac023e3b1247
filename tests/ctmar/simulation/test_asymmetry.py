"""The dial of broken symmetry: nothing at 0, more and more above, and closed forms of both kinds."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from ctmar.config import Asymmetry, Simulation
from ctmar.simulation.asymmetry import (
    EXCURSION_PIXELS,
    SHORTEST_ARC_DEG,
    arc_radian,
    detected,
    displacements,
    motion_kernels,
    shadow,
    smear,
    view_weights,
)
from ctmar.simulation.geometry import benchmark_geometry
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import NUMBA, Operators, torch_operators
from ctmar.simulation.projector import project
from ctmar.simulation.reconstruction import filtered_back_projection
from ctmar.simulation.scanner import MetalScan, build_scanner, correct_normalised, scan_metal, scan_slice, trace_slice

KINDS = ("motion", "limited_angle")
DIAL = (0.0, 0.2, 0.4, 0.7, 1.0)
SCAN = benchmark_geometry(128)


@pytest.fixture(scope="module")
def mask() -> NDArray[np.uint8]:
    mask = np.zeros((128, 128), np.uint8)
    mask[78:84, 56:60] = mask[78:84, 68:72] = 1
    return mask


def scan(body, mask, asymmetry: Asymmetry, operators: Operators = NUMBA, photons: float = 2e7) -> MetalScan:
    scanner = build_scanner(Simulation(asymmetry=asymmetry, photons=photons), len(body), operators=operators)
    return scan_metal(scanner, trace_slice(scanner, body), mask, random_stream(0))


@pytest.mark.parametrize("kind", KINDS)
def test_at_strength_0_nothing_changes_bit_for_bit(kind: str, body, mask):
    settings = Asymmetry(kind=kind, strength=0)
    passed = np.random.default_rng(0).random(SCAN.sinogram_shape)
    assert detected(SCAN, settings, passed) is passed
    assert view_weights(SCAN, settings) is None
    np.testing.assert_array_equal(shadow(SCAN, settings, passed > 0.9), passed > 0.9)
    symmetric = scan(body, mask, Asymmetry())
    for name, array in vars(scan(body, mask, settings)).items():
        np.testing.assert_array_equal(array, getattr(symmetric, name), err_msg=name)


def departure_from_turns(body, mask, asymmetry: Asymmetry, image: str) -> float:
    """Mean difference between the scan of the turned slice and the turned scan of the slice [1/cm], without noise."""
    straight, turned = (
        getattr(scan(np.rot90(body, k).copy(), np.rot90(mask, k).copy(), asymmetry, photons=1e15), image)
        for k in (0, 1)
    )
    outside = np.rot90(mask) == 0
    return float(np.abs(turned - np.rot90(straight))[outside].mean())


@pytest.mark.parametrize("image", ["ma_CT", "LI_CT"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_departure_from_quarter_turns_grows_with_the_strength(kind: str, image: str, body, mask):
    departures = [departure_from_turns(body, mask, Asymmetry(kind=kind, strength=strength), image) for strength in DIAL]
    assert departures[0] < 1e-4  # rounding: weights to 1/256 of a pixel, sums in another order
    assert departures[1] > 3 * departures[0]
    assert all(low < high for low, high in pairwise(departures))


@pytest.mark.parametrize("kind", KINDS)
def test_what_suffers_are_the_scans_and_not_the_truth(kind: str, body, mask):
    """Errors of LI and NMAR grow with the strength; the slice and its mask are inputs, and stay as they are."""
    truth, metal = body.copy(), mask.copy()
    errors: dict[str, list[float]] = {"LI": [], "NMAR": [], "clean": []}
    for strength in (0.0, 0.4, 1.0):
        scanner = build_scanner(Simulation(asymmetry=Asymmetry(kind=kind, strength=strength)), len(body))
        paths = trace_slice(scanner, body)
        result = scan_metal(scanner, paths, mask, random_stream(0))
        images = {"LI": result.LI_CT, "NMAR": correct_normalised(scanner, result, mask)}
        images["clean"], _ = scan_slice(scanner, paths, random_stream(1))
        for name, image in images.items():
            errors[name].append(float(np.sqrt(np.mean((image - body)[mask == 0] ** 2))))
    for name, found in errors.items():
        assert found == sorted(found), (name, found)
        assert found[-1] > 1.1 * found[0], (name, found)
    np.testing.assert_array_equal(body, truth)
    np.testing.assert_array_equal(mask, metal)


def smooth_blob() -> NDArray[np.float64]:
    """Three blobs near the axis, wide enough for the grid."""
    points = np.zeros((128, 128))
    points[60, 66], points[72, 55], points[58, 78] = 1.0, 0.7, -0.5
    return gaussian_filter(points, 3.0)


def kernels_at(strength: float) -> NDArray[np.float64]:
    kernels = motion_kernels(SCAN, Asymmetry(strength=strength))
    assert kernels is not None
    return kernels


def moved(image: NDArray[np.float64], axis: int, sign: int) -> NDArray[np.float64]:
    """The mean image of an object that breathes along an axis, by cubic splines: an independent oracle."""
    steps = [sign * EXCURSION_PIXELS * share for share in displacements()]
    return np.mean([shift(image, np.where(np.arange(2) == axis, step, 0), order=3) for step in steps], axis=0)


def test_the_motion_of_the_views_is_that_of_the_image_along_its_columns():
    """P(M x) = K P x for M the mean over displacements: exact for parallel rays, to the spread of the fan here."""
    image = smooth_blob()
    sinogram, expected = (project(SCAN, one).astype(float) for one in (image, moved(image, 0, -1)))
    seen = smear(kernels_at(1.0), sinogram)
    changed = np.abs(expected - sinogram).max()
    assert np.abs(seen - expected).max() < 0.12 * changed
    for axis, sign in ((0, 1), (1, 1), (1, -1)):
        assert np.abs(seen - project(SCAN, moved(image, axis, sign))).max() > 0.8 * changed


def test_reconstructed_it_is_that_motion_too():
    sinogram = project(SCAN, smooth_blob()).astype(float)
    still, moving = filtered_back_projection(SCAN, sinogram, smear(kernels_at(1.0), sinogram))
    expected = moved(still, 0, -1)
    assert np.abs(moving - expected).max() < 0.15 * np.abs(still - expected).max()


def test_what_the_detector_sees_is_the_mean_intensity():
    """Of thin objects the mean intensity gives the mean of the line integrals; of thick ones it is less."""
    settings, sinogram = Asymmetry(strength=1.0), np.abs(project(SCAN, smooth_blob()).astype(float))
    mean = smear(kernels_at(1.0), sinogram)
    for scale in (1e-2, 1e-4):
        seen = -np.log(detected(SCAN, settings, np.exp(-scale * sinogram))) / scale
        np.testing.assert_allclose(seen, mean, atol=scale)
    thick = -np.log(detected(SCAN, settings, np.exp(-20 * sinogram))) / 20
    assert (thick <= mean + 1e-12).all()
    assert (thick < 0.99 * mean).any()


def test_kernels_are_not_negative_sum_to_one_and_have_the_exact_mean():
    lags = np.arange(kernels_at(0.7).shape[1]) - kernels_at(0.7).shape[1] // 2
    excursion = 0.7 * EXCURSION_PIXELS * SCAN.pixel_cm / SCAN.virtual_bin_cm
    assert (kernels_at(0.7) >= 0).all()
    np.testing.assert_allclose(kernels_at(0.7).sum(axis=1), 1)
    # the mean of cos⁶ is 5/16
    np.testing.assert_allclose(kernels_at(0.7) @ lags, excursion * 5 / 16 * np.sin(SCAN.angles), atol=1e-12)


def test_smearing_is_a_convolution():
    views, kernels = np.random.default_rng(0).random(SCAN.sinogram_shape), kernels_at(1.0)
    expected = [np.convolve(view, kernel, mode="same") for view, kernel in zip(views, kernels, strict=True)]
    np.testing.assert_allclose(smear(kernels, views), expected)


def test_the_trace_widens_where_the_metal_moves_to(body, mask):
    still, moving = (scan(body, mask, Asymmetry(strength=strength)).metal_trace > 0 for strength in (0.0, 1.0))
    assert moving[still].all()
    gained = (moving & ~still).sum(axis=1)
    moves = np.abs(np.sin(SCAN.angles))
    assert gained[moves.argmax()] >= 2
    assert gained[moves.argmin()] <= gained[moves.argmax()]


def test_the_noise_of_the_photons_is_not_smeared(body, mask):
    """Photons are counted of the mean intensity: neighbouring bins beside the metal have independent noise."""
    results = [scan(body, mask, Asymmetry(strength=1.0), photons=photons) for photons in (1e5, 1e15)]
    noise = results[0].ma_sinogram.astype(float) - results[1].ma_sinogram
    noise *= np.exp(-results[1].ma_sinogram / 2)  # the standard deviation of -ln n goes as the root of 1 / n
    beside = (results[0].metal_trace[:, 1:] == 0) & (results[0].metal_trace[:, :-1] == 0)

    def correlation(views: NDArray[np.float64]) -> float:
        return float(np.corrcoef(views[:, :-1][beside], views[:, 1:][beside])[0, 1])

    assert abs(correlation(noise)) < 0.02
    assert correlation(smear(kernels_at(1.0), noise)) > 0.1


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_both_ends_of_a_ray_share_it(strength: float):
    """The weights of a ray from its two ends sum to 2 where either was measured; oracle: the rays themselves."""
    weights = view_weights(SCAN, Asymmetry(kind="limited_angle", strength=strength))
    assert weights is not None
    offset = (np.arange(SCAN.n_bins) - (SCAN.n_bins - 1) / 2) * SCAN.bin_cm
    fan = np.arctan(offset / (SCAN.source_cm + SCAN.detector_cm))
    view, step = np.arange(SCAN.n_views)[:, None], 2 * np.pi / SCAN.n_views
    other = view + (np.pi - 2 * fan) / step  # the view, between two, that sees a ray from its other end
    share = other - np.floor(other)
    before, opposite = np.floor(other).astype(int), np.arange(SCAN.n_bins)[::-1]
    left, right = (weights[np.mod(before + k, SCAN.n_views), opposite] for k in (0, 1))
    total = weights + (1 - share) * left + share * right
    measured = total > 1e-6
    assert np.median(total[measured]) == pytest.approx(2, abs=1e-6)
    assert np.quantile(np.abs(total[measured] - 2), 0.9) < 0.1


def test_views_outside_the_arc_do_not_count():
    for strength in (0.4, 1.0):
        weights = view_weights(SCAN, Asymmetry(kind="limited_angle", strength=strength))
        assert weights is not None
        arc = arc_radian(SCAN, strength)
        distance = np.abs((SCAN.angles + np.pi) % (2 * np.pi) - np.pi)
        np.testing.assert_array_equal(weights.any(axis=1), distance < arc / 2)
    assert np.degrees(arc_radian(SCAN, 1.0)) == pytest.approx(SHORTEST_ARC_DEG)


def test_a_short_scan_loses_nothing_yet(body):
    """Just above 0 every ray is measured: the image is that of the full turn, but for noise and interpolation."""
    scanner = build_scanner(Simulation(photons=1e15), 128)
    sinogram = project(scanner.geometry, body)
    weights = view_weights(SCAN, Asymmetry(kind="limited_angle", strength=1e-6))
    assert weights is not None
    full, short = scanner.operators.reconstruct(SCAN, sinogram, sinogram * weights)
    third = view_weights(SCAN, Asymmetry(kind="limited_angle", strength=1.0))
    (limited,) = scanner.operators.reconstruct(SCAN, sinogram * third)
    assert np.abs(short - full).mean() < 0.1 * np.abs(limited - full).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_torch_has_the_same_numbers(kind: str, body, mask):
    settings = Asymmetry(kind=kind, strength=0.7)
    numba, torch = (scan(body, mask, settings, operators) for operators in (NUMBA, torch_operators("cpu")))
    np.testing.assert_allclose(torch.ma_CT, numba.ma_CT, atol=1e-4 * np.abs(numba.ma_CT).max())
    np.testing.assert_allclose(torch.LI_CT, numba.LI_CT, atol=1e-4 * np.abs(numba.LI_CT).max())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("motion", (0.207299, 0.320199, 0.106581)), ("limited_angle", (0.154544, 0.282958, 0.083132))],
)
def test_frozen_values(kind: str, expected: tuple[float, ...], body, mask):
    result = scan(body, mask, Asymmetry(kind=kind, strength=0.7))
    found = [float(result.ma_CT[64, 40]), float(result.LI_CT[80, 64]), float(result.LI_CT.std())]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_documentation_names_the_numbers():
    described = Asymmetry.model_fields["strength"].description or ""
    assert f"breath is {EXCURSION_PIXELS:g} pixel of" in described
    assert f"cover {SHORTEST_ARC_DEG:g}°" in described
