"""One image and one mask from plain files."""

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from skimage.io import imsave

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.files import simulate_files
from ctmar.simulation.plain_files import fit_mask, read_image, read_mask, resize_mask

FIELDS = {"image", "poly_CT", "poly_sinogram", "ma_CT", "LI_CT", "ma_sinogram", "LI_sinogram", "metal_trace"}


@pytest.fixture
def files(body, tmp_path: Path) -> Path:
    """Write gt.h5, image.npy, mask.npy, mask.png and a mask of 512 × 512 pixels."""
    mask = np.zeros((128, 128), np.uint8)
    mask[78:84, 56:60] = 1
    with h5py.File(tmp_path / "gt.h5", "w") as file:
        file["image"] = body
    np.save(tmp_path / "image.npy", body)
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "mask512.npy", np.kron(mask, np.ones((4, 4), np.uint8)))
    imsave(tmp_path / "mask.png", mask * 255, check_contrast=False)
    return tmp_path


def test_output_has_the_fields_of_the_benchmark(files: Path, body):
    simulate_files(files / "gt.h5", files / "mask.npy", files / "pair.h5", seed=1)
    with h5py.File(files / "pair.h5") as pair:
        assert set(pair) == FIELDS
        assert {pair[name].shape for name in FIELDS if "CT" in name or name == "image"} == {(128, 128)}
        assert {pair[name].shape for name in FIELDS if "sino" in name or "trace" in name} == {(196, 197)}
        assert pair["metal_trace"].dtype == np.uint8
        assert pair["ma_CT"].dtype == np.float32
        np.testing.assert_array_equal(pair["image"], body)
        assert b'"seed": 1' in pair.attrs["provenance"]


def test_all_kinds_of_files_say_the_same(files: Path):
    contents = set()
    for image, mask in (("gt.h5", "mask.npy"), ("image.npy", "mask.png"), ("gt.h5", "mask512.npy")):
        simulate_files(files / image, files / mask, files / "pair.h5")
        with h5py.File(files / "pair.h5") as pair:
            contents.add(b"".join(pair[name][()].tobytes() for name in sorted(FIELDS)))
    assert len(contents) == 1


def test_same_seed_same_bytes(files: Path):
    digests = []
    for name, seed, threads in (("a.h5", 0, 1), ("b.h5", 0, 2), ("c.h5", 1, 1)):
        simulate_files(files / "gt.h5", files / "mask.npy", files / name, seed=seed, threads=threads)
        digests.append(hashlib.sha256((files / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_masks_are_resized_like_pillow_does():
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for density in (0.1, 0.5):
        coarse = (random.random((64, 64)) < density).astype(np.uint8)
        mask = np.kron(coarse, np.ones((8, 8), np.uint8))
        expected = np.array(image.fromarray(mask).resize((416, 416), image.Resampling.BILINEAR))
        np.testing.assert_array_equal(resize_mask(mask, 416), expected)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("shape.npy", np.zeros((128, 100)), r"mask: expected 128 × 128 pixels like the image, or 512 × 512, found"),
        (
            "stack.npy",
            np.zeros((512, 512, 2)),
            r"stack.npy: holds 2 masks: choose one from 0 to 1 by its mask index",
        ),
        ("empty.npy", np.zeros((128, 128)), "mask: expected at least one metal pixel"),
        ("nan.npy", np.full((128, 128), np.nan), "nan.npy: expected finite numbers in the mask"),
        ("text.npy", np.full((128, 128), "x"), "text.npy: expected a mask of two dimensions"),
    ],
)
def test_bad_masks_are_one_line(files: Path, name: str, array, message: str):
    np.save(files / name, array)
    with pytest.raises(InputError, match=message) as caught:
        simulate_files(files / "gt.h5", files / name, files / "pair.h5")
    assert "\n" not in str(caught.value)
    assert not (files / "pair.h5").exists()


def test_a_mask_lost_between_the_grids_is_empty():
    speck = np.zeros((512, 512), np.uint8)
    speck[10, 10] = 1
    with pytest.raises(InputError, match="at least one metal pixel"):
        fit_mask(speck, 128)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("hu.npy", np.full((64, 64), -1000.0), "expected linear attenuation from 0 to 5 1/cm"),
        ("wide.npy", np.zeros((64, 65)), "expected a square image of numbers, found shape"),
        ("nan.npy", np.full((64, 64), np.nan), "expected linear attenuation"),
    ],
)
def test_bad_images_are_one_line(tmp_path: Path, name: str, array, message: str):
    np.save(tmp_path / name, array)
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / name)


