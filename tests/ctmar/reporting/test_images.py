import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from skimage.exposure import rescale_intensity

from ctmar.reporting import images


def decode(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_window_agrees_with_skimage():
    image_hu = np.random.default_rng(0).uniform(-1000, 1000, (32, 32))
    oracle = rescale_intensity(image_hu, in_range=(-175, 275), out_range=(0, 255))
    assert np.abs(images.window_image(image_hu, (-175, 275)) - oracle).max() <= 0.5


def test_error_colours_are_monotonic_and_neutral_at_zero():
    ramp = images.error_image(np.linspace(-300, 300, 61)[None], 200.0)[0].astype(int)
    assert tuple(ramp[30]) == images.NO_ERROR
    assert tuple(ramp[0]) == images.TOO_LOW
    assert tuple(ramp[-1]) == images.TOO_HIGH
    assert (np.diff(ramp[:31].sum(axis=1)) >= 0).all()
    assert (np.diff(ramp[30:].sum(axis=1)) <= 0).all()


def test_small_pictures_are_lossless():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(decode(images.data_address(pixels)), pixels)


def test_large_pictures_are_close_and_small():
    y, x = np.mgrid[:416, :416]
    pixels = (127 + 60 * np.sin(x / 20) + 60 * np.cos(y / 30)).astype(np.uint8)
    address = images.data_address(pixels)
    assert np.abs(decode(address)[..., 0].astype(int) - pixels).mean() < 2
    assert len(address) < pixels.size / 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 2)])
def test_outline_of_a_rectangle_encloses_its_pixels(height, width):
    mask = np.zeros((12, 12), np.uint8)
    mask[2 : 2 + height, 4 : 4 + width] = 1
    points = np.array(
        [[float(v) for v in pair.split()] for pair in re.split("[MLZ]", images.outline_path(mask)) if pair]
    )
    x, y = points[:-1].T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    # the contour at one half cuts a triangle of area 1/8 off each corner
    assert area == pytest.approx(height * width - 4 / 8)
    assert (points.min(axis=0), points.max(axis=0)) == (pytest.approx([4, 2]), pytest.approx([4 + width, 2 + height]))


def test_metal_at_the_border_has_a_closed_outline():
    mask = np.zeros((5, 5), np.uint8)
    mask[0, :] = 1
    path = images.outline_path(mask)
    assert path.count("M") == path.count("Z") == 1
