"""Pair files: what is written is what is read, in every process, byte for byte the same."""

import hashlib
import multiprocessing
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.store.pair_writer import open_pair_writer, write_pairs
from ctmar.store.pairs import Pair, PairFile, PairRecord, SliceRecord

SIZE = 150  # above the largest chunk, so that patches cross a chunk border


def records(seed: int = 0, n_slices: int = 2, n_masks: int = 3, sinograms: bool = False, nmar: bool = False):
    random = np.random.default_rng(seed)

    def image(*shape: int) -> np.ndarray:
        return random.random(shape, dtype=np.float32)

    def sinogram():
        return image(7, 9) if sinograms else None

    slices = [
        SliceRecord(image(SIZE, SIZE), image(SIZE, SIZE), f"p{k}", f"p{k}/1/{k:04d}", 0.5 + k, sinogram())
        for k in range(n_slices)
    ]
    pairs = [
        PairRecord(
            ma_CT=image(SIZE, SIZE),
            LI_CT=image(SIZE, SIZE),
            mask=(image(SIZE, SIZE) > 0.9).astype(np.uint8),
            slice_index=k,
            mask_index=mask,
            metal=("titanium", "steel", "amalgam")[mask % 3],
            NMAR_CT=image(SIZE, SIZE) if nmar else None,
            ma_sinogram=sinogram(),
            LI_sinogram=sinogram(),
            metal_trace=(image(7, 9) > 0.5).astype(np.uint8) if sinograms else None,
        )
        for k in range(n_slices)
        for mask in range(n_masks)
    ]
    return slices, pairs


@pytest.fixture
def written(tmp_path: Path):
    slices, pairs = records()
    path = tmp_path / "train.h5"
    write_pairs(path, slices, pairs, "train", {"seed": 0})
    return path, slices, pairs


def test_reads_back_what_was_written(written):
    path, slices, pairs = written
    with PairFile(path) as file:
        assert (file.n_slices, file.n_pairs, file.image_size) == (2, 6, SIZE)
        assert (file.subset, file.provenance) == ("train", {"seed": 0})
        for index, record in enumerate(pairs):
            pair = file.read_pair(index)
            clean = slices[record.slice_index]
            for name in ("ma_CT", "LI_CT", "mask"):
                np.testing.assert_array_equal(getattr(pair, name), getattr(record, name))
            np.testing.assert_array_equal(pair.image, clean.image)
            assert (pair.patient, pair.slice_id, pair.pixel_mm) == (
                clean.patient,
                clean.slice_id,
                clean.pixel_mm,
            )
            assert (pair.slice_index, pair.mask_index) == (record.slice_index, record.mask_index)
            assert pair.metal_pixels == record.mask.sum()
            assert pair.metal == record.metal
            assert pair.NMAR_CT is None
        assert file.metal == ["titanium", "steel", "amalgam"] * 2


def test_nmar_is_read_where_it_is_asked_for(tmp_path: Path):
    slices, pairs = records(nmar=True)
    write_pairs(tmp_path / "test.h5", slices, pairs, "test", {})
    with PairFile(tmp_path / "test.h5") as file:
        assert file.has_nmar
        assert file.read_pair(3).NMAR_CT is None
        np.testing.assert_array_equal(file.read_pair(3, nmar=True).NMAR_CT, pairs[3].NMAR_CT)
        patch = file.read_patch(2, 10, 20, 30, nmar=True)
        np.testing.assert_array_equal(patch.NMAR_CT, pairs[2].NMAR_CT[10:40, 20:50])


def test_nmar_of_a_file_without_it_is_an_error(written):
    with PairFile(written[0]) as file:
        assert not file.has_nmar
        with pytest.raises(InputError, match=r"train\.h5: expected NMAR_CT, found none"):
            file.read_pair(0, nmar=True)


