"""Filtered back-projection against closed forms and against the stored images of the benchmark."""

from pathlib import Path

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.simulation.geometry import benchmark_geometry
from ctmar.simulation.reconstruction import filtered_back_projection
from ctmar.store.benchmark import read_field


def exact_disc_sinogram(scan, radius_cm: float, x_cm: float, y_cm: float):
    """Chord lengths 2 sqrt(r² - d²) of a disc."""
    a = scan.angles[:, None]
    offset = (np.arange(scan.n_bins) - (scan.n_bins - 1) / 2) * scan.virtual_bin_cm
    t = np.cos(a) * x_cm + np.sin(a) * y_cm
    depth = scan.source_cm - (np.sin(a) * x_cm - np.cos(a) * y_cm)
    distance = (offset * depth - t * scan.source_cm) / np.hypot(scan.source_cm, offset)
    return 2 * np.sqrt(np.maximum(radius_cm**2 - distance**2, 0))


@pytest.fixture(scope="module")
def disc():
    scan = benchmark_geometry(128)
    half = (scan.image_size - 1) / 2
    rows, columns = np.indices((128, 128))
    distance = np.hypot((columns - half) * scan.pixel_cm - 1.5, (half - rows) * scan.pixel_cm + 2.0)
    return scan, exact_disc_sinogram(scan, 3.0, 1.5, -2.0), distance


@pytest.mark.parametrize(("form", "tolerance"), [("exact", 0.004), ("benchmark", 0.02)])
def test_disc_has_its_closed_form(disc, form, tolerance: float):
    scan, sinogram, distance = disc
    (image,) = filtered_back_projection(scan, sinogram, form=form)
    assert image[distance < 2.5].mean() == pytest.approx(1, abs=tolerance)
    assert np.abs(image[distance < 2.5] - 1).max() < 0.06
    assert abs(image[(distance > 3.5) & (distance < 6)].mean()) < tolerance


def test_sinograms_are_reconstructed_alike_alone_and_together(disc):
    scan, sinogram, _ = disc
    three = [sinogram, 2 * sinogram, sinogram**2]
    together = filtered_back_projection(scan, *three)
    assert len(together) == 3
    for image, single in zip(together, three, strict=True):
        np.testing.assert_array_equal(image, filtered_back_projection(scan, single)[0])


@pytest.mark.parametrize("form", ["exact", "benchmark"])
def test_shift_of_the_views_by_a_quarter_turns_the_image(form):
    scan = benchmark_geometry(64)
    sinogram = np.random.default_rng(0).random(scan.sinogram_shape)
    plain, turned = filtered_back_projection(scan, sinogram, np.roll(sinogram, scan.n_views // 4, axis=0), form=form)
    np.testing.assert_allclose(turned, np.rot90(plain), rtol=0, atol=2e-3 * np.abs(plain).max())


def test_wrong_shape_is_named():
    with pytest.raises(InputError, match="sinogram: expected shape"):
        filtered_back_projection(benchmark_geometry(32), np.zeros((2, 2)))


STORED = [("000195_02_02/202", 0), ("000129_03_01/115", 80), ("000321_03_01/011", 1), ("000321_03_01/011", 4)]


@pytest.mark.parametrize(("slice_name", "mask"), STORED)
def test_stored_sinograms_give_the_stored_images(shared: Path, slice_name: str, mask: int):
    path = shared / "syndeeplesion" / "train" / "train_640geo" / slice_name / f"{mask}.h5"
    sinograms = [read_field(path, f"{name}_sinogram") for name in ("ma", "LI")]
    images = filtered_back_projection(benchmark_geometry(416), *sinograms, form="benchmark")
    for image, name, least_db in zip(images, ("ma", "LI"), (75, 90), strict=True):
        error = np.mean((image - read_field(path, f"{name}_CT")) ** 2)
        assert 10 * np.log10(0.5**2 / error) > least_db
