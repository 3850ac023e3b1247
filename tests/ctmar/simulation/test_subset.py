"""Pair files of a subset: complete, in order, and the same on any number of threads."""

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.subset import simulate_subset
from ctmar.store.pairs import PairFile
from ctmar.store.slices import Slice, write_slices

SETTINGS = Simulation(seed=3, masks_per_slice={"train": 3, "validation": 1, "test": 2})


@pytest.fixture
def study(body, tmp_path: Path):
    """Four slices of three patients at 64 × 64 pixels, and their split."""
    half = body.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    patients = ["a", "b", "a", "c"]
    slices = [
        Slice((half * (1 + 0.02 * k)).astype(np.float32), patient, "1", f"{patient}/1/{k:04d}", 5.0 * k, 6.0)
        for k, patient in enumerate(patients)
    ]
    write_slices(tmp_path / "slices.h5", slices)
    (tmp_path / "split.csv").write_text("patient,subset,n_slices\na,train,2\nb,validation,1\nc,test,1\n")
    return tmp_path, slices


def simulate(folder: Path, output: str = "pairs.h5", subset="train", settings=SETTINGS, **more) -> Path:
    simulate_subset(folder / "slices.h5", folder / "split.csv", subset, folder / output, settings, **more)
    return folder / output


def test_every_slice_of_the_subset_gets_its_masks(study):
    folder, slices = study
    with PairFile(simulate(folder)) as pairs:
        assert (pairs.subset, pairs.n_slices, pairs.n_pairs) == ("train", 2, 6)
        assert pairs.slice_id == ["a/1/0000", "a/1/0002"]
        assert pairs.slice_index.tolist() == [0, 0, 0, 1, 1, 1]
        assert pairs.mask_index.tolist() == [0, 1, 2, 0, 1, 2]
        assert (pairs.metal_pixels > 0).all()
        pair = pairs.read_pair(4)
        np.testing.assert_array_equal(pair.image, slices[2].image)
        assert pair.pixel_mm == 6.0
        masks = [pairs.read_pair(k).mask for k in range(6)]
        assert len({mask.tobytes() for mask in masks}) == 6


def test_any_number_of_threads_gives_the_same_bytes(study):
    folder, _ = study
    paths = [simulate(folder, f"{threads}.h5", threads=threads) for threads in (1, 2, 5)]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}) == 1


def test_pairs_do_not_depend_on_the_other_slices(study):
    folder, slices = study
    with PairFile(simulate(folder)) as all_pairs:
        expected = all_pairs.read_pair(3).ma_CT
    write_slices(folder / "slices.h5", [slices[2]])
    with PairFile(simulate(folder, "alone.h5")) as alone:
        np.testing.assert_array_equal(alone.read_pair(0).ma_CT, expected)


def test_another_seed_draws_other_masks(study):
    folder, _ = study
    with (
        PairFile(simulate(folder)) as a,
        PairFile(simulate(folder, "other.h5", settings=SETTINGS.model_copy(update={"seed": 4}))) as b,
    ):
        assert (a.read_pair(0).mask != b.read_pair(0).mask).any()


def test_sinograms_are_stored_on_request(study):
    folder, _ = study
    path = simulate(folder, settings=SETTINGS.model_copy(update={"store_sinograms": True}), subset="test")
    with h5py.File(path) as file:
        assert file["poly_sinogram"].shape == (1, 100, 99)
        assert file["ma_sinogram"].shape == file["LI_sinogram"].shape == file["metal_trace"].shape == (2, 100, 99)
    with h5py.File(simulate(folder, "without.h5", subset="test")) as file:
        assert not [name for name in file if "sinogram" in name or "trace" in name]


def test_provenance_names_its_sources(study):
    folder, _ = study
    with PairFile(simulate(folder, subset="test")) as pairs:
        facts = pairs.provenance
    assert facts["spectrum"]["model"] == "spekpy"
    assert "Elam" in facts["attenuation"]["table"]
    assert facts["geometry"]["n_views"] == 100
    assert facts["settings"]["seed"] == 3
    assert facts["slices_sha256"] == hashlib.sha256((folder / "slices.h5").read_bytes()).hexdigest()


def test_progress_counts_pairs(study):
    calls: list[tuple[int, int, str]] = []
    simulate(study[0], subset="test", progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(1, 2), (2, 2)]


def test_bad_input_is_one_line_and_leaves_nothing(study):
    folder, _ = study
    (folder / "split.csv").write_text("patient,subset,n_slices\na,train,2\n")
    with pytest.raises(InputError, match=r"split\.csv: subset 'test' has no slice"):
        simulate(folder, "x.h5", subset="test")
    (folder / "split.csv").write_text("patient\na\n")
    with pytest.raises(InputError, match="missing subset"):
        simulate(folder, "x.h5")
    (folder / "split.csv").write_text("patient,subset\nz,train\n")
    air = Slice(np.zeros((64, 64), np.float32), "z", "1", "z/1/0000", 0.0, 6.0)
    write_slices(folder / "slices.h5", [air])
    with pytest.raises(InputError, match=r"^slice z/1/0000: no tissue found"):
        simulate(folder, "x.h5", threads=2)
    assert not list(folder.glob("*x*.h5"))


def test_each_mask_draws_its_material(study):
    folder, _ = study
    three = ["titanium", "cobalt_chromium", "amalgam"]
    masks = {"train": 12, "validation": 1, "test": 2}
    mixed = SETTINGS.model_copy(update={"metal": three, "masks_per_slice": masks})
    with PairFile(simulate(folder, settings=mixed)) as pairs:
        drawn = pairs.metal
        assert set(drawn) == set(three)
        assert set(pairs.provenance["attenuation"]["metal"]) == set(three)
        only = SETTINGS.model_copy(update={"metal": [drawn[1]], "masks_per_slice": masks})
        with PairFile(simulate(folder, "only.h5", settings=only)) as alone:
            assert set(alone.metal) == {drawn[1]}
            # same masks, same noise: what differs between the files is the material alone
            for k in range(12):
                np.testing.assert_array_equal(pairs.read_pair(k).mask, alone.read_pair(k).mask)
                same = np.array_equal(pairs.read_pair(k).ma_CT, alone.read_pair(k).ma_CT)
                assert same is (drawn[k] == drawn[1])


def test_nmar_is_made_for_its_subsets(study):
    folder, _ = study
    with PairFile(simulate(folder, subset="test")) as pairs:
        assert pairs.has_nmar
        pair = pairs.read_pair(0, nmar=True)
        assert pair.NMAR_CT is not None
        assert pair.NMAR_CT.shape == (64, 64)
        assert (pair.NMAR_CT != pair.LI_CT).any()
    with PairFile(simulate(folder)) as train:
        assert not train.has_nmar
