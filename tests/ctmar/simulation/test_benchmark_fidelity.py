"""Preset `benchmark` reproduces a stored pair of SynDeepLesion from its image and mask, to the noise."""

from pathlib import Path

import numpy as np
import pytest

from ctmar.config import Simulation
from ctmar.simulation.files import simulate_files
from ctmar.simulation.plain_files import fit_mask, read_mask
from ctmar.simulation.projector import back_project
from ctmar.simulation.scanner import build_scanner
from ctmar.store.benchmark import read_field

FULL_SCALE = 0.5  # 1/cm


def decibel(a, b, where) -> float:
    return float(10 * np.log10(FULL_SCALE**2 / np.mean((a.astype(float) - b)[where] ** 2)))


@pytest.fixture(scope="module")
def pair(shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """Return (simulated fields, stored fields, metal-free pixels) of slice 000195_02_02/202 with mask 0."""
    folder = tmp_path_factory.mktemp("pair")
    benchmark = shared / "syndeeplesion" / "train"
    np.save(folder / "mask.npy", np.load(benchmark / "trainmask.npy")[:, :, 0])
    stored_slice = benchmark / "train_640geo" / "000195_02_02" / "202"
    simulate_files(stored_slice / "gt.h5", folder / "mask.npy", folder / "pair.h5")
    of_slice = ("image", "poly_CT", "poly_sinogram")
    of_mask = ("ma_CT", "LI_CT", "ma_sinogram", "LI_sinogram", "metal_trace")
    stored = {name: read_field(stored_slice / "gt.h5", name) for name in of_slice}
    stored |= {name: read_field(stored_slice / "0.h5", name) for name in of_mask}
    simulated = {name: read_field(folder / "pair.h5", name) for name in stored}
    return simulated, stored, fit_mask(read_mask(folder / "mask.npy"), 416) == 0


def test_the_mask_has_the_published_size(pair):
    assert int((~pair[2]).sum()) == 254


def test_metal_traces_are_the_same_ray_by_ray(pair):
    simulated, stored, _ = pair
    np.testing.assert_array_equal(simulated["metal_trace"] > 0, stored["metal_trace"] > 0)


@pytest.mark.parametrize(("name", "most"), [("poly", 0.0006), ("LI", 0.0006), ("ma", 0.0006)])
def test_sinograms_agree(pair, name: str, most: float):
    simulated, stored, _ = pair
    assert np.abs(simulated[f"{name}_sinogram"] - stored[f"{name}_sinogram"]).mean() < most


@pytest.mark.parametrize(("name", "least_db"), [("poly_CT", 57), ("LI_CT", 57), ("ma_CT", 55)])
def test_images_agree_outside_metal(pair, name: str, least_db: float):
    simulated, stored, clean = pair
    assert decibel(simulated[name], stored[name], clean) > least_db


def test_artefacts_correlate(pair):
    simulated, stored, clean = pair
    artefacts = [(fields["ma_CT"] - stored["image"])[clean] for fields in (simulated, stored)]
    assert np.corrcoef(*artefacts)[0, 1] > 0.998


@pytest.mark.parametrize("name", ["ma_CT", "LI_CT"])
def test_distance_to_the_ground_truth_agrees(pair, name: str):
    simulated, stored, clean = pair
    truth = np.clip(stored["image"], 0, FULL_SCALE)
    psnr = [decibel(np.clip(fields[name], 0, FULL_SCALE), truth, clean) for fields in (simulated, stored)]
    assert psnr[0] == pytest.approx(psnr[1], abs=0.05)


@pytest.fixture(scope="module")
def recovered(shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """The same for slice 000129_03_01/115, whose mask is not public: pixels all of whose rays lie in the metal trace.

    They are two pixels more than the metal, which the trace cannot tell; what depends on metal alone is not compared.
    """
    folder = tmp_path_factory.mktemp("recovered")
    stored_slice = shared / "syndeeplesion" / "train" / "train_640geo" / "000129_03_01" / "115"
    trace = read_field(stored_slice / "80.h5", "metal_trace").astype(np.float32)
    geometry = build_scanner(Simulation(), 416).geometry
    mask = back_project(geometry, trace) >= 0.9975 * back_project(geometry, np.ones_like(trace))
    np.save(folder / "mask.npy", mask.astype(np.uint8))
    simulate_files(stored_slice / "gt.h5", folder / "mask.npy", folder / "pair.h5")
    stored = {"poly_sinogram": read_field(stored_slice / "gt.h5", "poly_sinogram")}
    stored |= {name: read_field(stored_slice / "80.h5", name) for name in ("LI_CT", "LI_sinogram", "metal_trace")}
    return {name: read_field(folder / "pair.h5", name) for name in stored}, stored, ~mask


@pytest.mark.slow
def test_a_second_slice_agrees_as_far_as_its_trace_tells(recovered):
    simulated, stored, outside = recovered
    traces = [fields["metal_trace"] > 0 for fields in (simulated, stored)]
    assert (traces[0] & traces[1]).sum() / (traces[0] | traces[1]).sum() >= 0.999
    for name in ("poly_sinogram", "LI_sinogram"):
        assert np.abs(simulated[name] - stored[name]).mean() <= 0.0007
    assert decibel(simulated["LI_CT"], stored["LI_CT"], outside) >= 55
