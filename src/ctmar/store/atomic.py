"""Files appear whole or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctmar.errors import InputError


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

    The temporary name carries the process id, so two writers never share it; on an error or an
    interruption it is removed and whatever stood at ``target`` before stays as it was.

    Raises:
        InputError: see :func:`check_target`.

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
    # the suffix stays last: libraries choose the format by it
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def remove_leftovers(target: Path | str) -> None:
    """Remove temporary files that killed writers of ``target`` left beside it; call it where nobody is writing.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / ".a.99.txt").write_text("ha")
        >>> remove_leftovers(folder / "a.txt")
        >>> list(folder.iterdir())
        []
    """
    target = Path(target)
    pattern = re.compile(rf"\.{re.escape(target.stem)}\.\d+{re.escape(target.suffix)}")
    if target.parent.is_dir():
        for path in target.parent.iterdir():
            if pattern.fullmatch(path.name):
                path.unlink(missing_ok=True)
