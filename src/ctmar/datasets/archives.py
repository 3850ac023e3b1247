"""Zip and tar archives: unpacked within limits, and nothing that is written in them is trusted."""

import bz2
import errno
import gzip
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ctmar.errors import InputError
from ctmar.store.quarantine import Refused

_TAR_OPENERS: dict[str, Callable[[Path, str], Any]] = {
    ".tar": open,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
}
_SUFFIXES = (".zip", *_TAR_OPENERS)
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CHUNK_BYTES = 2**20
_LARGEST_TAR_HEADER = 2**20  # a header can ask for any amount of memory

_UNPACK_IT = "unpack it yourself and give the folder"
NESTED = Refused("an archive inside an archive is not opened", _UNPACK_IT)
_ESCAPES = Refused("its name leads out of the archive", "none: do not trust this archive")
_NO_FILE = Refused("a link, device or sparse file in an archive", "put the file itself into the archive")
BAD_NAME = Refused("a name that stands twice in the archive or is no possible file name", _UNPACK_IT)
_ENCRYPTED = Refused("encrypted", _UNPACK_IT)
_METHOD = Refused("a compression method that is not opened", _UNPACK_IT)


@dataclass
class Budget:
    """What all archives of a folder may still unpack to, and how far one may expand."""

    n_bytes: int
    n_members: int
    largest_ratio: float


@dataclass(frozen=True)
class _Member:
    """One entry of an archive that is no folder: its name, why it is refused, and how to read it."""

    name: str
    refusal: Refused | None
    open: Callable[[], IO[bytes] | None]


def is_archive(path: PurePosixPath | Path) -> bool:
    """Whether the file's name says zip or tar.

    Examples:
        >>> [is_archive(Path(name)) for name in ("CT.ZIP", "ct.tar.gz", "ct.nii.gz")]
        [True, True, False]
    """
    return path.name.lower().endswith(_SUFFIXES)


def unpack(archive: Path, target: Path, budget: Budget) -> list[tuple[str, Refused]]:
    """Write the regular files of an archive below ``target`` and take what they need from the budget.

    An archive that is damaged or exceeds a limit leaves nothing behind: part of a series is worse than none.

    Args:
        archive: zip or tar, by its name.
        target: folder to make; nothing is written elsewhere.
        budget: lowered by what is unpacked.

    Returns:
        Members that were left out, with the reason.

    Raises:
        Refused: the archive as a whole.
        InputError: the disk is full.
    """
    largest = min(budget.n_bytes, int(budget.largest_ratio * archive.stat().st_size))
    refused: list[tuple[str, Refused]] = []
    n_bytes = n_members = 0
    try:
        for member in _members(archive, largest):
            n_members += 1
            if n_members > budget.n_members:
                raise Refused("too many files in archives", f"raise ingest.maximum_archive_members, or {_UNPACK_IT}")
            try:
                n_bytes += _write(member, target, largest - n_bytes)
            except _MemberRefused as error:
                refused.append((member.name, error.refusal))
    except Exception as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise InputError("no room to unpack an archive: set TMPDIR to a folder on a larger disk") from None
        if isinstance(error, Refused):
            raise
        if isinstance(error, PermissionError):
            raise Refused("the file cannot be read", "check the file's permissions and the disk") from None
        # a damaged archive can raise nearly anything
        raise Refused(f"damaged archive ({type(error).__name__})", "copy the archive again") from None
    budget.n_bytes -= n_bytes
    budget.n_members -= n_members
    return refused


class _MemberRefused(Exception):  # noqa: N818 (an outcome, like Refused)
    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def _write(member: _Member, target: Path, n_left: int) -> int:
    """Copy a member, counting the bytes that come out: what the archive says of their number may be a lie."""
    relative = PurePosixPath(member.name.replace("\\", "/"))
    if not relative.parts or relative.is_absolute() or ".." in relative.parts or "\0" in member.name:
        raise _MemberRefused(_ESCAPES)
    refusal = NESTED if member.refusal is None and is_archive(relative) else member.refusal
    if refusal is not None:
        raise _MemberRefused(refusal)
    path, n_bytes = target / relative, 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise _MemberRefused(BAD_NAME) from None
    source = member.open()
    if source is None:
        raise tarfile.ReadError
    with file, source:
        while chunk := source.read(CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > n_left:
                raise _too_large()
            file.write(chunk)
    return n_bytes


def _too_large() -> Refused:
    remedy = f"raise ingest.maximum_unpacked_gb or ingest.maximum_archive_ratio, or {_UNPACK_IT}"
    return Refused("unpacks to more than the limits allow", remedy)


def _members(archive: Path, largest: int) -> Iterator[_Member]:
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    yield _Member(info.filename, _zip_refusal(info), partial(zipped.open, info))
        return
    opener = next(opener for suffix, opener in _TAR_OPENERS.items() if name.endswith(suffix))
    with opener(archive, "rb") as stream:
        bounded: Any = _Bounded(stream, largest)
        with tarfile.open(fileobj=bounded, mode="r:") as tar:
            for entry in tar:
                if not entry.isdir():
                    regular = entry.isreg() and not entry.issparse()
                    yield _Member(entry.name, None if regular else _NO_FILE, partial(tar.extractfile, entry))


def _zip_refusal(info: zipfile.ZipInfo) -> Refused | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return _NO_FILE
    if info.flag_bits & 1:
        return _ENCRYPTED
    return None if info.compress_type in _ZIP_METHODS else _METHOD


class _Bounded:
    """A stream for tarfile that neither hands out much at once nor leads beyond the limit, skipped parts included."""

    def __init__(self, stream: IO[bytes], largest: int) -> None:
        self._stream = stream
        # the tar format rounds every member up to 512 bytes and adds a header to it
        self._end = 2 * largest + _LARGEST_TAR_HEADER

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_TAR_HEADER:
            raise tarfile.ReadError
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        if position > self._end:
            raise _too_large()
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()
