"""Pair files of a subset: complete, in order, and the same on any number of threads."""

import hashlib
import multiprocessing
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.config import Asymmetry, Simulation
from ctmar.errors import InputError
from ctmar.simulation.operators import torch_operators
from ctmar.simulation.subset import simulate_subset
from ctmar.store.join import join_pair_files
from ctmar.store.pairs import PairFile
from ctmar.store.slices import Slice, open_slice_writer, write_slices

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


def test_provenance_and_pairs_say_the_asymmetry(study):
    """Pairs of another strength are other pairs of the same slices and masks; at strength 0 every kind is the same."""
    folder, _ = study
    found = {}
    for kind, strength in (("motion", 0), ("limited_angle", 0), ("motion", 0.4)):
        settings = SETTINGS.model_copy(update={"asymmetry": Asymmetry(kind=kind, strength=strength)})
        with PairFile(simulate(folder, f"{kind}-{strength}.h5", settings=settings)) as pairs:
            assert pairs.provenance["settings"]["asymmetry"] == {"kind": kind, "strength": strength}
            found[kind, strength] = pairs.read_pair(1)
    symmetric, limited, moving = found.values()
    for name in ("image", "mask", "ma_CT", "LI_CT"):
        np.testing.assert_array_equal(getattr(symmetric, name), getattr(limited, name))
    np.testing.assert_array_equal(symmetric.image, moving.image)
    np.testing.assert_array_equal(symmetric.mask, moving.mask)
    assert np.abs(symmetric.LI_CT - moving.LI_CT).max() > 0.005


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


def joined(folder: Path, n_shards: int, subset="train", settings=SETTINGS) -> Path:
    shards = [
        simulate(folder, f"shards/{n_shards}-{k}.h5", subset, settings, shard=k, n_shards=n_shards)
        for k in range(n_shards)
    ]
    join_pair_files(shards, folder / f"{n_shards}.h5")
    return folder / f"{n_shards}.h5"


@pytest.mark.parametrize("n_shards", [1, 2, 5])
def test_any_number_of_shards_gives_the_same_data(study, n_shards: int):
    folder, _ = study
    settings = SETTINGS.model_copy(update={"store_sinograms": True, "nmar": ["train"], "metal": ["steel", "amalgam"]})
    whole = simulate(folder, settings=settings)
    with h5py.File(whole) as one, h5py.File(joined(folder, n_shards, settings=settings)) as other:
        assert set(one) == set(other)
        for name in one:
            assert one[name][()].tobytes() == other[name][()].tobytes() or one[name].dtype == object
            np.testing.assert_array_equal(one[name][()], other[name][()])


def _shard(folder: Path, k: int) -> None:
    simulate(folder, f"shards/2-{k}.h5", shard=k, n_shards=2, threads=1 + k)


