import base64
import zlib

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.reporting.packed_images import in_steps, pack, step_for


def unpack(text, bases, shape):
    """The inverse of `pack`, written from its documentation; a browser tests that of the page."""
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, len(bases), -1).astype(int)
    folded = low + 256 * high
    images = []
    for base, row in zip(bases, folded, strict=True):
        differences = np.where(row % 2, -(row + 1) // 2, row // 2)
        values = np.cumsum(differences) + (0 if base is None else images[base].ravel())
        images.append(((values + 2**15) % 2**16 - 2**15).reshape(shape))
    return images


def test_packed_images_come_back_whole():
    random = np.random.default_rng(0)
    images = random.integers(-(2**15), 2**15, (4, 9, 9)).astype(np.int16)
    images[3] = images[1]  # whole jumps from one end of 16 bits to the other
    bases = [None, 0, 1, 1]
    for image, found in zip(images, unpack(pack(images, bases), bases, (9, 9)), strict=True):
        assert np.array_equal(image, found)


@pytest.mark.parametrize(("largest", "step_hu"), [(32767.0, 1.0), (32768.0, 2.0), (-40_000.0, 2.0), (200_000.0, 8.0)])
def test_steps_grow_until_16_bits_reach_every_value(largest, step_hu):
    image_hu = np.array([-1000.0, 12.3, largest])
    assert step_for([image_hu]) == step_hu
    assert np.abs(step_hu * in_steps(image_hu, step_hu).astype(float) - image_hu).max() <= step_hu / 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_one_line(value):
    with pytest.raises(InputError, match="expected finite values"):
        step_for([np.zeros(3), np.array([0.0, value])])


def test_alike_images_cost_little():
    random = np.random.default_rng(0)
    noisy = random.normal(0, 100, (64, 64)).astype(np.int16)
    alike = noisy + random.integers(-1, 2, noisy.shape).astype(np.int16)
    alone = len(pack([noisy], [None]))
    assert len(pack([noisy, alike], [None, 0])) < 1.4 * alone
