"""The torch operators against numba, the definition of the adjoint, closed forms and ASTRA."""

import numpy as np
import pytest
import torch

from ctmar.errors import InputError
from ctmar.simulation import projector, projector_torch, reconstruction, reconstruction_torch
from ctmar.simulation.geometry import FanBeam, benchmark_geometry, physical_geometry

SCANS = {"benchmark": benchmark_geometry(64), "physical": physical_geometry(50, 6.0)}


def images(size: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((n, size, size)).astype(np.float32)


def relative_error(values: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.abs(values.cpu().numpy() - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_line_integrals_are_those_of_numba(scan: FanBeam):
    batch = images(scan.image_size)
    sinograms = projector_torch.project(scan, torch.from_numpy(batch))
    expected = np.stack([projector.project(scan, image) for image in batch])
    assert relative_error(sinograms, expected) < 1e-5


def test_the_trace_of_a_small_object_is_that_of_numba():
    """The same rays meet the metal, to the last one: positions are rounded alike."""
    scan = benchmark_geometry(128)
    mask = np.zeros((2, 128, 128), np.float32)
    mask[0, 70:76, 40:43] = mask[0, 20, 90] = mask[1, 5:9, 60:64] = 1
    sinograms = projector_torch.project(scan, torch.from_numpy(mask)).cpu().numpy()
    for sinogram, image in zip(sinograms, mask, strict=True):
        np.testing.assert_array_equal(sinogram > 0, projector.project(scan, image) > 0)


@pytest.mark.parametrize("form", ["exact", "benchmark"])
@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_reconstructions_are_those_of_numba(scan: FanBeam, form):
    sinograms = np.stack([projector.project(scan, image) for image in images(scan.image_size)])
    got = reconstruction_torch.filtered_back_projection(scan, torch.from_numpy(sinograms), form)
    assert relative_error(got, np.stack(reconstruction.filtered_back_projection(scan, *sinograms, form=form))) < 1e-4


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_back_projection_is_the_adjoint(scan: FanBeam):
    torch.manual_seed(0)
    image = torch.rand(2, scan.image_size, scan.image_size, dtype=torch.float64)
    sinogram = torch.rand(2, *scan.sinogram_shape, dtype=torch.float64)
    left = (projector_torch.project(scan, image) * sinogram).sum()
    right = (image * projector_torch.back_project(scan, sinogram)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_adjoint_is_that_of_numba():
    scan = SCANS["benchmark"]
    sinograms = np.random.default_rng(1).random((2, *scan.sinogram_shape))
    got = projector_torch.back_project(scan, torch.from_numpy(sinograms))
    assert relative_error(got, np.stack([projector.back_project(scan, s) for s in sinograms])) < 1e-6


@pytest.mark.parametrize(("form", "tolerance"), [("exact", 0.004), ("benchmark", 0.02)])
def test_disc_has_its_closed_form(form, tolerance: float):
    """Chord lengths 2 sqrt(r² - d²) of a disc in the middle give 1 inside and 0 outside."""
    scan = benchmark_geometry(128)
    offset = (np.arange(scan.n_bins) - (scan.n_bins - 1) / 2) * scan.virtual_bin_cm
    distance = offset * scan.source_cm / np.hypot(scan.source_cm, offset)
    chords = np.broadcast_to(2 * np.sqrt(np.maximum(3.0**2 - distance**2, 0)), scan.sinogram_shape)
    image = reconstruction_torch.filtered_back_projection(scan, torch.tensor(chords)[None], form)[0].numpy()
    radius = np.hypot(*(np.indices((128, 128)) - 63.5)) * scan.pixel_cm
    assert image[radius < 2.5].mean() == pytest.approx(1, abs=tolerance)
    assert np.abs(image[radius < 2.5] - 1).max() < 0.06
    assert abs(image[(radius > 3.5) & (radius < 6)].mean()) < tolerance


def test_no_number_depends_on_the_portions(monkeypatch: pytest.MonkeyPatch):
    scan = SCANS["benchmark"]
    batch = torch.from_numpy(images(64))
    whole = projector_torch.project(scan, batch)
    image = reconstruction_torch.filtered_back_projection(scan, whole)
    monkeypatch.setitem(projector_torch.LARGEST_PORTION, "cpu", 3000)
    torch.testing.assert_close(projector_torch.project(scan, batch), whole, rtol=1e-6, atol=1e-6)
    again = reconstruction_torch.filtered_back_projection(scan, whole)
    torch.testing.assert_close(again, image, rtol=1e-5, atol=1e-5)


def test_nothing_projects_to_nothing():
    assert not projector_torch.project(SCANS["benchmark"], torch.zeros(1, 64, 64)).any()


def test_wrong_shapes_are_named():
    scan = SCANS["benchmark"]
    with pytest.raises(InputError, match=r"images: expected shape \(n, 64, 64\), found \(64, 64\)"):
        projector_torch.project(scan, torch.zeros(64, 64))
    for function in (projector_torch.back_project, reconstruction_torch.filtered_back_projection):
        with pytest.raises(InputError, match=r"sinograms: expected shape \(n, 100, 99\), found \(1, 99, 100\)"):
            function(scan, torch.zeros(1, 99, 100))


def test_astra_has_the_same_line_integrals():
    """ASTRA's CPU line model weighs a pixel by the length of the ray in it: close to Joseph's, not the same."""
    astra = pytest.importorskip("astra", reason="astra-toolbox (GPL) is no dependency: an oracle where it is installed")
    scan = benchmark_geometry(128)
    rows, columns = np.indices((128, 128)) - 63.5
    image = np.exp(-((rows - 12) ** 2 + (columns + 20) ** 2) / 300).astype(np.float32)
    half = 128 * scan.pixel_cm / 2
    volume = astra.create_vol_geom(128, 128, -half, half, -half, half)
    # its view angle 0 has the source below, ours at -90 degrees
    fan = astra.create_proj_geom("fanflat", scan.bin_cm, scan.n_bins, scan.angles, scan.source_cm, scan.detector_cm)
    line = astra.create_projector("line_fanflat", fan, volume)
    _, expected = astra.create_sino(image, line)
    got = projector_torch.project(scan, torch.from_numpy(image)[None])[0].numpy()
    assert np.abs(got - expected).mean() < 1e-3 * expected.max()
