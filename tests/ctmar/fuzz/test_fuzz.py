"""Damaged files of every format that is read: one line or a row, never a traceback, never 2 GB, never 20 s.

Every copy depends on a seed and its number alone; a copy that fails is written again by the same test.
"""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
import torch
import yaml
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless
from tests.ctmar.fuzz.mutations import copies, faults, garbled

from ctmar.config import Config, Ingest, Source, parse_settings
from ctmar.datasets.ingest import ingest
from ctmar.errors import InputError
from ctmar.models import build_network
from ctmar.models.published import load_weights
from ctmar.simulation.mask_files import read_masks
from ctmar.store.arrays import load_npy
from ctmar.store.benchmark import numeric_fields, read_field
from ctmar.store.pairs import PairFile
from ctmar.store.slices import Slice, open_slices, write_slices
from ctmar.store.tables import read_rows, write_rows

pytestmark = pytest.mark.slow

SMALL = Ingest(image_size=32, pixel_mm=4.0, minimum_rows=32)
DNCNN = {"fields": 1, "depth": 2, "group_order": 4}


def write_copies(folder: Path, content: bytes, n: int, suffix: str, seed: int, **how) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}-{number:03d}{suffix}" for number in range(n)]
    for path, copy in zip(paths, copies(content, n, seed, **how), strict=True):
        path.write_bytes(copy)
    return paths


def one_line(error: Exception) -> None:
    assert "\n" not in str(error), str(error)
    assert len(str(error)) < 3000


def read_folder(folder: Path) -> None:
    """Ingest: whatever the damaged files do, the good one is kept and every other has a row or its slices."""
    tables = folder.parent / f"{folder.name}-tables"
    tables.mkdir()
    settings, source = SMALL, Source(kind="dicom_dir", folder=folder)
    ingest(folder, tables / "s.h5", tables / "q.csv", tables / "c.csv", settings=settings, source=source)
    rows = read_rows(tables / "q.csv", ("file", "reason", "remedy"))
    assert all(row["reason"] and row["remedy"] for row in rows)
    with open_slices(tables / "s.h5") as slices:
        assert slices.n_slices >= 1
        assert all(np.isfinite(one.image).all() for one in slices)


def read_pair_file(path: Path) -> None:
    try:
        with PairFile(path) as file:
            for index in range(file.n_pairs):
                file.read_pair(index)
    except InputError as error:
        one_line(error)


def read_slice_file(path: Path) -> None:
    try:
        with open_slices(path) as file:
            list(file)
            file.read_masks()
    except InputError as error:
        one_line(error)


def read_benchmark_file(path: Path) -> None:
    try:
        for name in numeric_fields(path):
            read_field(path, name)
    except InputError as error:
        one_line(error)


def read_weights(path: Path) -> None:
    try:
        load_weights(build_network("dncnn", **DNCNN), path)
    except InputError as error:
        one_line(error)


def read_mask_file(path: Path) -> None:
    try:
        load_npy(path) if path.suffix == ".npy" else None
        read_masks(path)
    except InputError as error:
        one_line(error)


def read_configuration(path: Path) -> None:
    try:
        parse_settings(Config, f"@{path}").study.expand()
    except InputError as error:
        one_line(error)


def read_table(path: Path) -> None:
    try:
        read_rows(path, ("patient", "subset", "n_slices"))
    except InputError as error:
        one_line(error)


@pytest.fixture
def ct(write_ct: Callable[..., Path], tmp_path: Path) -> Path:
    return write_ct(tmp_path / "good.dcm")


def compressed(ct: Path, syntax: str) -> bytes:
    dataset = pydicom.dcmread(ct)
    dataset.compress(syntax)
    target = ct.with_suffix(".compressed.dcm")
    dataset.save_as(target)
    return target.read_bytes()


