"""Where a file came from: software, settings, checksums of what went in.

No time, user or host is recorded, so that the same input gives the same bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path

PACKAGES = ("equiproj", "numpy", "scipy", "h5py")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_file_sha256(path: Path | None, key: str) -> str:
    """SHA-256 of a file that the configuration names under ``key``, empty where it names none.

    Raises:
        InputError: there is no such file, or it cannot be read.

    Examples:
        >>> user_file_sha256(None, "source.manifest")
        ''
    """
    try:
        return "" if path is None else sha256_of(path)
    except OSError as error:
        raise InputError(f"{key}: {path}: expected a readable file, found {type(error).__name__}") from None


def write_checksums(output: Path, folder: Path, files: Iterable[Path]) -> None:
    """List files of a folder with their digests, as ``sha256sum --check`` reads them there."""
    lines = [f"{sha256_of(file)}  {file.relative_to(folder)}\n" for file in files]
    with atomic_path(output) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def read_checksums(path: Path) -> dict[str, str]:
    """A list of ``sha256sum`` by name.

    Raises:
        InputError: it is missing or malformed, or names a file twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of sha256sum, found {type(error).__name__}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or name in found or set(digest) - set("0123456789abcdef"):
            raise InputError(f"{path}: line {number}: expected a SHA-256 and the name of a file, found '{line[:80]}'")
        found[name] = digest
    return found


def package_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of installed packages by name.

    Raises:
        importlib.metadata.PackageNotFoundError: a package is not installed.
    """
    return {name: metadata.version(name) for name in packages}


def provenance_json(settings: Mapping[str, Any], packages: Iterable[str] = PACKAGES, **facts: Any) -> str:
    """JSON text of software versions, settings, their digest, and further facts.

    Args:
        settings: parameters that shaped the file, as `Section.published` gives them.
        packages: installed packages whose versions are recorded.
        **facts: anything else that JSON can hold (sources, geometry, checksums).

    Examples:
        >>> json.loads(provenance_json({"size": 4}, packages=[]))["settings"]
        {'size': 4}
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    record = {"software": package_versions(packages), "settings": settings, "settings_sha256": digest, **facts}
    return json.dumps(record, sort_keys=True)
