"""The observer against the closed form of white noise, against mar-eval, and against its own spread."""

import math

import numpy as np
import pytest
from mareval import compute_auc
from mareval.cho import cho_template
from scipy.stats import norm

from ctmar.evaluation.observer import area_under_curve, decisions, laguerre_gauss, standard_error, template

SIDE = 11
CHANNELS = laguerre_gauss(SIDE, width=6.0, n_channels=4)


def disc(contrast: float) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    return contrast * (x**2 + y**2 <= 4).ravel()


def regions(n: int, contrast: float, seed: int, n_images: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channel outputs with and without a disc in white noise, and the image of each region."""
    random = np.random.default_rng(seed)
    present, absent = (random.normal(size=(n, SIDE**2)) for _ in range(2))
    return (present + disc(contrast)) @ CHANNELS, absent @ CHANNELS, np.arange(n) * n_images // n


@pytest.mark.parametrize("contrast", [0.2, 0.5, 1.0])
def test_in_white_noise_the_area_has_a_closed_form(contrast):
    present, absent, images = regions(3000, contrast, seed=1)
    signal, covariance = disc(contrast) @ CHANNELS, CHANNELS.T @ CHANNELS
    distance = math.sqrt(signal @ np.linalg.solve(covariance, signal))
    found = area_under_curve(*decisions(present, absent, images))
    assert found == pytest.approx(norm.cdf(distance / math.sqrt(2)), abs=0.015)


def test_weights_and_area_are_those_of_mar_eval():
    present, absent, images = regions(200, 0.5, seed=2)
    weights, _ = template(present, absent)
    theirs = cho_template(present, absent, lambda_reg=0.0)
    np.testing.assert_allclose(weights / np.linalg.norm(weights), theirs / np.linalg.norm(theirs), atol=1e-5)
    with_signal, without = decisions(present, absent, images)
    labels = np.repeat([1, 0], len(images))
    expected = compute_auc(np.concatenate([with_signal, without]), labels)
    assert area_under_curve(with_signal, without) == pytest.approx(expected, abs=1e-12)


def test_an_observer_is_not_taught_by_the_image_that_it_judges():
    present, absent, images = regions(60, 0.5, seed=3, n_images=6)
    judged = images == 4
    whole = decisions(present, absent, images)
    changed = absent.copy()
    changed[judged] += 100.0
    for one, other in zip(whole, decisions(present, changed, images), strict=True):
        if one is whole[0]:
            np.testing.assert_allclose(one[judged], other[judged])
    assert not np.allclose(whole[0][~judged], decisions(present, changed, images)[0][~judged])


def test_nothing_to_see_is_guessing():
    areas = [area_under_curve(*decisions(*regions(60, 0.0, seed))) for seed in range(200)]
    assert np.mean(areas) == pytest.approx(0.5, abs=4 * np.std(areas) / math.sqrt(200) + 0.03)
    assert area_under_curve(np.ones(3), np.ones(5)) == 0.5


def test_a_signal_that_nobody_misses_is_certain():
    assert area_under_curve(*decisions(*regions(60, 20.0, seed=4))) == 1.0


def test_the_standard_error_is_the_spread_over_images():
    """Regions of one image share a shift, as they share an artefact: the error has to count images, not regions."""
    n_images, n_each, areas, errors = 24, 4, [], []
    images = np.repeat(np.arange(n_images), n_each)
    for seed in range(300):
        random = np.random.default_rng(seed)
        shift = np.repeat(random.normal(size=n_images), n_each)
        present, absent = (shift + random.normal(size=len(images)) for _ in range(2))
        areas.append(area_under_curve(present + 1.0, absent))
        errors.append(standard_error(present + 1.0, absent, images))
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.15)


def test_one_image_has_no_standard_error():
    assert math.isnan(standard_error(np.ones(3), np.zeros(3), np.zeros(3, np.int64)))
