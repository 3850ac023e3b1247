"""Files appear whole or not at all."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctmar.errors import InputError
from ctmar.store.writer import Writer, this_writer

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SECONDS_WITHOUT_A_WRITE = 3600.0  # a living writer may compute for so long between two writes


def check_target(target: Path | str, *others: Path | str) -> None:
    """Refuse a file that cannot be written, before the work starts whose result it is to hold; nothing is made.

    Args:
        target: the file to write.
        others: what the same work reads or writes, so that it is not lost.

    Raises:
        InputError: it is one of the others, a folder has its name, a file stands where its folder should be, or that
            folder is read-only.
    """
    target = Path(target)
    if target.resolve() in [Path(other).resolve() for other in others]:
        raise InputError(f"{target}: expected a file of its own to write, found one of the other files of this command")
    if target.is_dir():
        raise InputError(f"{target}: expected a file to write, found a folder")
    # absolute, because the folder of a bare name is the current one; missing folders are made later
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{target}: expected a folder at {folder}, found a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{target}: expected a folder that can be written to, found {folder} read-only")


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it to ``target`` when the block ends without an error.

    The temporary name tells the process (`ctmar.store.writer`), so two writers never share it, on one machine or on
    several; on an error or an interruption it is removed and whatever stood at ``target`` before stays as it was.

    Raises:
        InputError: see :func:`check_target`.
        OSError: of the block; that of a full disk names ``target``.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "a.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    target = Path(target)
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(target)
    try:
        with full_disk_names(target):
            yield temporary
            temporary.replace(target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target`` and put it in its place when the block ends without an error.

    Raises:
        OSError: of the block; that of a full disk names ``target``.
    """
    temporary = temporary_path(target)
    try:
        with full_disk_names(target):
            temporary.mkdir(parents=True)
            yield temporary
            if target.exists():
                shutil.rmtree(target)
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def full_disk_names(target: Path) -> Iterator[None]:
    """Let the error of a full disk name the file: the system does when it is opened, and not when it cannot grow."""
    try:
        yield
    except Exception as error:
        if (full := _full_disk(error)) is not None:
            raise OSError(full.errno, full.strerror, str(target)) from error
        raise


def _full_disk(error: BaseException | None) -> OSError | None:
    """The error of a full disk that lies behind an error, if one does: torch tells another while it handles it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__context__
    return None


def temporary_path(target: Path, writer: Writer | None = None) -> Path:
    """The name under which a process, this one by default, writes a file before it is whole."""
    who = writer or this_writer()
    # the suffix stays last: libraries choose the format by it
    return target.with_name(f".{target.stem}~{who.host}~{who.machine}~{who.job}~{who.pid}~{who.started}{target.suffix}")


_TEMPORARY = re.compile(
    r"\..+~(?P<host>[\w-]+)~(?P<machine>[0-9a-f]{8})~(?P<job>[\w-]*)~(?P<pid>\d+)~(?P<started>\d+)(\.[^.]+)?"
)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is what a writer that has ended left half-written.

    Of a writer on another machine that is sure only after an hour in which the file has not grown.
    """
    writer = _writer_of(path)
    try:
        return writer is not None and writer.is_dead(lambda: seconds_silent(path), _SECONDS_WITHOUT_A_WRITE)
    except FileNotFoundError:  # it has got its name meanwhile
        return False


def _writer_of(path: Path) -> Writer | None:
    found = _TEMPORARY.fullmatch(path.name)
    if found is None:
        return None
    return Writer(found["host"], found["machine"], found["job"], int(found["pid"]), int(found["started"]))


def remove_leftovers(target: Path | str) -> None:
    """Remove what writers of ``target`` that have ended left half-written beside it.

    Examples:
        >>> import dataclasses, tempfile
        >>> folder, dead = Path(tempfile.mkdtemp()), dataclasses.replace(this_writer(), started=0)
        >>> _ = temporary_path(folder / "a.txt", dead).write_text("ha")
        >>> remove_leftovers(folder / "a.txt")
        >>> list(folder.iterdir())
        []
    """
    target = Path(target)
    if target.parent.is_dir():
        for path in target.parent.iterdir():
            writer = _writer_of(path)
            if writer is not None and path == temporary_path(target, writer) and is_leftover(path):
                path.unlink(missing_ok=True)


def seconds_silent(path: Path) -> float:
    """Seconds since a file or folder was written or touched, by the clock of its file system, which may not be ours.

    Raises:
        FileNotFoundError: it is not there.
    """
    descriptor = os.open(path, os.O_RDONLY)  # opened, because a network's file system tells the true time only then
    try:
        touched = os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    now = temporary_path(path.with_name("now"))
    try:
        now.touch()
        return now.stat().st_mtime - touched
    finally:
        now.unlink(missing_ok=True)