@pytest.mark.slow
def test_several_jobs_at_once_write_the_same_data(study):
    folder, _ = study
    jobs = [multiprocessing.get_context("spawn").Process(target=_shard, args=(folder, k)) for k in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(timeout=600)
        assert job.exitcode == 0
    together = [folder / "shards" / f"2-{k}.h5" for k in range(2)]
    digests = [path.read_bytes() for path in together]
    for k in range(2):
        _shard(folder, k)
    assert [path.read_bytes() for path in together] == digests


def test_a_shard_that_does_not_exist(study):
    with pytest.raises(InputError, match="shard: expected 0 to 1 of 2 shards, found 2"):
        simulate(study[0], shard=2, n_shards=2)


def test_torch_makes_the_same_pairs(study, monkeypatch: pytest.MonkeyPatch):
    """What `--device cuda` runs, here on the CPU: the same masks, traces and noise, images equal to 1e-4."""
    folder, _ = study
    settings = SETTINGS.model_copy(update={"store_sinograms": True, "nmar": ["train"]})
    with h5py.File(simulate(folder, settings=settings)) as numba:
        monkeypatch.setattr("ctmar.simulation.subset.operators_on", lambda device: torch_operators("cpu"))
        with h5py.File(simulate(folder, "torch.h5", settings=settings)) as other:
            assert b"torch" in other.attrs["provenance"]
            for name in ("mask", "metal_trace"):
                np.testing.assert_array_equal(numba[name][()], other[name][()])
            for name in ("poly_CT", "ma_CT", "LI_CT", "NMAR_CT"):
                largest = np.abs(numba[name][()]).max()
                assert np.abs(numba[name][()] - other[name][()]).max() < 1e-4 * largest


def test_no_gpu_is_said(study, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="device: expected a GPU that torch can use for 'cuda', found none"):
        simulate(study[0], device="cuda")


@pytest.fixture
def with_masks(study):
    """The same study with masks of its own: two named train, one named test."""
    folder, slices = study
    masks = np.zeros((3, 64, 64), np.uint8)
    for k in range(3):
        masks[k, 38 : 41 + k, 28:31] = 1
    with open_slice_writer(folder / "slices.h5", 64) as writer:
        for record in slices:
            writer.append(record)
        writer.write_masks("train", masks[:2])
        writer.write_masks("test", masks[2:])
    return folder, masks


def test_stored_masks_go_to_their_subset(with_masks):
    folder, masks = with_masks
    stored = Simulation(masks="stored", masks_per_slice={"train": 2, "validation": 1, "test": 1})
    for subset, chosen in (("train", masks[:2]), ("test", masks[2:])):
        with PairFile(simulate(folder, f"{subset}.h5", subset, stored)) as pairs:
            for k in range(pairs.n_pairs):
                np.testing.assert_array_equal(pairs.read_pair(k).mask, chosen[pairs.mask_index[k]])
            assert "masks_sha256" in pairs.provenance
    many = stored.model_copy(update={"masks_per_slice": {"train": 3, "validation": 1, "test": 1}})
    with pytest.raises(InputError, match="expected at most the 2 masks of masks 'stored' for subset 'train', found 3"):
        simulate(folder, "many.h5", settings=many)


def test_masks_of_a_folder_are_dealt_to_the_slices(with_masks):
    folder, masks = with_masks
    (folder / "masks").mkdir()
    np.save(folder / "masks" / "a.npy", np.concatenate([masks, masks[:, ::-1]]))
    settings = Simulation(
        masks="folder", mask_folder=folder / "masks", masks_per_slice={"train": 4, "validation": 1, "test": 1}
    )
    with PairFile(simulate(folder, settings=settings)) as pairs:
        for k in range(2):
            numbers = pairs.mask_index[pairs.slice_index == k].tolist()
            assert len(set(numbers)) == 4
        for k, number in enumerate(pairs.mask_index):
            expected = np.concatenate([masks, masks[:, ::-1]])[number]
            np.testing.assert_array_equal(pairs.read_pair(k).mask, expected)


def test_slices_without_stored_masks_are_said(study):
    with pytest.raises(InputError, match="expected masks that came with the slices for 'stored', found none"):
        simulate(study[0], settings=Simulation(masks="stored"))


@pytest.mark.slow
def test_the_commands_make_shards_and_join_them(study):
    folder, _ = study
    (folder / "settings.yaml").write_text("{seed: 3, masks_per_slice: {train: 3, validation: 1, test: 2}}")
    for shard in (0, 1):
        options = ["--split", "split.csv", "--subset", "train", "--settings", "@settings.yaml", "--output"]
        options += [f"train-{shard}.h5", "--shard", str(shard), "--n-shards", "2"]
        command = [sys.executable, "-c", "from ctmar.cli import main; main()"]
        ran = subprocess.run([*command, "simulate-subset", "slices.h5", *options], cwd=folder, capture_output=True)
        assert ran.returncode == 0, ran.stderr
        first = ran.stderr.decode().splitlines()[0]
        assert first.startswith(f"simulate train {shard} of 2: 1 slices × 3 masks = 3 pairs of 64 × 64 pixels; ")
    shown = CliRunner().invoke(
        app, ["join-pairs", *(str(folder / f"train-{k}.h5") for k in (1, 0)), "--output", str(folder / "train.h5")]
    )
    assert shown.exit_code == 0, shown.output
    with PairFile(folder / "train.h5") as together, PairFile(simulate(folder)) as whole:
        for k in range(6):
            np.testing.assert_array_equal(together.read_pair(k).ma_CT, whole.read_pair(k).ma_CT)
