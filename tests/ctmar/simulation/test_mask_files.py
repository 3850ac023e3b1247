"""Masks in every kind of file say the same, stacks are taken apart, and nothing in a file is trusted."""

import pickle
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from scipy.io import savemat
from skimage.io import imsave

from ctmar.errors import InputError
from ctmar.simulation.given_masks import GivenMasks, read_mask_folder
from ctmar.simulation.mask_files import read_masks
from ctmar.simulation.plain_files import read_mask

SIZE, N = 40, 3


@pytest.fixture
def stack() -> np.ndarray:
    """Three masks in displayed orientation, none of them symmetric."""
    masks = np.zeros((N, SIZE, SIZE), np.uint8)
    for k in range(N):
        masks[k, 4 + k : 9, 20:37] = 1
    return masks


def write_nifti(path: Path, displayed: np.ndarray, codes: str = "RAS") -> Path:
    """Store (n, rows, columns), or (rows, columns), with voxel axes along ``codes``."""
    voxels = displayed.T[..., None] if displayed.ndim == 2 else displayed.transpose(2, 1, 0)
    image = nibabel.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(codes)
    )
    image = image.as_reoriented(turn)
    if displayed.ndim == 2:
        image = nibabel.Nifti1Image(np.asarray(image.dataobj)[:, :, 0], image.affine)
    nibabel.save(image, path)
    return path


