"""Whatever one file does, the others are ingested, the file has a row, and the table exists even after a failure."""

import os
import socket
import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ctmar.config import Ingest
from ctmar.datasets import bounds, sources
from ctmar.datasets.bounds import displayed_in_order
from ctmar.datasets.ingest import ingest
from ctmar.datasets.parallel import ordered_map
from ctmar.datasets.quality import Limits
from ctmar.datasets.sources import find_file
from ctmar.datasets.worker import Recipe, Task, lost_task, read_task, split_task
from ctmar.errors import InputError
from ctmar.store.quarantine import Refused
from ctmar.store.tables import read_rows

SECONDS_IN_WORKERS = 0.5
SMALL = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32)
NO_FILE = "no regular file: a link to a folder, a locked folder, a pipe or a device"
NO_DICOM = "not a DICOM file: no preamble with 'DICM'"


def run(folder: Path, out: Path, settings: Ingest = SMALL):
    outputs = [out / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv", "thumbnails.npz")]
    return ingest(folder, *outputs, settings=settings)


def rows(out: Path) -> dict[str, str]:
    return {row["file"]: row["reason"] for row in read_rows(out / "quarantine.csv", ["file", "reason", "remedy"])}


@pytest.fixture
def series(write_ct, tmp_path) -> Path:
    for number in range(4):
        write_ct(tmp_path / "in" / f"{number}.dcm", number)
    return tmp_path / "in"


def test_names_that_are_no_utf_8(series, tmp_path):
    name = os.fsdecode(b"M\xfcller.txt")
    (series / name).write_text("not CT")
    with tarfile.open(series / "more.tar", "w") as archive:
        archive.add(series / name, name)
    assert run(series, tmp_path / "out").n_slices == 4
    found = rows(tmp_path / "out")
    assert sorted(found.values()) == [NO_DICOM, NO_DICOM]
    assert {find_file(series, file, SMALL).name for file in found} == {name}


def test_what_is_no_file(series, tmp_path, monkeypatch):
    (series / "loop").symlink_to("loop")
    (series / "a.zip").symlink_to("b.zip")
    (series / "b.zip").symlink_to("a.zip")
    (series / "nowhere").symlink_to(tmp_path / "in" / "gone")
    os.mkfifo(series / "pipe.dcm")
    (series / "zero").symlink_to("/dev/zero")
    monkeypatch.chdir(series)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert run(series, tmp_path / "out").n_slices == 4
    assert sorted(rows(tmp_path / "out").values()) == ["a link that leaves the folder", *[NO_FILE] * 6]


def test_folders_nested_deeper_than_the_stack(series, tmp_path):
    nested = [series / "/".join("d" * depth) for depth in range(1, 1201)]
    for folder in nested:
        folder.mkdir()
    try:
        assert run(series, tmp_path / "out").n_slices == 4
    finally:  # pytest cannot clean up what is nested that deep
        for folder in reversed(nested):
            folder.rmdir()


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (["1e308", "1e308"], "rows are 1e+308 mm apart, not 0.1 to 5 mm"),
        ([500, 0.0005], "rows are 500 mm apart, not 0.1 to 5 mm"),
        ([0.098, 0.098], "rows are 0.098 mm apart, not 0.1 to 5 mm"),
        ([20, 20], "rows are 20 mm apart, not 0.1 to 5 mm"),
        ([976, 976], "rows are 976 mm apart, not 0.1 to 5 mm"),
        ([1e-6, 1e-6], "rows are 1e-06 mm apart, not 0.1 to 5 mm"),
        ([1, 0.02], "columns are 0.02 mm apart, not 0.1 to 5 mm"),
        ([0.5, 0.5], "a field of view of 3.2 cm, not 5 to 100 cm"),
    ],
)
def test_implausible_extents(series, write_ct, tmp_path, spacing, expected):
    write_ct(series / "odd.dcm", 9, PixelSpacing=spacing)
    assert run(series, tmp_path / "out").n_slices == 4
    assert list(rows(tmp_path / "out").values()) == [expected]


