import numpy as np
import pytest
from PIL import Image
from skimage.transform import resize

from ctmar.datasets.grid import interpolation_matrix, resample_to_grid


def smooth_image(n_rows: int, n_columns: int) -> np.ndarray:
    y, x = np.mgrid[:n_rows, :n_columns]
    y, x = y / n_rows - 0.5, x / n_columns - 0.5
    return 1000 * np.exp(-(x**2 + y**2) / 0.02) - 1000


def test_the_same_grid_is_the_identity():
    image = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    found, pixel_mm = resample_to_grid(image, 0.7, 0.7, 16, None)
    assert pixel_mm == pytest.approx(0.7)
    np.testing.assert_allclose(found, image, atol=1e-4)


@pytest.mark.parametrize("size", [40, 64, 150, 301])
def test_agrees_with_pillow_inside_the_border(size):
    """Pillow's bilinear filter is the same triangle; at the border it cuts the triangle off where ours sees air."""
    image = np.random.default_rng(1).normal(size=(150, 150)).astype(np.float32) * 300
    found, _ = resample_to_grid(image, 1.0, 1.0, size, None)
    oracle = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    inside = slice(4, -4)
    np.testing.assert_allclose(found[inside, inside], oracle[inside, inside], atol=2e-3)


def test_agrees_with_scikit_image_on_a_smooth_image():
    image = smooth_image(200, 200)
    found, _ = resample_to_grid(image, 1.0, 1.0, 80, None)
    oracle = resize(image, (80, 80), order=1, anti_aliasing=True)
    assert np.abs(found - oracle).max() < 15  # of a range of 1000: the two filters differ a little


def test_a_pattern_finer_than_the_grid_becomes_its_mean():
    stripes = np.tile([0.0, 200.0], (128, 64))
    found, _ = resample_to_grid(stripes, 1.0, 1.0, 32, None)
    np.testing.assert_allclose(found[4:-4, 4:-4], 100, atol=1e-3)


def test_non_square_pixels_become_square():
    """A disc of radius 30 mm stays one, whatever the pixels it came in."""
    y, x = np.mgrid[:100, :200]
    disc = np.where(((y - 49.5) * 2) ** 2 + (x - 99.5) ** 2 < 30**2, 0.0, -1000.0)
    found, pixel_mm = resample_to_grid(disc, 2.0, 1.0, 100, 2.0)
    inside = found > -500
    assert pixel_mm == 2.0
    assert inside.sum() * 4 == pytest.approx(np.pi * 30**2, rel=0.03)
    assert abs(int(inside.any(axis=0).sum()) - int(inside.any(axis=1).sum())) <= 1


def test_beyond_the_image_is_air_and_the_centre_stays():
    found, _ = resample_to_grid(np.full((11, 11), 40.0), 1.0, 1.0, 31, 1.0)
    assert found[0, 0] == -1000
    assert np.allclose(found[10:21, 10:21], 40)
    assert np.allclose(found, found[::-1, ::-1])


def test_a_smaller_grid_crops_about_the_centre():
    image = np.arange(100.0).reshape(10, 10)
    found, _ = resample_to_grid(image, 1.0, 1.0, 4, 1.0)
    np.testing.assert_allclose(found, image[3:7, 3:7], atol=1e-4)


def test_rows_of_weights_sum_to_one_inside():
    matrix = interpolation_matrix(60, 20, 2.7).toarray()
    np.testing.assert_allclose(matrix[4:-4].sum(axis=1), 1, atol=1e-12)
    assert (matrix >= 0).all()
    assert (matrix.sum(axis=1) <= 1 + 1e-12).all()
