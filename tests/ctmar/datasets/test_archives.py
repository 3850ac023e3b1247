"""Archives are opened within limits, and nothing that is written in them is trusted."""

import gzip
import io
import os
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctmar.config import Ingest
from ctmar.datasets import archives
from ctmar.datasets.archives import Budget, unpack
from ctmar.datasets.ingest import ingest
from ctmar.datasets.sources import find_file
from ctmar.errors import InputError
from ctmar.store.quarantine import Refused
from ctmar.store.slices import read_slices
from ctmar.store.tables import read_rows

SMALL = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32)
Content = dict[str, bytes]


def make_zip(path: Path, content: Content) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def make_tar(path: Path, content: Content) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as file:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


MAKERS: list[tuple[str, Callable[[Path, Content], Path]]] = [
    ("a.zip", make_zip),
    ("a.tar", make_tar),
    ("a.tar.gz", make_tar),
    ("a.tgz", make_tar),
]
each_kind = pytest.mark.parametrize(("name", "make"), MAKERS, ids=[name for name, _ in MAKERS])


def budget(n_bytes: int = 10**7, n_members: int = 100, ratio: float = 200.0) -> Budget:
    return Budget(n_bytes, n_members, ratio)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def run(folder: Path, out: Path, settings: Ingest = SMALL):
    outputs = [out / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv")]
    return ingest(folder, *outputs, settings=settings)


def reasons(out: Path) -> list[str]:
    return sorted(row["reason"] for row in read_rows(out / "quarantine.csv", ["file", "reason", "remedy"]))


@each_kind
def test_what_was_packed_comes_out(tmp_path, name, make):
    content = {"one/a.dcm": b"first", "two/deep/b": os.urandom(3 * archives.CHUNK_BYTES), "empty": b""}
    allowed = budget()
    assert unpack(make(tmp_path / name, content), tmp_path / "out", allowed) == []
    assert {key: (tmp_path / "out" / key).read_bytes() for key in content} == content
    assert allowed.n_bytes == 10**7 - sum(map(len, content.values()))
    assert allowed.n_members == 97


@each_kind
def test_nothing_escapes(tmp_path, name, make):
    evil = ("../x", "a/../../x", f"{tmp_path}/x", "..\\x", "/x")
    path = make(tmp_path / name, {**dict.fromkeys(evil, b"evil"), "good": b"good"})
    refused = unpack(path, tmp_path / "deep" / "out", budget())
    assert [(member, refusal.reason) for member, refusal in refused] == [
        (member, "its name leads out of the archive") for member in evil
    ]
    assert files(tmp_path) == {name, "deep/out/good"}


def test_links_and_devices_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"kind {kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    for name, n_expected in (("a.tar", 4), ("a.zip", 1)):
        refused = unpack(tmp_path / name, tmp_path / "out", budget())
        assert {refusal.reason for _, refusal in refused} == {"a link, device or sparse file in an archive"}
        assert len(refused) == n_expected
    assert not (tmp_path / "out").exists()


@each_kind
def test_members_that_cannot_be_files_are_left_out(tmp_path, name, make):
    content = {"a": b"1", "a/b": b"2", "x" * 300: b"3", "inner.zip": b"4", "inner.tar.gz": b"5"}
    refused = unpack(make(tmp_path / name, content), tmp_path / "out", budget())
    assert [refusal for _, refusal in refused] == [archives.BAD_NAME] * 2 + [archives.NESTED] * 2
    assert files(tmp_path / "out") == {"a"}


@each_kind
@pytest.mark.parametrize("limits", [{"n_bytes": 999}, {"n_members": 1}])
def test_an_archive_beyond_the_limits_leaves_nothing(tmp_path, name, make, limits):
    path = make(tmp_path / name, {"a": os.urandom(500), "b": os.urandom(500)})
    allowed = budget(**limits)
    with pytest.raises(Refused) as error:
        unpack(path, tmp_path / "out", allowed)
    assert error.value.reason in ("unpacks to more than the limits allow", "too many files in archives")
    assert "ingest.maximum_" in error.value.remedy
    assert not (tmp_path / "out").exists()
    assert allowed == budget(**limits), "a refused archive leaves the room to others"


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tgz", make_tar)])
def test_a_bomb_is_stopped_by_its_ratio(tmp_path, name, make):
    path = make(tmp_path / name, {"zeros": bytes(2 * 10**7)})
    assert path.stat().st_size < 3 * 10**4
    with pytest.raises(Refused, match="unpacks to more"):
        unpack(path, tmp_path / "out", budget(n_bytes=10**12))
    assert not (tmp_path / "out").exists()


def test_a_zip_that_lies_about_sizes_is_stopped(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"zeros": bytes(10**6)})
    path.write_bytes(path.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(Refused, match="damaged archive"):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"?"])
def test_a_tar_header_that_asks_for_much_memory_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 5 * 10**7
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(info.size))
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=r"damaged archive \(ReadError\)|unpacks to more"):
            unpack(tmp_path / "a.tar.gz", tmp_path / "out", budget())
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


@each_kind
def test_a_truncated_archive_is_refused_whole(tmp_path, name, make):
    path = make(tmp_path / name, {f"{number}": os.urandom(3000) for number in range(9)})
    path.write_bytes(path.read_bytes()[:-15000])
    with pytest.raises(Refused, match="damaged archive"):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where archives are unpacked; it must be empty again afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def series(write_ct, tmp_path) -> Content:
    return {f"CT/{number}.dcm": write_ct(tmp_path / "ct" / f"{number}", number).read_bytes() for number in range(4)}


