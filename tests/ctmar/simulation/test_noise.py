"""Random numbers by purpose, and photons."""

import numpy as np
import pytest
from scipy.stats import poisson

from ctmar.simulation.noise import _quantile, photon_counts, random_stream

N = 200_000


def test_streams_depend_on_every_label_and_on_nothing_else():
    labels = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a", 1, "mask")]
    draws = [random_stream(*label).random(4).tolist() for label in labels]
    assert len({tuple(draw) for draw in draws}) == len(labels)
    assert draws[0] == random_stream(0, "a", 1).random(4).tolist()


def test_streams_are_uncorrelated():
    a, b = (random_stream(0, "slice", k).standard_normal(20_000) for k in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


@pytest.mark.parametrize("mean", [0.2, 3.0, 29.9, 30.1, 250.0, 1e5])
def test_counts_are_poisson(mean: float):
    """Kolmogorov's distance to the distribution itself stays below its 0.1 % point."""
    counts = photon_counts(np.full(N, mean), random_stream(0, "counts"))
    values, n_values = np.unique(counts, return_counts=True)
    distance = np.abs(np.cumsum(n_values) / N - poisson.cdf(values, mean)).max()
    assert distance < 1.95 / np.sqrt(N)
    np.testing.assert_array_equal(counts, np.floor(counts))
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / N))
    assert counts.var() == pytest.approx(mean, rel=0.02)


def test_few_counts_are_scipys_quantiles():
    mean = np.geomspace(1e-6, 29.9, 500).repeat(40)
    share = random_stream(2).random(mean.shape)
    np.testing.assert_array_equal(_quantile(share, mean), poisson.ppf(share, mean))


def test_no_photons_are_no_photons():
    assert not photon_counts(np.zeros(100), random_stream(0)).any()


def test_the_last_digit_of_one_ray_changes_no_other():
    """Which a sampler by rejection does not keep: how many numbers it draws for a ray depends on its mean."""
    mean = np.geomspace(1, 2e7, 5000)
    nearly = mean * (1 + 1e-7 * random_stream(1).standard_normal(mean.shape))
    counts, again = (photon_counts(m, random_stream(0)) for m in (mean, nearly))
    assert np.abs(counts - again).max() <= np.ceil(4e-7 * mean.max())
    assert np.mean(counts[mean < 1e4] != again[mean < 1e4]) < 1e-3


def test_frozen_values():
    assert random_stream(0, "p/1/0000", 0, "photons").integers(1000, size=3).tolist() == [253, 161, 560]
    counts = photon_counts(np.array([0.5, 20.0, 40.0, 1e4, 2e7]), random_stream(0, "p/1/0000", 0, "photons"))
    assert counts.tolist() == FROZEN


FROZEN = [0, 25, 33, 9957, 19990705]
