from dataclasses import replace

import numpy as np
import pytest

from ctmar.datasets.quality import Limits, body_fraction, border_fraction, check_hounsfield, check_on_grid, check_slice
from ctmar.store.quarantine import Refused

LIMITS = Limits(metal_hu=2500, maximum_metal_pixels=20, minimum_body_fraction=0.1, maximum_border_fraction=0.5)


def test_a_phantom_passes(phantom):
    reasons = []
    for check, limits in ((check_hounsfield, ()), (check_slice, (LIMITS,)), (check_on_grid, (LIMITS,))):
        try:
            check(phantom, *limits)
        except Refused as refused:
            reasons.append(refused)
    assert reasons == []


def test_fractions_of_an_ellipse(phantom):
    assert body_fraction(phantom) == pytest.approx(np.pi * 0.8 * 0.6 / 4, abs=0.02)
    assert border_fraction(phantom) == 0
    assert border_fraction(np.zeros((8, 8))) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda hu: hu * np.nan, "not finite"),
        (lambda hu: hu + 1024, "no air"),  # a forgotten intercept
        (lambda hu: 2 * (hu + 1024) - 1024, "median of the body"),  # a doubled slope
        (lambda hu: (hu + 1000) / 1000, "no air"),  # normalised
    ],
)
def test_a_wrong_rescale_is_noticed(phantom, change, expected):
    with pytest.raises(Refused, match=expected):
        check_hounsfield(change(phantom))


@pytest.mark.parametrize("centre", [-450, -320, -290, 0, 480, 520, 900])
def test_the_limits_of_the_median_are_those_of_numpy(centre):
    image_hu = np.full((65, 65), -1000.0)
    image_hu[1:] = np.random.default_rng(0).normal(centre, 40, (64, 65))
    median = np.median(image_hu[image_hu > -500])
    if -300 <= median <= 500:
        check_hounsfield(image_hu)
    else:
        with pytest.raises(Refused, match="median of the body"):
            check_hounsfield(image_hu)


def test_half_a_slope_leaves_nothing_that_counts_as_body(phantom):
    with pytest.raises(Refused, match="empty"):
        check_on_grid(0.45 * (phantom + 1024) - 1024, LIMITS)


def test_the_limit_of_metal_is_exact(phantom):
    phantom.ravel()[:20] = 2501
    check_slice(phantom, LIMITS)
    phantom.ravel()[20] = 2501
    with pytest.raises(Refused, match="more than 20 pixels above 2500 HU"):
        check_slice(phantom, LIMITS)
    check_slice(phantom, replace(LIMITS, maximum_metal_pixels=21))
    check_slice(phantom, replace(LIMITS, metal_hu=2600))


def test_a_field_of_view_inside_the_body_is_truncated(phantom):
    with pytest.raises(Refused, match="truncated"):
        check_slice(phantom[20:44, 20:44], LIMITS)
    check_slice(phantom[20:44, 20:44], replace(LIMITS, maximum_border_fraction=1))


def test_air_alone_is_empty():
    with pytest.raises(Refused, match="empty"):
        check_on_grid(np.full((16, 16), -1000.0), LIMITS)
