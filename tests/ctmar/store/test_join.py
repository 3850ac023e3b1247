"""Shards read as one file: the same numbers, and an error for whatever is not as it was when they were joined."""

import itertools
import json
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.store.join import join_pair_files
from ctmar.store.pair_writer import open_pair_writer
from ctmar.store.pairs import PairFile, PairRecord, SliceRecord

SIZE, N_SLICES, N_MASKS = 40, 5, 3


def records():
    random = np.random.default_rng(0)
    draw = lambda *shape: random.random(shape, dtype=np.float32)  # noqa: E731
    slices = [
        SliceRecord(draw(SIZE, SIZE), draw(SIZE, SIZE), f"p{k // 2}", f"p/{k}", 1.0, draw(4, 6))
        for k in range(N_SLICES)
    ]
    pairs = [
        PairRecord(
            ma_CT=draw(SIZE, SIZE),
            LI_CT=draw(SIZE, SIZE),
            mask=(draw(SIZE, SIZE) > 0.8).astype(np.uint8),
            slice_index=k,
            mask_index=m,
            metal=("steel", "titanium")[m % 2],
            NMAR_CT=draw(SIZE, SIZE),
            ma_sinogram=draw(4, 6),
            LI_sinogram=draw(4, 6),
            metal_trace=np.ones((4, 6), np.uint8),
        )
        for k in range(N_SLICES)
        for m in range(N_MASKS)
    ]
    return slices, pairs


def write(path: Path, slices, pairs, shard: int = 0, n_shards: int = 1, first: int = 0, seed: int = 0) -> Path:
    with open_pair_writer(path, "train", {"seed": seed}, shard, n_shards) as writer:
        for record in slices:
            writer.write_slice(record)
        for pair in pairs:
            writer.write_pair(PairRecord(**{**vars(pair), "slice_index": pair.slice_index - first}))
    return path


def sharded(folder: Path, n_shards: int) -> list[Path]:
    """Write the records as shards of contiguous slices; some are empty where there are more shards than slices."""
    slices, pairs = records()
    ends = [k * N_SLICES // n_shards for k in range(n_shards + 1)]
    return [
        write(
            folder / "shards" / f"{k}.h5",
            slices[first:last],
            [pair for pair in pairs if first <= pair.slice_index < last],
            k,
            n_shards,
            first,
        )
        for k, (first, last) in enumerate(itertools.pairwise(ends))
    ]


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    join_pair_files(sharded(tmp_path / "study", 3), tmp_path / "study" / "train.h5")
    return tmp_path / "study" / "train.h5"


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7])
def test_joined_shards_hold_what_one_file_holds(tmp_path: Path, n_shards: int):
    whole = write(tmp_path / "whole.h5", *records())
    # in any order: the shards know their numbers
    join_pair_files(sharded(tmp_path, n_shards)[::-1], tmp_path / "joined.h5")
    with h5py.File(whole) as a, h5py.File(tmp_path / "joined.h5") as b:
        assert set(a) == set(b)
        for name in a:
            assert (a[name].shape, a[name].dtype) == (b[name].shape, b[name].dtype)
            np.testing.assert_array_equal(a[name][()], b[name][()])
            assert dict(a[name].attrs) == dict(b[name].attrs)
        attributes = dict(b.attrs)
        assert len(json.loads(attributes.pop("parts"))) == n_shards
        assert attributes == dict(a.attrs)
    with PairFile(whole) as one, PairFile(tmp_path / "joined.h5") as other:
        assert (one.slice_id, one.metal, one.image_size) == (other.slice_id, other.metal, other.image_size)
        assert (other.shard, other.n_shards) == (0, 1)
        for k in range(one.n_pairs):
            expected, found = one.read_pair(k, nmar=True), other.read_patch(k, 7, 3, 20, nmar=True)
            np.testing.assert_array_equal(expected.ma_CT[7:27, 3:23], found.ma_CT)
            np.testing.assert_array_equal(expected.image[7:27, 3:23], found.image)
            assert expected.slice_id == found.slice_id


def test_joined_twice_gives_the_same_bytes(joined: Path):
    first = joined.read_bytes()
    time.sleep(1.1)  # HDF5 counts the time in seconds
    join_pair_files(sorted((joined.parent / "shards").iterdir()), joined)
    assert joined.read_bytes() == first
    assert len(first) < 60_000  # nothing large is copied


