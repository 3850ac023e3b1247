"""Files that lie: every way in which HDF5 can lead out of a file, or claim more than it holds, ends in one line."""

import ast
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import ctmar.store
from ctmar.errors import InputError
from ctmar.store import hdf5, parts
from ctmar.store.benchmark import numeric_fields, read_field
from ctmar.store.hdf5 import open_hdf5
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairFile, PairRecord, SliceRecord
from ctmar.store.slices import Slice, open_slice_writer, open_slices

SIZE = 8
SECRET = "secret text of another file"


def pair_file(path: Path) -> Path:
    draw = np.random.default_rng(0).random((4, SIZE, SIZE), dtype=np.float32)
    pair = PairRecord(draw[0], draw[1], (draw[2] > 0.5).astype(np.uint8), 0, 0, "steel")
    write_pairs(path, [SliceRecord(draw[3], draw[2], "p", "p/1/0001", 1.0)], [pair], "train", {})
    return path


def slice_file(path: Path) -> Path:
    with open_slice_writer(path, SIZE) as writer:
        writer.append(Slice(np.ones((SIZE, SIZE), np.float32), "p", "1", "p/1/0001", 0.0, 1.0))
        writer.write_masks("train", np.ones((2, SIZE, SIZE), np.uint8))
    return path


def read_pairs(path: Path) -> list[str]:
    with PairFile(path) as file:
        file.read_pair(0)
        return file.patient


def read_slices(path: Path) -> list[str]:
    with open_slices(path) as file:
        file.read_slice(0)
        file.read_masks()
        return file.patient


FORMATS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], list[str]]]] = {
    "pairs": (pair_file, read_pairs),
    "slices": (slice_file, read_slices),
}


def lead_away(file: h5py.File, name: str, how: str, folder: Path) -> None:
    """Replace a dataset by something of the same name that is not its own numbers."""
    old = file[name]
    shape, kind, is_text = old.shape, old.dtype, h5py.check_string_dtype(old.dtype) is not None
    del file[name]
    with h5py.File(folder / "secret.h5", "w") as secret:
        secret["x"] = np.full(shape, SECRET.encode()) if is_text else np.ones(shape, kind)
    (folder / "secret.bin").write_bytes(bytes(10_000))
    match how:
        case "external link":
            file[name] = h5py.ExternalLink(str(folder / "secret.h5"), "/x")
        case "soft link":
            file["elsewhere"] = np.full(shape, SECRET.encode()) if is_text else np.zeros(shape)
            file[name] = h5py.SoftLink("/elsewhere")
        case "virtual":
            layout = h5py.VirtualLayout(shape, np.float32)
            layout[:] = h5py.VirtualSource(folder / "secret.h5", "x", shape)
            file.create_virtual_dataset(name, layout)
        case "virtual in this file":
            layout = h5py.VirtualLayout(shape, np.float32)
            layout[:] = h5py.VirtualSource(".", "elsewhere", shape)
            file.create_virtual_dataset(name, layout)
        case "external storage":
            file.create_dataset(name, shape, np.float32, external=[(str(folder / "secret.bin"), 0, 10_000)])
        case "object reference":
            file.create_dataset(name, data=np.full(shape, file.ref, dtype=object), dtype=h5py.ref_dtype)
        case "region reference":
            file.create_dataset(name, shape, h5py.regionref_dtype)
        case "group":
            file.create_group(name)
        case "named type":
            file[name] = np.dtype("f4")
        case _:
            raise ValueError(how)


WAYS = (
    "external link",
    "soft link",
    "virtual",
    "virtual in this file",
    "external storage",
    "object reference",
    "region reference",
    "group",
    "named type",
)
PLACES = [
    *(("pairs", name) for name in ("patient", "slice_id", "metal", "image", "ma_CT", "mask", "slice_index")),
    *(("slices", name) for name in ("patient", "series", "slice_id", "image", "pixel_mm", "masks/train")),
]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_nothing_is_read_from_elsewhere(tmp_path: Path, kind: str, name: str, how: str):
    make, read = FORMATS[kind]
    path = make(tmp_path / "a.h5")
    assert read(path) == ["p"]
    with h5py.File(path, "a") as file:
        lead_away(file, name, how, tmp_path)
    with pytest.raises(InputError, match=r"a\.h5: ") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("how", ["external", "soft"])