@each_kind
def test_a_series_in_an_archive_is_that_of_its_folder(series, tmp_path, temporary, name, make):
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / name, series)
    run(tmp_path / "ct", tmp_path / "plain")
    for number, given in enumerate((tmp_path / "in", tmp_path / "in" / name)):
        summary = run(given, tmp_path / f"{number}")
        assert (summary.n_files, summary.n_slices, summary.n_quarantined) == (4, 4, 0)
        left, right = (read_slices(tmp_path / out / "slices.h5") for out in ("plain", f"{number}"))
        for one, other in zip(left, right, strict=True):
            assert np.array_equal(one.image, other.image)
            assert one.slice_id == other.slice_id
    assert not list(temporary.iterdir())


def test_a_series_may_be_spread_over_archives_and_folders(series, tmp_path, temporary):
    (tmp_path / "in").mkdir()
    parts = list(series.items())
    make_zip(tmp_path / "in" / "a.zip", dict(parts[:2]))
    make_tar(tmp_path / "in" / "b.tar", dict(parts[2:3]))
    (tmp_path / "in" / "c.dcm").write_bytes(parts[3][1])
    summary = run(tmp_path / "in", tmp_path / "out")
    assert (summary.n_series, summary.n_slices) == (1, 4)


def test_patients_without_any_identifier_are_told_apart_by_folders(write_ct, tmp_path, temporary):
    nothing = {"PatientID": None, "StudyInstanceUID": None, "FrameOfReferenceUID": None}
    for patient in "ab":
        write_ct(tmp_path / "in" / patient / "0.dcm", **nothing)
    content = {path: (tmp_path / "in" / path).read_bytes() for path in ("a/0.dcm", "b/0.dcm")}
    make_zip(tmp_path / "a.zip", content)
    assert run(tmp_path / "in", tmp_path / "plain").n_patients == 2
    assert run(tmp_path / "a.zip", tmp_path / "out").n_patients == 2
    left, right = (read_slices(tmp_path / out / "slices.h5") for out in ("plain", "out"))
    assert {one.patient for one in left} == {one.patient for one in right}


def test_what_is_refused_in_archives_is_quarantined(series, tmp_path, temporary):
    folder = tmp_path / "in"
    folder.mkdir()
    make_zip(folder / "smith.zip", {**series, "../smith": b"evil", "smith.txt": b"text", "smith.tar": b"nested"})
    (folder / "jones.tar.gz").write_bytes(b"no archive")
    make_zip(folder / "bomb.zip", {"smith": bytes(10**7)})
    (folder / "link.zip").symlink_to(make_zip(tmp_path / "outside.zip", series))
    summary = run(folder, tmp_path / "out")
    assert (summary.n_files, summary.n_slices, summary.n_quarantined) == (10, 4, 6)
    assert reasons(tmp_path / "out") == [
        "a link that leaves the folder",
        "an archive inside an archive is not opened",
        "damaged archive (BadGzipFile)",
        "its name leads out of the archive",
        "not a DICOM file: no preamble with 'DICM'",
        "unpacks to more than the limits allow",
    ]
    table = (tmp_path / "out" / "quarantine.csv").read_text()
    assert "smith" not in table
    assert "jones" not in table
    found = {
        find_file(folder, row["file"], SMALL).relative_to(folder).as_posix()
        for row in read_rows(tmp_path / "out" / "quarantine.csv", ["file"])
    }
    assert found == {
        "bomb.zip", "jones.tar.gz", "link.zip", "smith.zip/../smith", "smith.zip/smith.tar", "smith.zip/smith.txt"
    }  # fmt: skip
    assert not list(temporary.iterdir())


def test_limits_hold_for_all_archives_together(series, tmp_path, temporary):
    (tmp_path / "in").mkdir()
    for name in "abc":
        make_zip(tmp_path / "in" / f"{name}.zip", series)
    n_bytes = sum(map(len, series.values()))
    settings = SMALL.model_copy(update={"maximum_unpacked_gb": 1.5 * n_bytes / 1e9})
    assert run(tmp_path / "in", tmp_path / "out", settings).n_slices == 4
    assert reasons(tmp_path / "out") == ["unpacks to more than the limits allow"] * 2


def test_an_archive_without_ct_ends_in_one_line(tmp_path, temporary):
    make_zip(tmp_path / "a.zip", {"a.txt": b"text"})
    (tmp_path / "b.tar").write_bytes(b"no archive")
    make_zip(tmp_path / "c.zip", {})
    for name, expected in {
        "a.zip": r"a\.zip: none of the files is usable CT \(1 × not a DICOM",
        "b.tar": r"b\.tar: none of the files is usable CT \(1 × damaged archive",
        "c.zip": r"c\.zip: no files found",
    }.items():
        with pytest.raises(InputError, match=expected):
            run(tmp_path / name, tmp_path / "out")
    assert not list(temporary.iterdir())


def test_a_real_series_from_a_zip(shared, tmp_path, temporary):
    paths = sorted((shared / "totalseg_abdomen_j2k").glob("*.dcm"))[:3]
    make_zip(tmp_path / "a.zip", {path.name: path.read_bytes() for path in paths})
    summary = run(tmp_path / "a.zip", tmp_path / "out", Ingest(image_size=128, pixel_mm=4.0))
    assert (summary.n_slices, summary.n_quarantined) == (3, 0)
