"""Metal that reaches the skin is told from metal inside, whatever air the body holds."""

import numpy as np
import pytest

from ctmar.prediction.skin import SKIN_MM, reaches_skin


def body(size: int = 100) -> np.ndarray:
    """A disc of water with a lung in it, in air; pixels of 1 mm."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = np.where(np.hypot(x, y) < 40, 0.0, -1000.0).astype(np.float32)
    image[np.hypot(x - 15, y) < 12] = -800
    return image


def metal_at(distance_mm: float, size: int = 100) -> np.ndarray:
    """A dot on the axis, its centre so far from the centre of the body."""
    metal = np.zeros((size, size), bool)
    metal[49:51, round(49.5 - distance_mm)] = True
    return metal


@pytest.mark.parametrize(("distance_mm", "reaches"), [(0, False), (30, False), (34, True), (39, True), (45, True)])
def test_what_counts_is_the_distance_to_the_air_around(distance_mm, reaches):
    assert reaches_skin(body(), metal_at(distance_mm), 1.0, 1.0) == reaches


def test_a_lung_is_no_air_around():
    metal = np.zeros((100, 100), bool)
    metal[48:52, 62:66] = True  # in the lung
    assert not reaches_skin(body(), metal, 1.0, 1.0)


def test_the_distance_is_in_mm_along_both_axes():
    metal = np.zeros((100, 100), bool)
    metal[20, 50] = True  # ten pixels below the upper skin
    assert not reaches_skin(body(), metal, 1.0, 1.0)
    assert reaches_skin(body(), metal, SKIN_MM / 12, 1.0)
    assert not reaches_skin(body(), metal, 1.0, SKIN_MM / 12)


def test_a_body_that_fills_the_image_has_no_skin():
    assert not reaches_skin(np.zeros((20, 20), np.float32), np.eye(20, dtype=bool), 1.0, 1.0)


def test_metal_that_bridges_the_skin_reaches_it():
    """A wire from outside to the middle: the air around is told by the border, not by the wire."""
    metal = np.zeros((100, 100), bool)
    metal[49:51, :50] = True
    image = body()
    image[metal] = 3000
    assert reaches_skin(image, metal, 1.0, 1.0)
