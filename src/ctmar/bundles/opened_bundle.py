"""Opening a bundle of anybody's: nothing in it runs, leaves its folder or is taken without its checksum."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctmar.bundles.bundle_writer import CHECKSUMS
from ctmar.datasets.archives import Budget, unpack
from ctmar.errors import InputError
from ctmar.models.published import read_state
from ctmar.store.provenance import read_checksums, sha256_of
from ctmar.store.quarantine import Refused

# a study of thousands of networks; text packs to a fiftieth at most
_LARGEST = Budget(n_bytes=200 * 10**9, n_members=1_000_000, largest_ratio=200.0)


@contextmanager
def opened_bundle(path: Path) -> Iterator[Path]:
    """Yield the folder of a bundle, every file checked; an archive is unpacked to a temporary folder.

    Raises:
        InputError: it is no bundle, holds a link or a name that leads out of it, unpacks to too much, or a file is
            missing, surplus or not as its checksum says, or weights are more than numbers.
    """
    if path.is_dir():
        _check(path, path)
        yield path
        return
    if not path.is_file() or path.suffix != ".zip":
        raise InputError(f"{path}: expected a bundle, a folder or a file .zip of `ctmar bundle`, found none")
    with tempfile.TemporaryDirectory(prefix="equiproj-bundle-") as folder:
        target = Path(folder) / "bundle"
        _unpack(path, target)
        _check(target, path)
        yield target


def _unpack(path: Path, target: Path) -> None:
    budget = Budget(_LARGEST.n_bytes, _LARGEST.n_members, _LARGEST.largest_ratio)
    try:
        refused = unpack(path, target, budget)
    except Refused as error:
        raise InputError(f"{path}: expected a bundle, found: {error.reason}") from None
    for name, refusal in refused:
        raise InputError(f"{path}: {name!r}: expected a plain file in the bundle, found: {refusal.reason}")


def _check(folder: Path, path: Path) -> None:
    files = set(_plain_files(folder, path))
    if CHECKSUMS not in files:
        raise InputError(f"{path}: expected a bundle of `ctmar bundle` with {CHECKSUMS}, found none")
    listed = read_checksums(folder / CHECKSUMS)
    for name in sorted((files - {CHECKSUMS}) ^ set(listed)):
        expected, found = ("no such file", "one") if name in files else ("the file", "none")
        raise InputError(f"{path}: {name!r}: expected {expected} by {CHECKSUMS}, found {found}")
    for name, digest in listed.items():
        if sha256_of(folder / name) != digest:
            raise InputError(f"{path}: {name!r}: expected the file of its checksum, found another")
    for name in sorted(files):
        if name.endswith(".pt"):
            read_state(folder / name)


def _plain_files(folder: Path, path: Path) -> Iterator[str]:
    """Names of all files below a folder; a link could lead anywhere and a pipe never end."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = Path(root) / name
            mode = found.lstat().st_mode
            if stat.S_ISREG(mode):
                yield found.relative_to(folder).as_posix()
            elif not stat.S_ISDIR(mode):
                raise InputError(
                    f"{path}: {found.relative_to(folder).as_posix()!r}: expected a plain file, found a link"
                )