def test_a_field_of_view_of_metres(series, write_ct, tmp_path):
    write_ct(series / "odd.dcm", 9, image_hu=np.zeros((300, 300)), PixelSpacing=[4, 4])
    run(series, tmp_path / "out")
    assert list(rows(tmp_path / "out").values()) == ["a field of view of 120 cm, not 5 to 100 cm"]


@pytest.mark.parametrize("error", [OverflowError, MemoryError, RecursionError, PermissionError])
def test_an_error_that_nobody_foresaw_is_a_row(series, tmp_path, monkeypatch, error):
    def read(path, *settings):
        raise error

    monkeypatch.setattr("ctmar.datasets.worker.read_images", read)
    with pytest.raises(InputError, match=f"4 × cannot be read .{error.__name__}"):
        run(series, tmp_path / "out")
    assert list(rows(tmp_path / "out").values()) == [f"cannot be read ({error.__name__})"] * 4


@pytest.mark.parametrize("error", [InputError("no"), KeyboardInterrupt()])
def test_the_table_exists_after_a_failure(series, tmp_path, monkeypatch, error):
    def fail(images):
        raise error

    (series / "a.txt").write_text("not CT")
    monkeypatch.setattr(sources, "group_series", fail)
    with pytest.raises(type(error)):
        run(series, tmp_path / "out")
    assert list(rows(tmp_path / "out").values()) == [NO_DICOM]


def test_a_conflict_of_identities_is_told_without_a_name(series, write_ct, tmp_path, capsys):
    write_ct(series / "b.dcm", 7, PatientID="ZEBRAFINCH")
    assert run(series, tmp_path / "out").n_patients == 1
    told = capsys.readouterr().err
    assert "warning: 1 of the patients carry several patient identifiers" in told
    assert "ZEBRAFINCH" not in told


@dataclass(frozen=True)
class Endless:
    """A part whose decoder never comes back, or asks for all memory."""

    greedy: bool
    paths: tuple[Path, ...]
    indices: tuple[int, ...] = (0,)
    shares_file: bool = False
    fragile: bool = True

    def __setstate__(self, state):
        """Unpickled in a worker, whose bound of processor time is the only one that this lowers."""
        self.__dict__.update(state)
        bounds._PROCESSOR_SECONDS = SECONDS_IN_WORKERS

    def read(self):
        while not self.greedy:
            pass
        np.ones(10_000_000_000)
        yield None


@pytest.mark.slow
@pytest.mark.parametrize(("greedy", "expected"), [(False, "reading it kills the process"), (True, "cannot be read")])
def test_time_and_memory_of_a_fragile_part_are_bounded(tmp_path, greedy, expected):
    (tmp_path / "a").write_bytes(b"x")
    recipe = Recipe(64, 2.0, Limits(2500, 20, 0.1, 0.5))
    tasks = [Task("p/1", (Endless(greedy, (tmp_path / "a",)),))]
    read = partial(read_task, recipe=recipe)
    ((_, (finished,)),) = ordered_map(read, tasks, 1, split_task, lost_task, fragile=True)
    assert finished.outcome.reason.startswith(expected)


@pytest.mark.slow
def test_parts_around_an_endless_one_are_read(tmp_path):
    """As `ctmar predict` reads: in order, with a refusal in the place of what cannot be read."""
    (tmp_path / "a").write_bytes(b"x")
    parts = [Endless(True, (tmp_path / "a",)), Endless(False, (tmp_path / "a",)), Endless(True, (tmp_path / "a",))]
    reasons = [read.reason for read in displayed_in_order(parts, 2) if isinstance(read, Refused)]
    assert [reason[:12] for reason in reasons] == ["cannot be re", "reading it k", "cannot be re"]
