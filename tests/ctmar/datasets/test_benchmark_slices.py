"""The benchmark's own layout: slices as they are stored, patients grouped, masks on the grid of the images."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.config import Ingest, Source
from ctmar.datasets.benchmark_slices import PIXEL_MM, find_series
from ctmar.datasets.ingest import ingest
from ctmar.errors import InputError
from ctmar.simulation.plain_files import fit_mask
from ctmar.store.slices import open_slices, read_slices
from ctmar.store.tables import read_rows

SIZE = 48


def run(folder: Path, out: Path, size: int = SIZE, threads: int = 1):
    settings = Ingest(image_size=size)
    source = Source(kind="syndeeplesion", folder=folder)
    outputs = [out / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv")]
    return ingest(folder, *outputs, settings=settings, source=source, threads=threads)


def reasons(out: Path) -> list[str]:
    return sorted(row["reason"] for row in read_rows(out / "quarantine.csv", ["file", "reason", "remedy"]))


def store(path: Path, image: np.ndarray, **attributes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image, **attributes)


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    names = ("000001_01_01/010", "000001_01_01/002", "000001_02_01/001", "000002_01_01/001")
    return {name: random.uniform(0, 0.5, (SIZE, SIZE)).astype(np.float32) for name in names}


@pytest.fixture
def benchmark(tmp_path, images) -> Path:
    folder = tmp_path / "in"
    for name, image in images.items():
        store(folder / "train" / "train_640geo" / name / "gt.h5", image)
    (folder / "train" / "train_640geo_dir.txt").write_text("".join(f"{name}/gt.h5\n" for name in images))
    masks = np.zeros((64, 64, 2), np.uint8)
    masks[20:30, 20:40, 0] = masks[5:9, 50:60, 1] = 1
    np.save(folder / "train" / "trainmask.npy", masks)
    return folder


def append(benchmark: Path, *lines: str) -> None:
    with (benchmark / "train" / "train_640geo_dir.txt").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.mark.parametrize("threads", [1, 2])
def test_slices_are_read_as_they_are(benchmark, images, tmp_path, threads):
    summary = run(benchmark, tmp_path / "out", threads=threads)
    assert (summary.n_files, summary.n_patients, summary.n_series, summary.n_slices) == (4, 2, 3, 4)
    slices = read_slices(tmp_path / "out" / "slices.h5")
    order = ["000001_01_01/002", "000001_01_01/010", "000001_02_01/001", "000002_01_01/001"]
    for record, name in zip(slices, order, strict=True):
        assert np.array_equal(record.image, images[name])
        assert record.pixel_mm == PIXEL_MM
    one, other = slices[0].patient, slices[3].patient
    assert [record.slice_id for record in slices] == [
        f"{one}/1/0000", f"{one}/1/0001", f"{one}/2/0000", f"{other}/1/0000"
    ]  # fmt: skip
    assert one != other
    assert "000001" not in (tmp_path / "out" / "catalogue.csv").read_text()


def test_the_folder_of_a_subset_may_be_given_itself(benchmark, tmp_path):
    run(benchmark, tmp_path / "one")
    run(benchmark / "train", tmp_path / "two")
    left, right = (read_slices(tmp_path / out / "slices.h5") for out in ("one", "two"))
    assert [record.slice_id for record in left] == [record.slice_id for record in right]


def test_masks_come_along_on_the_grid_of_the_images(benchmark, tmp_path):
    run(benchmark, tmp_path / "out")
    with open_slices(tmp_path / "out" / "slices.h5") as slices:
        (masks,) = slices.read_masks().values()
    assert masks.shape == (2, SIZE, SIZE)
    assert masks.sum(axis=(1, 2)) == pytest.approx([200 * (SIZE / 64) ** 2, 40 * (SIZE / 64) ** 2], rel=0.1)


def test_what_cannot_be_used_is_quarantined(benchmark, images, tmp_path):
    root = benchmark / "train" / "train_640geo"
    image = next(iter(images.values()))
    store(root / "000003_01_01" / "001" / "gt.h5", image[1:])
    store(root / "000003_01_01" / "002" / "gt.h5", image + 9)
    store(root / "000003_01_01" / "003" / "gt.h5", image)
    truncated = root / "000003_01_01" / "003" / "gt.h5"
    truncated.write_bytes(truncated.read_bytes()[:-200])
    outside = tmp_path / "outside.h5"
    store(outside, image)
    for number, link in (("004", h5py.ExternalLink(str(outside), "image")), ("005", h5py.SoftLink("/nothing"))):
        (root / "000003_01_01" / number).mkdir()
        with h5py.File(root / "000003_01_01" / number / "gt.h5", "w") as file:
            file["image"] = link
    layout = h5py.VirtualLayout((SIZE, SIZE), np.float32)
    layout[:] = h5py.VirtualSource(str(outside), "image", (SIZE, SIZE))
    (root / "000003_01_01" / "006").mkdir()
    with h5py.File(root / "000003_01_01" / "006" / "gt.h5", "w") as file:
        file.create_virtual_dataset("image", layout)
    (root / "000003_01_01" / "007").mkdir()
    (root / "000003_01_01" / "007" / "gt.h5").symlink_to(outside)
    append(benchmark, *(f"000003_01_01/00{number}/gt.h5" for number in range(1, 9)), "../../outside.h5", "/etc/x/gt.h5")
    summary = run(benchmark, tmp_path / "out")
    assert (summary.n_slices, summary.n_quarantined) == (4, 10)
    assert reasons(tmp_path / "out") == [
        "image of 47 × 48, ingest.image_size is 48",
        "no field 'image' of its own",
        "no field 'image' of its own",
        "no field 'image' of its own",
        "not a readable HDF5 file",
        "the list names a path that leaves the folder",
        "the list names a path that leaves the folder",
        "the list names a path that leaves the folder",
        "the list names a slice that is not there",
        "values that are no attenuation from 0 to 5 1/cm",
    ]


def test_bad_folders_end_in_one_line(benchmark, tmp_path):
    with pytest.raises(InputError, match=r"expected a list such as train_640geo_dir\.txt"):
        find_series(tmp_path, SIZE)
    with pytest.raises(InputError, match=r"no slice passes quality control \(4 × image of 48 × 48, ingest.image_size"):
        run(benchmark, tmp_path / "out", size=416)
    np.save(benchmark / "train" / "trainmask.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"trainmask\.npy: not a readable \.npy file"):
        run(benchmark, tmp_path / "out")
    assert not (tmp_path / "out" / "slices.h5").exists()


def test_the_real_benchmark(shared, tmp_path):
    folder = shared / "syndeeplesion"
    summary = run(folder, tmp_path / "out", size=416)
    assert summary.n_files == 3
    assert summary.n_slices + summary.n_quarantined == 3
    assert summary.n_slices >= 2  # one of the copies of this sample is truncated
    with open_slices(tmp_path / "out" / "slices.h5") as slices:
        found = slices.read_slice(1)
        masks = slices.read_masks()["train"]
    with h5py.File(folder / "train" / "train_640geo" / "000195_02_02" / "202" / "gt.h5") as file:
        assert np.array_equal(found.image, file["image"][()])
    assert masks[0].sum() == 254  # the published size of mask 0 at 416 pixels
    stored = np.load(folder / "train" / "trainmask.npy")
    assert np.array_equal(masks[1], fit_mask(stored[:, :, 1], 416))
