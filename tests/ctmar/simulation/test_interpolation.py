"""Linear interpolation over the metal trace, against numpy."""

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.simulation.interpolation import interpolate_linearly, trace_edges


def test_agrees_with_numpy():
    random = np.random.default_rng(0)
    sinogram = random.random((60, 80)).astype(np.float32)
    trace = random.random((60, 80)) < 0.6
    expected = sinogram.copy()
    bins = np.arange(80)
    for view, metal in enumerate(trace):
        expected[view, metal] = np.interp(bins[metal], bins[~metal], sinogram[view, ~metal])
    got = interpolate_linearly(sinogram, trace)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_array_equal(got[~trace], sinogram[~trace])


def test_the_ends_keep_the_nearest_value():
    got = interpolate_linearly(np.array([[9.0, 9.0, 2.0, 3.0, 9.0]]), np.array([[1, 1, 0, 0, 1]]))
    assert got.tolist() == [[2, 2, 2, 3, 3]]


def test_no_trace_changes_nothing():
    sinogram = np.random.default_rng(1).random((3, 4)).astype(np.float32)
    np.testing.assert_array_equal(interpolate_linearly(sinogram, np.zeros((3, 4))), sinogram)


def test_edges_are_what_erosion_along_the_detector_removes():
    from scipy.ndimage import binary_erosion

    trace = np.random.default_rng(2).random((40, 50)) < 0.8
    eroded = binary_erosion(trace, structure=np.ones((1, 3)))
    np.testing.assert_array_equal(trace_edges(trace), trace & ~eroded)


def test_bad_traces_are_named():
    with pytest.raises(InputError, match=r"expected the shape of the sinogram \(2, 3\), found \(3, 2\)"):
        interpolate_linearly(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(InputError, match="view 1 is covered whole"):
        interpolate_linearly(np.zeros((2, 3)), np.array([[0, 1, 0], [1, 1, 1]]))
