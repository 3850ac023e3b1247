"""Holm's correction against its definition."""

import numpy as np

from ctmar.evaluation.significance import holm


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
