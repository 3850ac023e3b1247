import h5py
import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.store.slices import Slice, open_slice_writer, open_slices, read_slices, write_slices


def a_slice(number: int, size: int = 8) -> Slice:
    image = np.random.default_rng(number).random((size, size), dtype=np.float32)
    return Slice(image, "Größe", "1", f"Größe/1/{number:04d}", 5.0 * number, 0.75)


def test_what_is_written_is_read(tmp_path):
    records = [a_slice(0), a_slice(1), a_slice(2)]
    write_slices(tmp_path / "s.h5", records, '{"a": 1}')
    found = read_slices(tmp_path / "s.h5")
    for record, back in zip(records, found, strict=True):
        assert np.array_equal(record.image, back.image)
        assert (record.patient, record.slice_id) == (back.patient, back.slice_id)
        assert (record.position_mm, record.pixel_mm) == (back.position_mm, back.pixel_mm)
    with open_slices(tmp_path / "s.h5") as slices:
        assert (slices.n_slices, slices.image_size, slices.provenance) == (3, 8, {"a": 1})


def test_the_layout_that_other_programs_rely_on(tmp_path):
    write_slices(tmp_path / "s.h5", [a_slice(0)])
    with h5py.File(tmp_path / "s.h5") as file:
        assert dict(file.attrs) == {"format": b"ctmar-slices", "format_version": 1, "provenance": b"{}"}
        image = file["image"]
        assert (image.dtype, image.chunks, image.compression, image.shuffle) == (np.float32, (1, 8, 8), "gzip", True)
        assert image.attrs["units"] == b"1/cm"
        assert file["pixel_mm"].dtype == file["position_mm"].dtype == np.float64
        assert file["patient"].asstr()[0] == "Größe"


def test_same_slices_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_slices(tmp_path / name, [a_slice(0), a_slice(1)])
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_an_interrupted_writer_leaves_nothing(tmp_path):
    def interrupted():
        with open_slice_writer(tmp_path / "s.h5", 8) as writer:
            writer.append(a_slice(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected an image of shape \(4, 4\), found \(8, 8\)"):
        write_slices(tmp_path / "s.h5", [a_slice(0, size=4), a_slice(1, size=8)])


@pytest.mark.parametrize("content", [None, b"not HDF5"])
def test_what_is_no_slice_file_ends_in_one_line(tmp_path, content):
    path = tmp_path / "s.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"s\.h5: [^\n]+$"), open_slices(path):
        pass


def test_another_format_is_named(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.attrs["format"] = np.bytes_("ctmar-pairs")
    with pytest.raises(InputError, match=r"found \('ctmar-pairs', None\)"), open_slices(tmp_path / "s.h5"):
        pass


def test_an_index_beyond_the_end(tmp_path):
    write_slices(tmp_path / "s.h5", [a_slice(0)])
    with open_slices(tmp_path / "s.h5") as slices, pytest.raises(IndexError, match="0 to 0, found 1"):
        slices.read_slice(1)


def test_masks_lie_beside_the_slices(tmp_path):
    masks = np.random.default_rng(0).integers(0, 2, (3, 8, 8), dtype=np.uint8)
    with open_slice_writer(tmp_path / "s.h5", 8) as writer:
        writer.append(a_slice(0))
        writer.write_masks("train", masks)
        with pytest.raises(ValueError, match=r"masks of shape \(8, 8\), found \(4, 8\)"):
            writer.write_masks("test", masks[:, :4])
    with open_slices(tmp_path / "s.h5") as slices:
        found = slices.read_masks()
    assert list(found) == ["train"]
    assert np.array_equal(found["train"], masks)
    write_slices(tmp_path / "t.h5", [a_slice(0)])
    with open_slices(tmp_path / "t.h5") as slices:
        assert slices.read_masks() == {}
