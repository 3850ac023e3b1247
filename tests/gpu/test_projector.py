"""Projector and reconstruction in torch on a GPU beside numba on the CPU."""

import numpy as np
import pytest
import torch

from ctmar.simulation import projector, projector_torch, reconstruction, reconstruction_torch
from ctmar.simulation.geometry import FanBeam, benchmark_geometry, physical_geometry
from ctmar.simulation.operators import torch_operators

pytestmark = pytest.mark.gpu
SCANS = {"benchmark": benchmark_geometry(96), "physical": physical_geometry(96, 2.0)}


@pytest.fixture(params=SCANS.values(), ids=SCANS)
def scan(request: pytest.FixtureRequest) -> FanBeam:
    return request.param


@pytest.fixture
def images(scan: FanBeam) -> np.ndarray:
    return np.random.default_rng(0).random((3, scan.image_size, scan.image_size)).astype(np.float32)


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.abs(found.cpu().numpy() - expected).max() / np.abs(expected).max())


def test_line_integrals_are_those_of_numba(scan, images, device):
    sinograms = projector_torch.project(scan, torch.from_numpy(images).to(device))
    assert sinograms.device.type == device.type
    assert relative_error(sinograms, np.stack([projector.project(scan, image) for image in images])) < 1e-5


def test_the_trace_of_a_small_object_is_that_of_numba(scan, device):
    mask = np.zeros((1, scan.image_size, scan.image_size), np.float32)
    mask[0, 60:66, 40:43] = mask[0, 20, 70] = 1
    found = projector_torch.project(scan, torch.from_numpy(mask).to(device))[0].cpu().numpy()
    np.testing.assert_array_equal(found > 0, projector.project(scan, mask[0]) > 0)


@pytest.mark.parametrize("form", ["exact", "benchmark"])
def test_reconstructions_are_those_of_numba(scan, images, form, device):
    sinograms = np.stack([projector.project(scan, image) for image in images])
    found = reconstruction_torch.filtered_back_projection(scan, torch.from_numpy(sinograms).to(device), form)
    expected = np.stack(reconstruction.filtered_back_projection(scan, *sinograms, form=form))
    assert relative_error(found, expected) < 1e-4


def test_back_projection_is_the_adjoint(scan, device):
    image = torch.rand(2, scan.image_size, scan.image_size, dtype=torch.float64).to(device)
    sinogram = torch.rand(2, *scan.sinogram_shape, dtype=torch.float64).to(device)
    left = (projector_torch.project(scan, image) * sinogram).sum()
    right = (image * projector_torch.back_project(scan, sinogram)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_the_operators_of_the_simulation_take_and_give_arrays(scan, images, device):
    operators = torch_operators(device.type)
    sinogram = operators.project(scan, images[0])
    assert np.abs(sinogram - projector.project(scan, images[0])).max() < 1e-5 * sinogram.max()
    (image,) = operators.reconstruct(scan, sinogram)
    (expected,) = reconstruction.filtered_back_projection(scan, sinogram)
    assert np.abs(image - expected).max() < 1e-4 * np.abs(expected).max()
