"""The lock of a run: one process at a time writes into a folder, on one machine or on many that share a disk.

The lock is a file that names its holder (`ctmar.store.writer`). It is made by an exclusive creation, which NFS does at
once for one of several; its holder touches it every ten seconds, so that the last touch, by the clock of the file
system, tells whether a holder on another machine still lives. On the same machine the system knows.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.store.atomic import check_target, seconds_silent
from ctmar.store.writer import Writer, this_writer

SECONDS_BETWEEN_TOUCHES = 10.0
# a network's file system may show a touch a minute late, and a busy machine touch late
PATIENCE_SECONDS = 180.0
_SECONDS_BETWEEN_LOOKS = 1.0
_held: set[Path] = set()  # by this process, which may enter again


@contextmanager
def hold_lock(path: Path, interrupted: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock while the block runs; wait for it as long as its holder lives. A process may enter again.

    Args:
        path: the lock; its folder is made, and taken away if it is new and stays empty.
        interrupted: asked while waiting whether to give up.

    Raises:
        InputError: the file cannot be made, see `ctmar.store.atomic.check_target`.
        InterruptedWorkError: ``interrupted`` said so.
    """
    path = path.absolute()
    if path in _held:
        yield
        return
    check_target(path)
    is_new = not path.parent.exists()
    _wait_for(path, interrupted)
    ended = threading.Event()
    _held.add(path)
    threading.Thread(target=_keep_touching, args=(path, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        _held.discard(path)
        if read_holder(path) == this_writer():
            path.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):  # it is not empty
                path.parent.rmdir()


def check_held(path: Path) -> None:
    """Make sure that a lock which this process took is still its own; call it before what took long is written.

    Raises:
        InputError: another process took the work over, because this one had stood still for long, or the file is gone.
    """
    path = path.absolute()
    if path in _held and (holder := read_holder(path)) != this_writer():
        found = f"that of {holder}" if holder else "none"
        raise InputError(f"{path}: expected the lock of this process, found {found}: another goes on with this run")


def read_holder(path: Path) -> Writer | None:
    """Who holds a lock; None where there is none, or one that does not say."""
    try:
        return Writer(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_stale(path: Path) -> bool:
    """Whether the holder of a lock has ended without giving it up.

    Examples:
        >>> import dataclasses, tempfile
        >>> lock = Path(tempfile.mkdtemp()) / "lock.json"
        >>> with hold_lock(lock):
        ...     is_stale(lock)
        False
        >>> _ = lock.write_text(json.dumps(asdict(dataclasses.replace(this_writer(), started=0))))
        >>> is_stale(lock)
        True
    """
    holder = read_holder(path)
    try:
        if holder is None:  # killed between making the file and writing it, or not ours at all
            return seconds_silent(path) > PATIENCE_SECONDS
        return holder.is_dead(lambda: seconds_silent(path), PATIENCE_SECONDS)
    except FileNotFoundError:  # given up meanwhile
        return False


def _wait_for(path: Path, interrupted: Callable[[], bool]) -> None:
    told: Writer | None = None
    while not _take(path):
        if is_stale(path) and _break(path):
            continue
        holder = read_holder(path)
        if holder is not None and holder != told:
            told = holder
            with suppress(OSError):  # the reader of the log is gone; the work is not
                text = f"{path.parent}: {holder} works here; waiting until it ends (`ctmar recover` ends what was left)"
                print(text, file=sys.stderr, flush=True)
        if interrupted():
            raise InterruptedWorkError(f"while {holder or 'another process'} worked in {path.parent}")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _take(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except (FileExistsError, FileNotFoundError):  # held; or its folder was taken away just now, see `hold_lock`
        return False
    except OSError as error:
        raise InputError(f"{path}: expected a folder in which a lock can be made, {error.strerror or error}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(this_writer())) + "\n")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path}: the lock cannot be written, {error.strerror or error}") from None
    return True


def _break(path: Path) -> bool:
    """Take a stale lock away, unless another process is at it: who saw it stale and is late would meet its successor's.

    The lock stays in its place until it is gone, because its holder, should it live, looks for it there.
    """
    breaking = path.with_name(f".{path.stem}~breaking{path.suffix}")
    if not _take(breaking):
        if is_stale(breaking):
            breaking.unlink(missing_ok=True)
        return False
    try:
        if is_stale(path):
            path.unlink(missing_ok=True)
        return True
    finally:
        breaking.unlink(missing_ok=True)


def _keep_touching(path: Path, ended: threading.Event) -> None:
    while not ended.wait(SECONDS_BETWEEN_TOUCHES) and read_holder(path) == this_writer():
        with suppress(OSError):  # the file system may be away for a while
            os.utime(path)
