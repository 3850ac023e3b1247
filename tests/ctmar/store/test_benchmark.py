"""Files in the benchmark's field names."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.store.benchmark import read_field, write_fields


def test_fields_come_back(tmp_path: Path):
    fields = {"ma_CT": np.random.default_rng(0).random((5, 5)), "metal_trace": np.eye(3, dtype=bool)}
    write_fields(tmp_path / "a.h5", fields, {"seed": 1})
    image, trace = (read_field(tmp_path / "a.h5", name) for name in fields)
    np.testing.assert_array_equal(image, fields["ma_CT"].astype(np.float32))
    assert (image.dtype, trace.dtype) == (np.float32, np.uint8)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["ma_CT"].attrs["units"] == b"1/cm"
        assert "units" not in file["metal_trace"].attrs
        assert file.attrs["provenance"] == b'{"seed": 1}'


def test_damage_is_one_line(tmp_path: Path):
    path = tmp_path / "a.h5"
    write_fields(path, {"image": np.random.default_rng(0).random((200, 200))}, {})
    with pytest.raises(InputError, match=r"a\.h5: expected a field 'mask' of its own, found image"):
        read_field(path, "mask")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"a\.h5: not a readable HDF5 file") as caught:
        read_field(path, "image")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"none\.h5: file not found"):
        read_field(tmp_path / "none.h5", "image")


@pytest.mark.parametrize("lead", ["link", "virtual", "raw"])
def test_a_field_in_another_file_is_not_followed(tmp_path: Path, lead: str):
    write_fields(tmp_path / "secret.h5", {"image": np.ones((4, 4))}, {})
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if lead == "link":
            file["image"] = h5py.ExternalLink("secret.h5", "/image")
        elif lead == "virtual":
            layout = h5py.VirtualLayout((4, 4), np.float32)
            layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "image", (4, 4))
            file.create_virtual_dataset("image", layout)
        else:
            file.create_dataset("image", (4, 4), np.float32, external=[(str(tmp_path / "secret.bin"), 0, 64)])
    with pytest.raises(InputError, match="of its own"):
        read_field(tmp_path / "a.h5", "image")
