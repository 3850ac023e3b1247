"""Areas of strokes against geometry."""

import math

import numpy as np
import pytest

from ctmar.simulation.shapes import KINDS, ImplantPart, arc, disc, paint, rod, scale_to_area


@pytest.mark.parametrize(
    ("stroke", "area"),
    [
        (disc(9.3), math.pi * 9.3**2),
        (rod(30, 4, 0.7), 2 * 4 * 30 + math.pi * 4**2),
        (arc(25, 3, 0.4, 2.5), 2 * 3 * 25 * 2.5 + math.pi * 3**2),
    ],
)
def test_painted_area_is_the_closed_form(stroke, area: float):
    coverage = np.zeros((128, 128), np.float32)
    assert paint(coverage, ImplantPart((stroke,)), 63.7, 64.2)
    assert stroke.area == pytest.approx(area, rel=2e-3)
    assert coverage.sum() == pytest.approx(area, rel=0.01)
    assert set(np.unique(coverage * 16)) <= set(range(17))


def test_painting_is_centred():
    coverage = np.zeros((64, 64), np.float32)
    paint(coverage, ImplantPart((disc(6),)), 30.25, 21.5)
    rows, columns = np.indices(coverage.shape)
    assert (rows * coverage).sum() / coverage.sum() == pytest.approx(30.25, abs=0.05)
    assert (columns * coverage).sum() / coverage.sum() == pytest.approx(21.5, abs=0.05)


def test_a_part_that_leaves_the_image_is_not_painted():
    coverage = np.zeros((64, 64), np.float32)
    assert not paint(coverage, ImplantPart((disc(6),)), 3, 30)
    assert not coverage.any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_scales_to_an_area(kind: str):
    parts = KINDS[kind].draw_parts(np.random.default_rng(0))
    scaled = scale_to_area(parts, 500.0, 0.8)
    assert sum(stroke.area for part in scaled for stroke in part.strokes) == pytest.approx(500, rel=1e-6)
    assert 1 <= len(parts) <= 3


def test_probabilities_sum_to_one():
    assert sum(kind.probability for kind in KINDS.values()) == pytest.approx(1)
