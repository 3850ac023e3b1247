"""From a slice to its change, against simulation, closed forms and the identity."""

import numpy as np
import pytest
from scipy import ndimage

from ctmar.prediction.correction import Unchanged, change_of_slice, interpolate_trace, to_working_grid
from ctmar.prediction.network import WorkingGrid
from ctmar.simulation.geometry import benchmark_geometry
from ctmar.simulation.projector import project
from ctmar.simulation.reconstruction import filtered_back_projection
from ctmar.store.quarantine import Refused
from ctmar.units import hu_to_attenuation

GRID = WorkingGrid(64, 2.0, "benchmark")


def to_interpolated(image, interpolated, mask):
    return interpolated - image


def smooth_change(image, interpolated, mask):
    y, x = np.mgrid[:64, :64]
    return (0.02 * np.cos(x / 9) * np.sin(y / 7)).astype(np.float32)


def test_linear_interpolation_without_metal_is_the_projector_there_and_back(phantom):
    image = hu_to_attenuation(phantom)
    geometry = benchmark_geometry(64)
    (expected,) = filtered_back_projection(geometry, project(geometry, image), form="benchmark")
    np.testing.assert_array_equal(interpolate_trace(image, np.zeros((64, 64), np.uint8), 2.0, "benchmark"), expected)


@pytest.mark.parametrize("preset", ["benchmark", "physical"])
def test_metal_in_a_disc_of_water_is_interpolated_away(preset):
    """In the middle of a disc, the line between the neighbours of the trace is nearly the path through water."""
    y, x = np.mgrid[:64, :64] - 31.5
    water = np.where(x**2 + y**2 < 25**2, 0.192, 0).astype(np.float32)
    mask = (x**2 + y**2 < 3**2).astype(np.uint8)
    image = np.where(mask, 5.0, water).astype(np.float32)
    corrected = interpolate_trace(image, mask, 2.0, preset)
    ring = (x**2 + y**2 > 5**2) & (x**2 + y**2 < 20**2)
    assert abs(corrected[ring].mean() - 0.192) < 0.01
    assert corrected[mask == 1].max() < 0.25


def test_a_change_on_the_grid_of_the_slice_is_added_as_it_is(metal_hu):
    metal = metal_hu > 2500
    change = change_of_slice(metal_hu.astype(np.float32), metal, 2.0, 2.0, GRID, smooth_change)
    expected = smooth_change(None, None, None) * 1000 / 0.192
    assert (change[metal] == 0).all()
    np.testing.assert_allclose(change[~metal], expected[~metal], atol=1e-3)


def test_a_change_comes_back_at_the_place_it_was_made(metal_hu):
    """Non-square pixels: 128 × 64 pixels of 1 × 2 mm show the same patient as the grid."""
    tall = np.repeat(metal_hu, 2, axis=0).astype(np.float32)
    change = change_of_slice(tall, tall > 2500, 1.0, 2.0, GRID, smooth_change)
    assert change.shape == (128, 64)
    y, x = np.mgrid[:128, :64]
    expected = 0.02 * np.cos(x / 9) * np.sin((y - 0.5) / 2 / 7) * 1000 / 0.192
    inside = (slice(4, -4), slice(2, -2))
    far = ndimage.distance_transform_edt(tall <= 2500)[inside] > 4
    np.testing.assert_allclose(change[inside][far], expected[inside][far], atol=1.5)


def test_beyond_the_grid_nothing_changes(metal_hu):
    change = change_of_slice(
        metal_hu.astype(np.float32),
        metal_hu > 2500,
        2.0,
        2.0,
        WorkingGrid(32, 2.0, "benchmark"),
        lambda *_: np.ones((32, 32), np.float32),
    )
    assert (change[:15] == 0).all()
    assert (change[:, -15:] == 0).all()
    assert change[16:48, 16:20].min() > 1000


def test_metal_makes_no_rim_on_a_coarse_grid(phantom):
    """Beside the mask of the coarse grid stands tissue, although the mean over a coarse pixel holds metal."""
    fine = np.zeros((128, 128), np.float32)
    fine[63:67, 61:67] = 20000
    image, mask, pixel_mm = to_working_grid(fine, fine > 2500, 1.0, 1.0, WorkingGrid(32, 4.0, "benchmark"))
    assert pixel_mm == 4
    assert mask.sum() > 0
    inside = np.zeros_like(mask, bool)
    inside[1:-1, 1:-1] = True
    np.testing.assert_allclose(image[inside & (mask == 0)], 0.192, rtol=1e-5)
    assert image[mask == 1].min() > 1


def test_streaks_get_weaker(metal_hu, phantom):
    change = change_of_slice(metal_hu.astype(np.float32), metal_hu > 2500, 2.0, 2.0, GRID, to_interpolated)
    streaks = np.zeros((64, 64), bool)
    streaks[31:34:2, 24:32] = True
    before, after = (np.abs(image - phantom)[streaks].mean() for image in (metal_hu, metal_hu + change))
    assert after < 0.8 * before


def test_metal_smaller_than_the_grid_or_outside_it_is_left_alone(phantom):
    image = np.repeat(np.repeat(phantom, 4, axis=0), 4, axis=1).astype(np.float32)
    metal = np.zeros(image.shape, bool)
    metal[100, 100] = True
    with pytest.raises(Unchanged, match="less than a quarter of every pixel"):
        change_of_slice(image, metal, 0.5, 0.5, GRID, to_interpolated, any_coarseness=True)
    metal = np.zeros((64, 64), bool)
    metal[:3, :3] = True
    with pytest.raises(Unchanged, match="or lies outside it"):
        change_of_slice(phantom.astype(np.float32), metal, 2.0, 2.0, WorkingGrid(32, 2.0, "benchmark"), smooth_change)


@pytest.mark.parametrize(("pixel_mm", "refused"), [(0.8, False), (0.79, True)])
def test_an_image_much_finer_than_the_grid_is_refused_unless_told_otherwise(metal_hu, pixel_mm, refused):
    image, metal = metal_hu.astype(np.float32), metal_hu > 2500
    grid = WorkingGrid(64, 2.0, "benchmark")
    if refused:
        with pytest.raises(Refused, match=r"2\.5 times as large or more than the image's") as told:
            change_of_slice(image, metal, 1.0, pixel_mm, grid, to_interpolated)
        assert "--any-coarseness" in told.value.remedy
    assert change_of_slice(image, metal, 1.0, pixel_mm, grid, to_interpolated, any_coarseness=True).any()
    assert refused or change_of_slice(image, metal, 1.0, pixel_mm, grid, to_interpolated).any()


def test_an_output_that_is_not_finite_is_refused(metal_hu):
    with pytest.raises(Refused, match="not finite"):
        change_of_slice(
            metal_hu.astype(np.float32), metal_hu > 2500, 2.0, 2.0, GRID, lambda image, *_: np.full_like(image, np.nan)
        )