def test_the_folder_can_be_moved(joined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with PairFile(joined) as file:
        expected = file.read_pair(7).ma_CT
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(joined.parent, tmp_path / "elsewhere" / "study")
    monkeypatch.chdir(tmp_path)
    with PairFile(Path(moved) / "train.h5") as file:
        np.testing.assert_array_equal(file.read_pair(7).ma_CT, expected)
    assert expected.any()


def test_a_missing_part_is_an_error(joined: Path):
    (joined.parent / "shards" / "1.h5").unlink()
    with pytest.raises(InputError, match=r"train\.h5: its part 'shards/1\.h5' is missing: put it back, or make"):
        PairFile(joined)


def test_a_changed_part_is_an_error(joined: Path):
    part = joined.parent / "shards" / "1.h5"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"expected \d+ bytes in its part 'shards/1\.h5', found \d+"):
        PairFile(joined)
    part.write_bytes(bytes(part.stat().st_size - 1))
    with pytest.raises(InputError, match=r"1\.h5: not a readable HDF5 file"):
        PairFile(joined)


@pytest.mark.parametrize("name", ["../secret.h5", "/etc/passwd"])
def test_parts_outside_the_folder_are_not_followed(joined: Path, name: str):
    shutil.copy(joined.parent / "shards" / "1.h5", joined.parent.parent / "secret.h5")
    with h5py.File(joined, "a") as file:
        parts = json.loads(file.attrs["parts"])
        parts[1]["file"] = name
        file.attrs["parts"] = np.bytes_(json.dumps(parts))
    with pytest.raises(InputError, match=r"expected parts in its own folder, found"):
        PairFile(joined)


@pytest.mark.parametrize("lead", ["link", "virtual", "raw", "part"])
def test_a_dataset_that_leads_elsewhere_is_not_followed(joined: Path, lead: str):
    secret = write(joined.parent.parent / "secret.h5", *records())
    shape = (N_SLICES * N_MASKS, SIZE, SIZE)
    with h5py.File(joined if lead != "part" else joined.parent / "shards" / "1.h5", "a") as file:
        del file["ma_CT"]
        if lead in ("link", "part"):
            file["ma_CT"] = h5py.ExternalLink(str(secret), "/ma_CT")
        elif lead == "virtual":
            layout = h5py.VirtualLayout(shape, np.float32)
            layout[:] = h5py.VirtualSource(secret, "ma_CT", shape)
            file.create_virtual_dataset("ma_CT", layout)
        else:
            file.create_dataset("ma_CT", shape, np.float32, external=[(str(secret), 0, 4 * int(np.prod(shape)))])
    if lead == "part":
        with h5py.File(joined, "a") as file:
            parts = json.loads(file.attrs["parts"])
            parts[1]["bytes"] = (joined.parent / "shards" / "1.h5").stat().st_size
            file.attrs["parts"] = np.bytes_(json.dumps(parts))
    with pytest.raises(InputError, match="'ma_CT' of its own"):
        PairFile(joined)


def test_a_damaged_list_of_parts_is_one_line(joined: Path):
    for text in ("{", '[{"file": "a"}]', "3"):
        with h5py.File(joined, "a") as file:
            file.attrs["parts"] = np.bytes_(text)
        with pytest.raises(InputError, match="attribute 'parts': expected a list"):
            PairFile(joined)


def test_what_does_not_fit_is_not_joined(tmp_path: Path):
    shards = sharded(tmp_path, 3)
    for chosen, message in (
        (shards[:2], "expected shards 0 to 2, each once, found 0, 1$"),
        ([*shards[:2], shards[1]], "expected shards 0 to 2, each once, found 0, 1, 1"),
        ([], "expected at least one shard"),
        ([*shards, tmp_path / "none.h5"], r"none\.h5: pair file not found"),
    ):
        with pytest.raises(InputError, match=message):
            join_pair_files(chosen, tmp_path / "joined.h5")
    other = write(tmp_path / "other.h5", *records(), 2, 3, seed=1)
    with pytest.raises(InputError, match=r"other\.h5: expected a shard made like .*0\.h5, found another subset or"):
        join_pair_files([*shards[:2], other], tmp_path / "joined.h5")
    with pytest.raises(InputError, match="expected a part in the folder of the joined file"):
        join_pair_files(shards, tmp_path / "deeper" / "joined.h5")
    empty = write(tmp_path / "empty.h5", [], [])
    with pytest.raises(InputError, match="expected at least one slice in 1 shards"):
        join_pair_files([empty], tmp_path / "joined.h5")
    assert not (tmp_path / "joined.h5").exists()