def write_mat73(path: Path, **arrays: np.ndarray) -> Path:
    """Store arrays as MATLAB 7.3 does: HDF5 behind a head of 512 bytes, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))
    return path


def test_one_mask_in_every_kind_of_file(stack: np.ndarray, tmp_path: Path):
    mask = stack[0]
    np.save(tmp_path / "m.npy", mask)
    imsave(tmp_path / "m.png", mask * 255, check_contrast=False)
    savemat(tmp_path / "m.mat", {"mask": mask.astype(bool), "name": "a text", "scale": 3.0}, do_compression=True)
    write_mat73(tmp_path / "m73.mat", mask=mask, scale=np.ones((1, 1)))
    for codes in ("RAS", "LPS", "LAI"):
        write_nifti(tmp_path / f"{codes}.nii.gz", mask, codes)
        write_nifti(tmp_path / f"{codes}3.nii", mask[None], codes)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    for path in files:
        np.testing.assert_array_equal(read_mask(path), mask, err_msg=path.name)


def test_stacks_in_every_kind_of_file(stack: np.ndarray, tmp_path: Path):
    last = np.moveaxis(stack, 0, 2)
    np.save(tmp_path / "first.npy", stack)
    np.save(tmp_path / "last.npy", last)  # as the benchmark's trainmask.npy
    savemat(tmp_path / "last.mat", {"masks": last.astype(float)})
    savemat(tmp_path / "first.mat", {"masks": stack})
    write_mat73(tmp_path / "v73.mat", masks=last)
    write_nifti(tmp_path / "m.nii.gz", stack)
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_masks(path), stack, err_msg=path.name)
        np.testing.assert_array_equal(read_mask(path, 2), stack[2])
        with pytest.raises(InputError, match="holds 3 masks: choose one from 0 to 2"):
            read_mask(path)
        with pytest.raises(InputError, match="mask index: expected 0 to 2, found 3"):
            read_mask(path, 3)


def test_the_benchmarks_own_masks(shared: Path):
    path = shared / "syndeeplesion" / "train" / "trainmask.npy"
    stored = np.load(path)
    masks = read_masks(path)
    assert masks.shape == (stored.shape[2], 512, 512)
    for k, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, stored[:, :, k] != 0)


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_masks(path)
    assert "\n" not in str(caught.value)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([Bomb(tmp_path / "hit")], dtype=object), allow_pickle=True)
    assert_refused(tmp_path / "a.npy", r"a\.npy: not a readable \.npy file")
    (tmp_path / "b.mat").write_bytes(pickle.dumps(Bomb(tmp_path / "hit")))
    assert_refused(tmp_path / "b.mat", r"b\.mat: not a readable MATLAB file")
    assert not (tmp_path / "hit").exists()


def test_what_is_no_array_of_numbers_in_mat_is_left_alone(stack: np.ndarray, tmp_path: Path):
    savemat(tmp_path / "a.mat", {"cells": np.array([stack[0], "x"], dtype=object), "record": {"m": stack[0]}})
    assert_refused(tmp_path / "a.mat", r"a\.mat: expected one array of numbers, found none")
    savemat(tmp_path / "b.mat", {"one": stack[0], "two": stack[1]})
    assert_refused(tmp_path / "b.mat", "found one, two")
    write_nifti(tmp_path / "elsewhere.nii", stack[0])
    with h5py.File(tmp_path / "c.mat", "w", userblock_size=512) as file:
        file["mask"] = h5py.ExternalLink(str(tmp_path / "v.h5"), "/mask")
    assert_refused(tmp_path / "c.mat", "found none")


def test_damaged_and_impossible_files_are_one_line(stack: np.ndarray, tmp_path: Path):
    savemat(tmp_path / "cut.mat", {"mask": np.random.default_rng(0).random((90, 90))}, do_compression=True)
    (tmp_path / "cut.mat").write_bytes((tmp_path / "cut.mat").read_bytes()[:400])
    assert_refused(tmp_path / "cut.mat", r"cut\.mat: not a readable MATLAB file")
    (tmp_path / "text.nii").write_text("no image")
    assert_refused(tmp_path / "text.nii", r"text\.nii: not a NIfTI file")
    np.save(tmp_path / "cube.npy", np.ones((8, 8, 8)))
    assert_refused(tmp_path / "cube.npy", r"along the first or last of three, found shape \(8, 8, 8\)")
    np.save(tmp_path / "brick.npy", np.ones((8, 9, 10)))
    assert_refused(tmp_path / "brick.npy", r"found shape \(8, 9, 10\)")
    np.save(tmp_path / "four.npy", np.ones((8, 8, 2, 2)))
    assert_refused(tmp_path / "four.npy", r"found shape \(8, 8, 2, 2\)")
    imsave(tmp_path / "colour.png", np.zeros((8, 8, 3), np.uint8), check_contrast=False)
    assert_refused(tmp_path / "colour.png", "shades of grey, found shape")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2)), np.eye(4)), tmp_path / "four.nii")
    assert_refused(tmp_path / "four.nii", r"two or three dimensions, found \(4, 4, 4, 2\)")
    image = nibabel.load(write_nifti(tmp_path / "nowhere.nii", stack))
    header = image.header.copy()
    header["qform_code"] = header["sform_code"] = 0
    with (tmp_path / "nowhere.nii").open("r+b") as file:
        header.write_to(file)
    assert_refused(tmp_path / "nowhere.nii", "no orientation: qform and sform codes are 0")
    nan = stack.astype(np.float32)
    nan[0, 0, 0] = np.nan
    write_nifti(tmp_path / "nan.nii", nan)
    assert_refused(tmp_path / "nan.nii", "found NaN or infinity")
    assert_refused(tmp_path / "none.mat", r"none\.mat: file not found")


def test_a_folder_is_read_by_name_on_one_grid(stack: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "b.npy", stack)
    coarse = np.zeros((512, 512), np.uint8)
    coarse[100:200, 100:200] = 1
    imsave(tmp_path / "a.PNG", coarse * 255, check_contrast=False)
    (tmp_path / "notes.txt").write_text("no mask")
    masks = read_mask_folder(tmp_path, SIZE)
    assert masks.shape == (4, SIZE, SIZE)
    np.testing.assert_array_equal(masks[1:], stack)
    assert masks[0].sum() == pytest.approx((100 * SIZE / 512) ** 2, rel=0.1)
    np.save(tmp_path / "c.npy", np.zeros((SIZE, SIZE)))
    with pytest.raises(InputError, match=r"c\.npy: mask 0: mask: expected at least one metal pixel"):
        read_mask_folder(tmp_path, SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected masks in \.png, .* found none"):
        read_mask_folder(tmp_path / "empty", SIZE)
    with pytest.raises(InputError, match="folder of masks not found"):
        read_mask_folder(tmp_path / "none", SIZE)


def test_each_slice_draws_its_own_masks_without_replacement():
    masks = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((20, 2, 2), np.uint8)
    given = GivenMasks(masks, 6, seed=3)
    numbers = {name: [number for number, _ in given.of_slice(name)] for name in "abcdefgh"}
    for name, chosen in numbers.items():
        assert len(set(chosen)) == 6
        assert chosen == sorted(chosen)
        assert [int(mask[0, 0]) for _, mask in given.of_slice(name)] == chosen
    assert len({tuple(chosen) for chosen in numbers.values()}) == len(numbers)
    assert len({number for chosen in numbers.values() for number in chosen}) > 15
    everything = GivenMasks(masks, 20, seed=3).of_slice("a")
    assert [number for number, _ in everything] == list(range(20))
    assert GivenMasks(None, 3, seed=3).of_slice("a") == [(0, None), (1, None), (2, None)]