def test_a_folder_of_masks_that_is_a_link(tmp_path: Path, how: str):
    path = slice_file(tmp_path / "a.h5")
    with h5py.File(path, "a") as file, h5py.File(slice_file(tmp_path / "b.h5"), "r"):
        del file["masks"]
        file["masks"] = h5py.ExternalLink("b.h5", "/masks") if how == "external" else h5py.SoftLink("/")
    with pytest.raises(InputError, match=r"expected a dataset 'masks' of its own"):
        read_slices(path)


def replaced(name: str, **creation: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **creation)

    return change


def without(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


LIES: dict[str, tuple[str, Callable[[h5py.File], object], str]] = {
    "no patients": ("pairs", without("patient"), "expected the dataset 'patient'"),
    "no image": ("pairs", without("image"), "expected the dataset 'image'"),
    "no material": ("pairs", without("metal"), "expected the dataset 'metal'"),
    "no series": ("slices", without("series"), "expected the dataset 'series'"),
    "one more": ("pairs", lambda file: file.create_dataset("x", data=1.0), "found 'x' as well"),
    "one more slice column": ("slices", lambda file: file.create_dataset("x", data=[1.0]), "found 'x' as well"),
    "numbers for texts": ("pairs", replaced("patient", data=[1.0]), "patient: expected text, found float64"),
    "texts for numbers": ("pairs", replaced("pixel_mm", data=["a"]), "pixel_mm: expected f8, found object"),
    "texts in a heap": ("pairs", replaced("patient", data=["a"]), "patient: expected text, found object"),
    "a heap for a format": ("pairs", lambda file: file.attrs.__setitem__("format", "ctmar-pairs"), "expected format"),
    "a heap for parts": ("pairs", lambda file: file.attrs.__setitem__("parts", "[]"), "'parts': expected a list"),
    "float16 image": ("pairs", replaced("image", data=np.ones((1, SIZE, SIZE), "f2")), "expected f4, found float16"),
    "big-endian is read": ("pairs", replaced("pixel_mm", data=np.ones(1, ">f8")), ""),
    "another size": ("pairs", replaced("mask", data=np.ones((1, 9, SIZE), "u1")), "expected 8 along side, found 9"),
    "too few": ("pairs", replaced("metal", shape=(0,), dtype="S4"), "along pairs, found"),
    "more images than labels": (
        "slices",
        replaced("image", data=np.ones((3, SIZE, SIZE), "f4")),
        "expected 1 along slices, found 3",
    ),
    "a flat image": ("pairs", replaced("image", data=np.ones(1, "f4")), "expected axes slices, side, side"),
    "an empty one": ("pairs", replaced("image", data=h5py.Empty("f4")), "expected axes slices, side, side"),
    "gigabytes of labels": (
        "pairs",
        replaced("patient", shape=(2**40,), dtype="S4", chunks=(1,), maxshape=(None,)),
        "expected at most 10000000 along slices",
    ),
    "gigabytes of image": (
        "pairs",
        replaced("image", shape=(1, 2**20, 2**20), dtype="f4", chunks=(1, 8, 8)),
        "expected at most 4096 along side",
    ),
    "an entry of gigabytes": (
        "slices",
        replaced("image", shape=(1, SIZE, SIZE), maxshape=(None, None, None), dtype="f4", chunks=(64, SIZE, SIZE)),
        "expected chunks of one entry",
    ),
    "a slice that is not there": ("pairs", replaced("slice_index", data=np.array([7])), "expected numbers from 0 to 0"),
    "a slice before the first": ("pairs", replaced("slice_index", data=np.array([-1])), "expected numbers from 0 to 0"),
    "not UTF-8": (
        "pairs",
        replaced("patient", data=np.array([b"\xff\xfe"], h5py.string_dtype("utf-8", 2))),
        "/patient: damaged",
    ),
    "no provenance": ("pairs", lambda file: file.attrs.__delitem__("provenance"), "attribute 'provenance': expected"),
    "a list for provenance": (
        "slices",
        lambda file: file.attrs.__setitem__("provenance", np.bytes_("[1]")),
        "attribute 'provenance': expected a JSON object",
    ),
    "a reference for a format": ("pairs", lambda file: file.attrs.__setitem__("format", file.ref), "expected format"),
    "another version": ("slices", lambda file: file.attrs.__setitem__("format_version", 2), "expected format"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_does_not_have_its_layout(tmp_path: Path, lie: str):
    kind, change, message = LIES[lie]
    make, read = FORMATS[kind]
    path = make(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        change(file)
    if not message:
        assert read(path) == ["p"]
        return
    with pytest.raises(InputError, match=r"a\.h5: ") as caught:
        read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", [way for way in WAYS if way != "group"])
def test_a_field_of_the_benchmark_that_leads_elsewhere(tmp_path: Path, how: str):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.ones((4, 4), np.float32)
        lead_away(file, "image", how, tmp_path)
    with pytest.raises(InputError, match="of its own"):
        read_field(tmp_path / "a.h5", "image")
    assert "image" not in numeric_fields(tmp_path / "a.h5")


def test_a_linked_group_on_the_way_is_not_followed(tmp_path: Path):
    slice_file(tmp_path / "b.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["masks"] = h5py.ExternalLink("b.h5", "/masks")
    with pytest.raises(InputError, match="expected a field 'masks/train' of its own"):
        read_field(tmp_path / "a.h5", "masks/train")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "may not read the file: give read permission"),
        (OSError("Unable to open file (unable to lock file, errno = 37, error message = 'No locks')"), "FILE_LOCKING"),
        (OSError("Unable to lock file, errno = 77, error message = 'File descriptor in bad state'"), "FILE_LOCKING"),
        (OSError("unable to lock file, errno = 11, error message = 'Resource unavailable'"), "another process"),
        (OSError(24, "Too many open files"), "too many files are open: raise the limit"),
        (OSError("truncated file: eof = 96"), "not a readable HDF5 file (truncated file: eof = 96)"),
    ],
)
def test_why_a_file_does_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str):
    def refuse(*_: object) -> None:
        raise error

    path = pair_file(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5.h5py, "File", refuse)
    with pytest.raises(InputError, match=r"a\.h5: ") as caught:
        PairFile(path)
    assert message in str(caught.value)


def test_a_file_that_another_process_writes_is_told(tmp_path: Path):
    path = pair_file(tmp_path / "a.h5")
    hold = "import h5py, sys; file = h5py.File(sys.argv[1], 'a'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process may be writing it"):
            PairFile(path)
        writer.kill()
    assert read_pairs(path) == ["p"]  # a file that a crash left open is read again