def test_layout_is_the_documented_one(tmp_path: Path):
    path = tmp_path / "pairs.h5"
    write_pairs(path, *records(sinograms=True), "test", {})
    with h5py.File(path) as file:
        shapes = {name: (dataset.shape, dataset.dtype.str) for name, dataset in file.items()}
        assert shapes["image"] == shapes["poly_CT"] == ((2, SIZE, SIZE), "<f4")
        assert shapes["ma_CT"] == shapes["LI_CT"] == ((6, SIZE, SIZE), "<f4")
        assert shapes["mask"] == ((6, SIZE, SIZE), "|u1")
        assert shapes["poly_sinogram"] == ((2, 7, 9), "<f4")
        assert shapes["ma_sinogram"] == shapes["LI_sinogram"] == ((6, 7, 9), "<f4")
        assert shapes["metal_trace"] == ((6, 7, 9), "|u1")
        assert file["metal"].asstr()[:3].tolist() == ["titanium", "steel", "amalgam"]
        assert shapes["pixel_mm"] == ((2,), "<f8")
        assert shapes["slice_index"] == shapes["mask_index"] == shapes["metal_pixels"] == ((6,), "<i8")
        assert file["image"].chunks == (1, 75, 75)
        assert file["image"].attrs["units"] == b"1/cm"
        assert (file.attrs["format"], file.attrs["format_version"]) == (b"ctmar-pairs", 1)


def test_patch_is_a_window_of_the_pair(written):
    path, _, pairs = written
    with PairFile(path) as file:
        patch = file.read_patch(4, row=60, column=5, size=40)
        whole = file.read_pair(4)
    for name in ("image", "ma_CT", "LI_CT", "mask"):
        np.testing.assert_array_equal(getattr(patch, name), getattr(whole, name)[60:100, 5:45])
    assert patch.metal_pixels == pairs[4].mask.sum()


def test_same_content_same_bytes(tmp_path: Path):
    digests = set()
    for name in ("a.h5", "b.h5"):
        write_pairs(tmp_path / name, *records(), "train", {"b": 1, "a": 2})
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def _sum_of_pair(file: PairFile, index: int, queue) -> None:
    queue.put((index, float(file.read_pair(index).ma_CT.sum())))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_open_file_reads_in_another_process(written, method: str):
    path, _, pairs = written
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with PairFile(path) as file:
        file.read_pair(0)
        workers = [context.Process(target=_sum_of_pair, args=(file, index, queue)) for index in (1, 5)]
        for worker in workers:
            worker.start()
        got = dict(queue.get(timeout=300) for _ in workers)
        for worker in workers:
            worker.join(timeout=300)
        assert got == {index: float(pairs[index].ma_CT.sum()) for index in (1, 5)}
        np.testing.assert_array_equal(file.read_pair(2).ma_CT, pairs[2].ma_CT)


def test_pickled_and_reopened_after_close(written):
    path, _, pairs = written
    file = PairFile(path)
    copy = pickle.loads(pickle.dumps(file))
    file.close()
    for reader in (file, copy):
        pair: Pair = reader.read_pair(3)
        np.testing.assert_array_equal(pair.LI_CT, pairs[3].LI_CT)
        reader.close()


def test_an_interrupted_file_never_appears(tmp_path: Path):
    slices, _ = records()

    def interrupted() -> None:
        with open_pair_writer(tmp_path / "x.h5", "train", {}) as writer:
            writer.write_slice(slices[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_one_line(written, tmp_path: Path):
    path, slices, pairs = written
    with pytest.raises(InputError, match=r"none.h5: pair file not found$"):
        PairFile(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match="not a readable HDF5 file") as caught:
        PairFile(tmp_path / "text.h5")
    assert "\n" not in str(caught.value)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other.attrs["format"] = np.bytes_("something")
    with pytest.raises(InputError, match=r"format \('ctmar-pairs', 1\), found \('something', None\)"):
        PairFile(tmp_path / "other.h5")
    with PairFile(path) as file:
        with pytest.raises(InputError, match="pair 6: expected an index from 0 to 5"):
            file.read_pair(6)
        with pytest.raises(InputError, match="leaves the image of 150 × 150 pixels"):
            file.read_patch(0, 120, 0, 64)
    with pytest.raises(InputError, match="pair of slice 0: expected a slice index below 0"):
        write_pairs(tmp_path / "a.h5", [], pairs, "train", {})
    small = SliceRecord(slices[0].image[:9, :9], slices[0].poly_CT, "p", "p/1/0000", 1.0)
    with pytest.raises(InputError, match=r"image of entry 2: expected shape \(150, 150\)"):
        write_pairs(tmp_path / "a.h5", [*slices, small], [], "train", {})
