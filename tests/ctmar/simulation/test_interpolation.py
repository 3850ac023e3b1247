"""Linear interpolation over the metal trace, against numpy."""

import numpy as np
import pytest

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.geometry import benchmark_geometry
from ctmar.simulation.interpolation import interpolate_linearly, interpolate_normalised, prior_image, trace_edges
from ctmar.simulation.noise import random_stream
from ctmar.simulation.projector import project
from ctmar.simulation.scanner import build_scanner, scan_metal, scan_slice, trace_slice


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


def test_prior_has_three_classes():
    image = np.repeat([[0.0, 0.19, 0.4]], 30, axis=0).repeat(20, axis=1)
    mask = np.zeros(image.shape)
    mask[4:8, 50:54] = 1
    prior = prior_image(image, mask)
    assert (prior[0, 5], prior[0, 30]) == (0, pytest.approx(0.192))
    assert prior[0, -5] == pytest.approx(0.4)
    assert (prior[mask == 1] == np.float32(0.192)).all()


def test_a_perfect_prior_restores_the_sinogram(body):
    scan = benchmark_geometry(len(body))
    truth = project(scan, body)
    trace = np.zeros(truth.shape, bool)
    trace[:, 90:100] = True
    restored = interpolate_normalised(scan, np.where(trace, 9.0, truth), trace, body)
    np.testing.assert_allclose(restored[trace], truth[trace], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(restored[~trace], truth[~trace])


def test_normalisation_beats_plain_interpolation(body):
    mask = np.zeros(body.shape, np.uint8)
    mask[60:70, 58:70] = 1
    scanner = build_scanner(Simulation(), len(body))
    paths = trace_slice(scanner, body)
    _, clean = scan_slice(scanner, paths, random_stream(1))
    scan = scan_metal(scanner, paths, mask, random_stream(0))
    prior = prior_image(scan.LI_CT, mask)
    better = interpolate_normalised(scanner.geometry, scan.ma_sinogram, scan.metal_trace, prior)
    error, plain_error = (np.sqrt(np.mean((s - clean)[scan.metal_trace > 0] ** 2)) for s in (better, scan.LI_sinogram))
    assert error < 0.5 * plain_error