def test_unreadable_files_are_one_line(files: Path):
    with h5py.File(files / "other.h5", "w") as file:
        file["mu"] = np.zeros((4, 4))
    (files / "text.npy").write_text("no array")
    (files / "text.png").write_text("no image")
    np.save(files / "object.npy", np.array([{}]), allow_pickle=True)
    for read, name, message in (
        (read_image, "other.h5", "expected a field 'image' of its own, found mu"),
        (read_image, "none.h5", "none.h5: file not found"),
        (read_image, "text.npy", "text.npy: not a readable .npy file"),
        (read_mask, "object.npy", "object.npy: not a readable .npy file"),
        (read_mask, "text.png", "text.png: not a PNG file"),
        (read_mask, "none.png", "none.png: file not found"),
        (read_mask, "mask.tif", "expected a mask in .png, .npy, .nii, .nii.gz, .mat, found '.tif'"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            read(files / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "toy"}, "'preset': Input should be 'benchmark' or 'physical', found 'toy'"),
        ({"seed": -1}, "'seed'"),
        ({"preset": "physical"}, "expected the pixel size from 0.05 to 50 mm, found None"),
        ({"preset": "physical", "pixel_mm": 0.0}, "found 0.0"),
        ({"preset": "physical", "pixel_mm": 1e9}, "from 0.05 to 50 mm, found 1000000000.0"),
        ({"preset": "benchmark", "pixel_mm": 0.8}, "pixel_mm: expected none with preset 'benchmark', .* found 0.8"),
    ],
)
def test_bad_settings_are_one_line(files: Path, arguments, message: str):
    with pytest.raises(InputError, match=message) as caught:
        simulate_files(files / "gt.h5", files / "mask.npy", files / "pair.h5", **arguments)
    assert "\n" not in str(caught.value)


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(files: Path):
    (files / "file").touch()
    for output, message in (
        (files, "expected a file to write, found a folder"),
        (files / "file" / "pair.h5", "expected a folder at .*, found a file"),
    ):
        with pytest.raises(InputError, match=message):
            simulate_files(files / "none.h5", files / "none.npy", output)


def test_an_empty_mask_is_named(files: Path):
    np.save(files / "empty.npy", np.zeros((512, 512), np.uint8))
    with pytest.raises(InputError, match=r"empty\.npy: mask: expected at least one metal pixel"):
        simulate_files(files / "gt.h5", files / "empty.npy", files / "pair.h5")


def test_shapes_that_are_empty_or_larger_than_any_memory(tmp_path: Path):
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["image"] = np.zeros((0, 0))
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("image", (400_000, 400_000), "f4", chunks=True)
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**9)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    for read, name, message in (
        (read_image, "empty.h5", r"expected a square image of numbers, found shape \(0, 0\)"),
        (read_image, "huge.h5", r"image: expected at most \d+ bytes, found shape \(400000, 400000\)"),
        (read_mask, "huge.npy", r"huge\.npy: not a readable \.npy file"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)


def test_a_mask_of_a_stack_is_chosen_by_its_index(files: Path):
    mask = np.load(files / "mask.npy")
    np.save(files / "stack.npy", np.stack([np.roll(mask, 9), mask], axis=2))
    simulate_files(files / "gt.h5", files / "mask.npy", files / "one.h5")
    simulate_files(files / "gt.h5", files / "stack.npy", files / "two.h5", mask_index=1)
    with h5py.File(files / "one.h5") as one, h5py.File(files / "two.h5") as two:
        np.testing.assert_array_equal(one["ma_CT"][()], two["ma_CT"][()])


def test_of_several_materials_one_is_drawn_by_the_seed(files: Path):
    drawn = set()
    for seed in range(8):
        settings = Simulation(metal=["steel", "amalgam"])
        simulate_files(files / "gt.h5", files / "mask.npy", files / "pair.h5", seed=seed, settings=settings)
        with h5py.File(files / "pair.h5") as pair:
            drawn.add(json.loads(pair.attrs["provenance"])["metal"])
    assert drawn == {"steel", "amalgam"}
