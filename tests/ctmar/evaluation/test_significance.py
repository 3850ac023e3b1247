"""Sign flips against scipy's permutation test, closed forms, and Holm's definition."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from ctmar.evaluation.significance import holm, sign_flip_p_value


@pytest.mark.parametrize("seed", range(5))
def test_few_clusters_are_exact(seed):
    values = np.random.default_rng(seed).normal(0.4, 1, size=(1, 8))
    clusters = np.array([f"p{k}" for k in range(8)])
    ours, smallest = sign_flip_p_value(values, clusters, 10, 0)
    theirs = permutation_test(
        (values[0], np.zeros(8)), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples"
    )
    assert ours == pytest.approx(theirs.pvalue)
    assert smallest == 2**-7


def test_many_clusters_are_sampled():
    values = np.random.default_rng(0).normal(0.25, 1, size=(1, 40))
    clusters = np.array([f"p{k:02d}" for k in range(40)])
    ours, smallest = sign_flip_p_value(values, clusters, 20_000, 0)
    theirs = permutation_test(
        (values[0], np.zeros(40)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=1,
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)
    assert smallest == 1 / 20_001


def test_pairs_of_a_cluster_are_no_new_information():
    values = np.random.default_rng(1).normal(0.5, 1, size=6)
    clusters = np.array(list("abcdef"))
    once = sign_flip_p_value(values[None], clusters, 100, 0)
    assert sign_flip_p_value(np.repeat(values, 50)[None], np.repeat(clusters, 50), 100, 0) == once


def test_seeds_are_averaged():
    values = np.random.default_rng(2).normal(size=(3, 7))
    clusters = np.array(list("abcdefg"))
    assert sign_flip_p_value(values, clusters, 100, 0) == sign_flip_p_value(
        values.mean(axis=0, keepdims=True), clusters, 100, 0
    )


@pytest.mark.parametrize("n_patients", [1, 2, 3, 6])
def test_few_patients_cannot_give_a_small_p_value(n_patients):
    values = np.full((2, 10 * n_patients), 5.0)
    clusters = np.repeat([f"p{k}" for k in range(n_patients)], 10)
    assert sign_flip_p_value(values, clusters, 100, 0) == (2.0 ** (1 - n_patients), 2.0 ** (1 - n_patients))


def test_no_difference_is_never_significant():
    assert sign_flip_p_value(np.zeros((1, 4)), np.array(list("abcd")), 100, 0)[0] == 1


def test_the_level_is_kept():
    """Under the hypothesis the p-value is at most α with probability α: here 0.25 of symmetric draws at 3 patients."""
    random = np.random.default_rng(3)
    clusters = np.repeat(["a", "b", "c"], 4)
    draws = random.normal(size=(2000, 3)).repeat(4, axis=1) + random.normal(size=(2000, 12))
    p_values = np.array([sign_flip_p_value(draw[None], clusters, 1, 0)[0] for draw in draws])
    assert (p_values <= 0.25).mean() == pytest.approx(0.25, abs=0.03)


def test_holm_is_its_definition():
    p = np.array([0.001, 0.04, 0.03, 0.005, 0.5])
    expected = []
    for value in p:
        smaller = sorted(other for other in p if other <= value)
        expected.append(max(min(1, (len(p) - rank) * other) for rank, other in enumerate(smaller)))
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(holm(p), [0.005, 0.09, 0.09, 0.02, 0.5])


def test_holm_leaves_out_what_was_not_tested():
    np.testing.assert_allclose(holm(np.array([np.nan, 0.02, 0.9])), [np.nan, 0.04, 0.9])
    assert np.isnan(holm(np.array([np.nan]))).all()
    assert holm(np.array([0.8, 0.9])).tolist() == [1, 1]
