"""Patches are windows of the file, drawn as a function of seed and step."""

import shutil
from dataclasses import replace

import pytest
import torch

import ctmar.training.patches as patches
from ctmar.errors import InputError
from ctmar.store.pairs import PairFile
from ctmar.training.patches import PatchSampler, collate, validation_batches


def test_batch_is_on_the_networks_scale(pair_files):
    with PairFile(pair_files[0]) as file:
        pair = file.read_pair(1)
    loud = replace(pair, ma_CT=pair.ma_CT + 10, LI_CT=pair.LI_CT - 10)
    batch = collate([pair, loud])
    assert batch.inputs.shape == (2, 3, 32, 32)
    torch.testing.assert_close(batch.inputs[0, 1], torch.from_numpy(pair.LI_CT).clamp(0, 1) * 2)
    torch.testing.assert_close(batch.target[0, 0], torch.from_numpy(pair.image) * 2)
    assert (batch.inputs[1, 0] == 2).all()
    assert (batch.inputs[1, 1] == 0).all()
    assert torch.equal(batch.inputs[:, 2:] + batch.outside_metal, torch.ones(2, 1, 32, 32))


def test_every_patch_is_a_window_of_its_pair(pair_files):
    with PairFile(pair_files[0]) as file:
        pairs = [file.read_pair(index) for index in range(file.n_pairs)]
    whole = collate(pairs).target
    batch = PatchSampler(pair_files[0], 4, 16, seed=0).batch(2)
    windows = whole.unfold(2, 16, 1).unfold(3, 16, 1).reshape(-1, 16, 16)
    for patch in batch.target[:, 0]:
        assert (windows == patch).all(dim=(1, 2)).any()


def test_batch_is_a_function_of_seed_and_step(pair_files):
    sampler, fresh = (PatchSampler(pair_files[0], 2, 16, seed=0) for _ in range(2))
    seen = [sampler.batch(step) for step in range(6)]
    assert torch.equal(fresh.batch(5).inputs, seen[5].inputs)
    assert not torch.equal(seen[4].inputs, seen[5].inputs)
    assert not torch.equal(PatchSampler(pair_files[0], 2, 16, seed=1).batch(5).inputs, seen[5].inputs)


def test_each_pass_takes_every_pair_once(pair_files):
    sampler = PatchSampler(pair_files[0], 3, 16, seed=0)
    orders = [[sampler._drawn_pair(6 * passes + draw) for draw in range(6)] for passes in range(3)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[0] != orders[1]


def test_numbers_do_not_depend_on_the_cache(pair_files, monkeypatch):
    cached = [PatchSampler(pair_files[0], 2, 16, seed=0).batch(step) for step in range(4)]
    monkeypatch.setattr(patches, "CACHE_BYTES", 0)
    read = [PatchSampler(pair_files[0], 2, 16, seed=0).batch(step) for step in range(4)]
    for one, other in zip(cached, read, strict=True):
        assert all(torch.equal(*pair) for pair in zip(one.tensors, other.tensors, strict=True))


def test_positions_reach_every_pixel(pair_files):
    sampler = PatchSampler(pair_files[0], 8, 31, seed=0)
    with PairFile(pair_files[0]) as file:
        corners = {float(2 * file.read_pair(i).image[r, c]) for i in range(6) for r in (0, 1) for c in (0, 1)}
    found = {float(value) for step in range(20) for value in sampler.batch(step).target[:, 0, 0, 0]}
    assert found == corners


def test_validation_pairs_are_evenly_spaced_whole_slices(pair_files):
    batches = validation_batches(pair_files[1], 3)
    with PairFile(pair_files[1]) as file:
        expected = [file.read_pair(index).image for index in (0, 2, 5)]
    for batch, image in zip(batches, expected, strict=True):
        assert torch.equal(batch.target[0, 0], torch.from_numpy(image) * 2)
    assert len(validation_batches(pair_files[1], 100)) == 6


def test_bad_input_is_one_line(pair_files, write_pair_file, tmp_path):
    empty = write_pair_file(tmp_path / "empty.h5", n_slices=1, n_masks=0)
    with pytest.raises(InputError, match=r"at most 32.*found 33"):
        PatchSampler(pair_files[0], 2, 33, seed=0)
    for use in (lambda: PatchSampler(empty, 2, 16, seed=0), lambda: validation_batches(empty, 2)):
        with pytest.raises(InputError, match="expected at least one pair"):
            use()


def test_runs_of_a_process_share_what_is_decoded_of_a_file_and_not_of_the_next(pair_files, monkeypatch, tmp_path):
    copy = tmp_path / "copy.h5"
    shutil.copy(pair_files[0], copy)
    decoded = []
    read = PairFile.read_pair
    monkeypatch.setattr(PairFile, "read_pair", lambda self, index: decoded.append(index) or read(self, index))
    patches._decoded_pairs.cache_clear()
    first = [PatchSampler(copy, 4, 16, seed=0).batch(step) for step in range(4)]
    n_read = len(decoded)
    assert n_read == len(set(decoded))
    again = [PatchSampler(copy, 4, 16, seed=0).batch(step) for step in range(4)]
    assert len(decoded) == n_read
    assert all(
        torch.equal(one, other)
        for a, b in zip(first, again, strict=True)
        for one, other in zip(a.tensors, b.tensors, strict=True)
    )
    # another file in the same place is another file
    shutil.copy(pair_files[1], copy)
    other = PatchSampler(copy, 4, 16, seed=0).batch(0)
    assert len(decoded) > n_read
    assert torch.equal(other.target, PatchSampler(pair_files[1], 4, 16, seed=0).batch(0).target)
