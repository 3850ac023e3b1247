"""A disk that takes no more: one line with the name of the file, nothing half-written, and no crash.

A limit on the size of files stands for the full disk: the system refuses the same calls, and no test needs to be root.
"""

import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from ctmar.store.attempt_records import AttemptsFile, End
from ctmar.store.new_hdf5 import new_hdf5

LIMIT_BYTES = 65536
HEAD = """
import sys
from pathlib import Path
import numpy as np
from ctmar.store.atomic import atomic_path
target, noise = Path(sys.argv[1]), np.random.default_rng(0)
def refused():
    try:
        write()
    except OSError as error:
        print(error.filename)
"""
WRITERS = {
    "text": "def write():\n    with atomic_path(target) as path: path.write_text('a' * 10**6)",
    "npz": "def write():\n    with atomic_path(target.with_suffix('.npz')) as path: np.savez(path, noise.random(9999))",
    "torch": """
def write():
    import torch
    with atomic_path(target) as path, path.open("wb") as file: torch.save(torch.rand(10**5), file)
""",
    "parquet": """
def write():
    from ctmar.store.parquet import write_parquet
    write_parquet(target, ["a"], [{"a": float(value)} for value in noise.random(10**5)])
""",
    "pairs": """
def write():
    from ctmar.store.pair_writer import open_pair_writer
    from ctmar.store.pairs import PairRecord, SliceRecord
    image = noise.random((64, 64)).astype(np.float32)
    with open_pair_writer(target, "train", {}) as writer:
        for number in range(200):
            assert number < 20, "goes on though the disk is full"
            writer.write_slice(SliceRecord(image, image, "p", f"p/1/{number}", 1.0))
""",
    "slices": """
def write():
    from ctmar.store.slices import Slice, open_slice_writer
    with open_slice_writer(target, 64) as writer:
        for number in range(200):
            assert number < 20, "goes on though the disk is full"
            writer.append(Slice(noise.random((64, 64)).astype(np.float32), "p", "s", f"{number}", 1.0, 1.0))
""",
    "folder": """
def write():
    from ctmar.store.atomic import atomic_folder
    with atomic_folder(target) as folder: (folder / "page").write_text('a' * 10**6)
""",
    "fields": """
def write():
    from ctmar.store.benchmark import write_fields
    write_fields(target, {"image": noise.random((300, 300))}, {})
""",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_names_its_file_and_leaves_nothing(tmp_path: Path, writer: str):
    target = tmp_path / "whole.h5"
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}{WRITERS[writer]}\nrefused()", target],
        text=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(target.with_suffix(".npz") if writer == "npz" else target)
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_that_cannot_be_written_down_names_its_file(tmp_path: Path):
    path = AttemptsFile.beside(tmp_path / "a.sha256").path
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        AttemptsFile(path).append(End(attempt="1", outcome="finished", message="", seconds=1.0))
    assert caught.value.filename == str(path)


def test_a_new_file_holds_what_h5py_itself_would_write(tmp_path: Path):
    def fill(file: h5py.File) -> None:
        random = np.random.default_rng(0)
        growing = file.create_dataset("a", (0, 9), np.float32, maxshape=(None, 9), chunks=(1, 9), compression="gzip")
        for number in range(50):
            growing.resize(number + 1, axis=0)
            growing[number] = random.random(9)
        growing[3] = 0.0  # read, changed and written back
        file.create_dataset("names", data=["ü", "b"], dtype=h5py.string_dtype())
        file.attrs["text"] = "a" * 5000

    with new_hdf5(tmp_path / "ours.h5") as ours:
        fill(ours)
    with h5py.File(tmp_path / "theirs.h5", "w") as theirs:
        fill(theirs)
    with h5py.File(tmp_path / "ours.h5") as ours, h5py.File(tmp_path / "theirs.h5") as theirs:
        assert sorted(ours) == sorted(theirs)
        assert np.array_equal(ours["a"], theirs["a"])
        assert list(ours["names"]) == list(theirs["names"])
        assert dict(ours.attrs) == dict(theirs.attrs)
    assert (tmp_path / "ours.h5").stat().st_size < 1.5 * (tmp_path / "theirs.h5").stat().st_size
