"""Pair files on a disk of the node: copied once for a job, checked, and removed at its end."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ctmar.errors import InputError
from ctmar.jobs.one_run import JobFiles
from ctmar.store.provenance import sha256_of


@contextmanager
def staged(files: JobFiles, scratch: Path | None) -> Iterator[JobFiles]:
    """The files of a job with the pairs in a folder below ``scratch``; None leaves them where they are.

    Every ``.h5`` beside the pairs is copied, because a file of pairs may refer to shards beside it.

    Raises:
        InputError: there is no such folder.
        OSError: it has no room, or a copy differs from its original.
    """
    if scratch is None:
        yield files
        return
    if not scratch.is_dir():
        raise InputError(f"{scratch}: expected a folder on this node to copy pairs to, found none")
    originals = sorted(files.pairs.glob("*.h5"))
    needed, free = sum(path.stat().st_size for path in originals), shutil.disk_usage(scratch).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{scratch}: expected {needed:,} bytes of free disk for the pairs, found {free:,}")
    with tempfile.TemporaryDirectory(prefix="equiproj-", dir=scratch) as folder:
        for original in originals:
            copy = Path(folder) / original.name
            shutil.copyfile(original, copy)
            if sha256_of(copy) != sha256_of(original):
                raise OSError(errno.EIO, f"{copy}: the copy differs from {original}")
        signals = files.signals and Path(folder) / files.signals.relative_to(files.pairs)
        yield replace(files, pairs=Path(folder), signals=signals)
