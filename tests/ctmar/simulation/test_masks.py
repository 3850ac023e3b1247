"""Masks: where they lie and how large they are."""

import numpy as np
import pytest
from scipy import ndimage

from ctmar.errors import InputError
from ctmar.simulation.masks import draw_mask, find_anatomy
from ctmar.simulation.noise import random_stream
from ctmar.simulation.shapes import KINDS

N_MASKS = 400


@pytest.fixture(scope="module")
def masks(body):
    anatomy = find_anatomy(body)
    return [draw_mask(anatomy, random_stream(0, k)) for k in range(N_MASKS)]


def test_metal_lies_in_tissue(body, masks):
    for mask in masks:
        assert body[mask.coverage > 0].min() > 0
        assert mask.binary.any()


def test_binary_copy_is_half_coverage(masks):
    for mask in masks[:50]:
        np.testing.assert_array_equal(mask.binary, mask.coverage >= 0.5)
        assert mask.coverage.max() <= 1


def test_areas_are_log_uniform_on_the_grid_of_the_benchmark(masks):
    at_416 = np.array([mask.coverage.sum() for mask in masks]) * (416 / 128) ** 2
    quantiles = np.quantile(at_416, [0.1, 0.25, 0.5, 0.75, 0.9])
    wanted = 30 * (2200 / 30) ** np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    # small strokes are kept drawable, large ones do not fit everywhere: 25 % around the law
    np.testing.assert_allclose(quantiles, wanted, rtol=0.25)


def test_kinds_come_with_their_probabilities(masks):
    for name, kind in KINDS.items():
        share = np.mean([mask.kind == name for mask in masks])
        error = np.sqrt(kind.probability * (1 - kind.probability) / N_MASKS)
        assert abs(share - kind.probability) < 3 * error


def test_parts_are_few(masks):
    counts = np.array([ndimage.label(mask.binary, np.ones((3, 3)))[1] for mask in masks])
    assert np.mean(counts <= 3) > 0.95
    assert {1, 2, 3} <= set(counts)


def test_sizes_on_the_grid_of_the_benchmark(body):
    """The published masks have 35 to 2061 pixels; drawn areas are log-uniform from 30 to 2200, components 8 or more."""
    rows, columns = np.indices((416, 416)) * 128 // 416
    anatomy = find_anatomy(body[rows, columns])
    drawn = [draw_mask(anatomy, random_stream(7, k)) for k in range(250)]
    areas = np.array([mask.coverage.sum() for mask in drawn])
    assert areas.min() > 25
    assert areas.max() < 2300
    # Kolmogorov's distance to the log-uniform law; the largest masks do not always fit into this body
    share = np.log(np.sort(areas) / 30) / np.log(2200 / 30)
    assert np.abs(share - (np.arange(250) + 0.5) / 250).max() < 0.12
    for mask in drawn:
        labels, n_labels = ndimage.label(mask.coverage > 0, np.ones((3, 3)))
        assert ndimage.sum(mask.coverage, labels, range(1, n_labels + 1)).min() >= 8


def test_same_stream_same_mask(body):
    anatomy = find_anatomy(body)
    a, b = (draw_mask(anatomy, random_stream(5, "x")) for _ in range(2))
    np.testing.assert_array_equal(a.coverage, b.coverage)


def test_nowhere_to_put_metal_is_said():
    with pytest.raises(InputError, match="no tissue found to put metal into"):
        find_anatomy(np.zeros((64, 64), np.float32))
    thin = np.zeros((128, 128), np.float32)
    thin[60:64, 10:110] = 0.2
    with pytest.raises(InputError, match="no place for metal in a body of"):
        draw_mask(find_anatomy(thin), random_stream(0))
