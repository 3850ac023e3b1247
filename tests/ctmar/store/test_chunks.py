"""What is packed here is what HDF5 would have stored itself."""

import h5py
import numpy as np
import pytest

from ctmar.store.chunks import GZIP_LEVEL, pack_image


@pytest.mark.parametrize("kind", ["noise", "constant", "transposed", "double"])
def test_hdf5_reads_the_image_that_was_packed(tmp_path, kind):
    image = np.random.default_rng(0).normal(size=(24, 24)).astype(np.float32)
    image = {"noise": image, "constant": np.full_like(image, np.pi), "transposed": image.T, "double": image}[kind]
    packed = pack_image(image.astype(np.float64) if kind == "double" else image)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset(
            "image", (24, 24), "<f4", chunks=(24, 24), compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True
        )
        dataset.id.write_direct_chunk((0, 0), packed.data)
        assert np.array_equal(dataset[()], image)


def test_a_noisy_body_in_air_takes_no_more_room_than_what_hdf5_packs(tmp_path):
    y, x = np.mgrid[:128, :128] / 64 - 1
    noise = np.random.default_rng(0).normal(scale=0.002, size=x.shape)  # 10 HU
    image = np.where(x**2 + y**2 < 0.5, 0.192 + 0.01 * np.sin(9 * x) + noise, 0).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("image", data=image, chunks=(128, 128), compression="gzip", shuffle=True)
        assert len(pack_image(image).data) <= 1.02 * dataset.id.get_storage_size()