@pytest.mark.parametrize(("syntax", "n"), [(None, 100), (RLELossless, 40), (JPEG2000Lossless, 40)])
def test_dicom(ct: Path, tmp_path: Path, syntax: str | None, n: int):
    content = ct.read_bytes() if syntax is None else compressed(ct, syntax)
    folder = tmp_path / "in"
    write_copies(folder, content, n, ".dcm", seed=1)
    (folder / "good.dcm").write_bytes(ct.read_bytes())
    assert faults(read_folder, [folder]) == []


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_volumes(ct: Path, phantom: np.ndarray, tmp_path: Path, suffix: str):
    volume = np.repeat(phantom[:, :, None], 4, axis=2).astype(np.int16)
    path = tmp_path / f"volume{suffix}"
    if suffix == ".nrrd":
        directions = np.diag([4.0, 4.0, 5.0])
        nrrd.write(str(path), volume, {"space": "LPS", "space directions": directions, "space origin": [0, 0, 0]})
    else:
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([4.0, 4.0, 5.0, 1.0])), path)
    folder = tmp_path / "in"
    write_copies(folder, path.read_bytes(), 60, suffix, seed=2, header=400)
    (folder / "good.dcm").write_bytes(ct.read_bytes())
    assert faults(read_folder, [folder]) == []


def test_pair_files(write_pair_file, tmp_path: Path):
    content = write_pair_file(tmp_path / "pairs.h5", n_slices=1, n_masks=1).read_bytes()
    assert faults(read_pair_file, write_copies(tmp_path / "in", content, 120, ".h5", seed=3)) == []


def test_slice_files(phantom: np.ndarray, tmp_path: Path):
    write_slices(tmp_path / "s.h5", [Slice(np.ones((16, 16), np.float32), "p", "1", "p/1/0", 0.0, 1.0)])
    content = (tmp_path / "s.h5").read_bytes()
    assert faults(read_slice_file, write_copies(tmp_path / "in", content, 80, ".h5", seed=4)) == []


def test_benchmark_files(tmp_path: Path):
    with h5py.File(tmp_path / "gt.h5", "w") as file:
        file["image"] = np.ones((16, 16), np.float32)
    content = (tmp_path / "gt.h5").read_bytes()
    assert faults(read_benchmark_file, write_copies(tmp_path / "in", content, 60, ".h5", seed=5)) == []


def test_weights(tmp_path: Path):
    torch.save(build_network("dncnn", **DNCNN).state_dict(), tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    assert faults(read_weights, write_copies(tmp_path / "in", content, 80, ".pt", seed=6)) == []


@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_masks(tmp_path: Path, suffix: str):
    mask = np.eye(64, dtype=np.uint8)
    path = tmp_path / f"mask{suffix}"
    np.save(path, mask) if suffix == ".npy" else Image.fromarray(255 * mask).save(path)
    assert (
        faults(read_mask_file, write_copies(tmp_path / "in", path.read_bytes(), 40, suffix, seed=7, header=128)) == []
    )


def test_configurations(tmp_path: Path):
    study = {
        "source": {"kind": "dicom_dir", "folder": "ct"},
        "ingest": {"image_size": 64, "pixel_mm": 2.0},
        "split": {"fractions": {"train": 0.5, "validation": 0.25, "test": 0.25}},
        "training": {"epochs": 2, "betas": [0.9, 0.99]},
        "study": {
            "networks": {"small": {"architecture": "dncnn", "settings": {"fields": 1}}},
            "runs": [{"method": "plain"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": [1e-3]}],
        },
    }
    content = yaml.safe_dump(study).encode()
    paths = write_copies(tmp_path / "in", content, 150, ".yaml", seed=8, how=garbled)
    paths += write_copies(tmp_path / "in", json.dumps(study).encode(), 50, ".yaml", seed=9, how=garbled)
    assert faults(read_configuration, paths) == []


def test_tables(tmp_path: Path):
    rows = [{"patient": f"p-{k}", "subset": "train", "n_slices": k} for k in range(5)]
    write_rows(tmp_path / "t.csv", ("patient", "subset", "n_slices"), rows)
    content = (tmp_path / "t.csv").read_bytes()
    paths = write_copies(tmp_path / "in", content, 60, ".csv", seed=10, how=garbled)
    paths += write_copies(tmp_path / "in", content, 40, ".csv", seed=11)
    assert faults(read_table, paths) == []
