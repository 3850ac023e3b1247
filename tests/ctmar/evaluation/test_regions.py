"""Errors in HU by region: closed forms on images whose regions are known, scikit-image as oracle."""

import numpy as np
import pytest
from skimage.metrics import mean_squared_error
from skimage.morphology import dilation, disk

from ctmar.errors import InputError
from ctmar.evaluation.regions import errors_hu, metal_size, region_masks
from ctmar.units import hu_to_attenuation

NOTHING = np.zeros((32, 32), bool)


def striped() -> np.ndarray:
    """Eight columns each of air, fat, vessel and bone [1/cm]."""
    return hu_to_attenuation(np.repeat([-1000.0, -100.0, 240.0, 900.0], 8) * np.ones((32, 1)))


def test_tissues_are_told_apart():
    masks = region_masks(striped(), NOTHING)
    assert masks["soft"].any(axis=0).tolist() == [False] * 8 + [True] * 16 + [False] * 8
    assert masks["bone"].any(axis=0).tolist() == [False] * 24 + [True] * 8
    assert not masks["near_metal"].any()


def test_each_region_has_its_own_error():
    truth = striped()
    error_hu = np.repeat([1.0, 10.0, -20.0, 50.0], 8) * np.ones((32, 1))
    errors = errors_hu(truth.astype(float) + 0.192 * error_hu / 1000, truth, NOTHING)
    assert errors["rmse_soft_hu"] == pytest.approx(np.sqrt((100 + 400) / 2))
    assert errors["mae_soft_hu"] == pytest.approx(15)
    assert errors["rmse_bone_hu"] == errors["mae_bone_hu"] == pytest.approx(50)
    assert errors["mae_hu"] == pytest.approx(81 / 4)
    assert np.isnan([errors["rmse_near_metal_hu"], errors["mae_near_metal_hu"]]).all()


def test_near_metal_is_a_disc_around_it():
    metal = np.zeros((416, 416), np.uint8)
    metal[200:210, 100:104] = 1
    expected = dilation(metal, disk(20)).astype(bool) & (metal == 0)
    np.testing.assert_array_equal(region_masks(np.full(metal.shape, 0.2), metal)["near_metal"], expected)


def test_the_reach_shrinks_with_the_grid():
    metal = np.zeros((104, 104), np.uint8)
    metal[50, 50] = 1
    near = region_masks(np.full(metal.shape, 0.2), metal)["near_metal"]
    assert near[50].sum() == 2 * 5  # 20 pixels of 416 are 5 of 104, on both sides


def test_metal_belongs_to_no_region():
    truth, metal = striped(), np.zeros((32, 32), np.uint8)
    metal[4:9, 10:30] = 1
    wrong = np.where(metal, 7.0, truth)
    assert all(value == 0 for value in errors_hu(wrong, truth, metal).values())


def test_overall_error_is_that_of_skimage():
    random = np.random.default_rng(0)
    truth, prediction, metal = random.random((20, 20)), random.random((20, 20)), random.random((20, 20)) > 0.8
    expected = np.sqrt(mean_squared_error(truth[~metal], prediction[~metal])) * 1000 / 0.192
    assert errors_hu(prediction, truth, metal)["rmse_hu"] == pytest.approx(expected)


def test_regions_do_not_depend_on_the_prediction():
    truth = striped()
    one, two = (errors_hu(truth + shift, truth, NOTHING) for shift in (0.0192, 0.0384))
    assert two == {name: pytest.approx(2 * value, nan_ok=True) for name, value in one.items()}


def test_sizes_of_the_benchmark_masks():
    """Groups by 0-based test mask: {1, 7}, {2, 6}, {0, 9}, {4, 8}, {3, 5}."""
    pixels = dict(enumerate((254, 890, 451, 53, 112, 35, 881, 2061, 118, 124)))
    groups = {mask: metal_size(n, 416**2) for mask, n in pixels.items()}
    assert [sorted(mask for mask, group in groups.items() if group == k) for k in range(1, 6)] == [
        [1, 7],
        [2, 6],
        [0, 9],
        [4, 8],
        [3, 5],
    ]


@pytest.mark.parametrize("side", [128, 208, 832])
def test_sizes_follow_the_area(side):
    factor = (side / 416) ** 2
    assert [metal_size(round(n * factor), side**2) for n in (2000, 600, 200, 100, 40)] == [1, 2, 3, 4, 5]


def test_an_image_of_metal_is_one_line():
    with pytest.raises(InputError, match="outside metal"):
        errors_hu(striped(), striped(), np.ones((32, 32), bool))