@pytest.mark.parametrize("name", hdf5.REDIRECTIONS)
def test_an_environment_that_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(InputError, match=f"expected the variable {name} unset"):
        open_hdf5(pair_file(tmp_path / "a.h5"))


def test_more_parts_than_files_may_be_open(monkeypatch: pytest.MonkeyPatch):
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    parts.allow_open_parts(100, Path("a.h5"))
    assert limits == []
    parts.allow_open_parts(600, Path("a.h5"))
    assert limits == [(600 + parts.OTHER_FILES, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(InputError, match=r"a\.h5 has 600 parts, but a process may open 256 files here"):
        parts.allow_open_parts(600, Path("a.h5"))


def test_no_other_module_opens_a_file_for_reading():
    """`h5py.File` stands in `open_hdf5`, and elsewhere only to write."""
    for path in Path(ctmar.store.__file__).parent.glob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "h5py.File" and path.name != "hdf5.py":
                assert ast.unparse(call.args[1]) == "'w'", f"{path.name}: {ast.unparse(call)}"


def test_parts_are_named_in_one_way_only(tmp_path: Path):
    path = pair_file(tmp_path / "a.h5")
    pair_file(tmp_path / "0.h5")
    for name in ("./0.h5", "x/../0.h5", str(tmp_path / "0.h5"), "0.h5/", ""):
        with h5py.File(path, "a") as file:
            part = {"file": name, "bytes": (tmp_path / "0.h5").stat().st_size, "sha256": ""}
            file.attrs["parts"] = np.bytes_(json.dumps([part]))
        with pytest.raises(InputError, match=r"expected parts in its own folder|is missing"):
            PairFile(path)


def test_a_full_disk_of_another_file_is_no_damage_of_this_one(tmp_path: Path):
    full = OSError(28, "No space left on device", str(tmp_path / "pairs.h5"))
    with (
        pytest.raises(OSError, match=r"No space left on device: .*pairs\.h5"),
        hdf5.damage_told(tmp_path / "slices.h5"),
    ):
        raise full
    with pytest.raises(InputError, match=r"slices\.h5: damaged"), hdf5.damage_told(tmp_path / "slices.h5"):
        raise OSError("Can't read data")
