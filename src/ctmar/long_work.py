"""Work that takes long: how far it has come, a bounded number of results ahead of the one that is used, its memory."""

import ctypes
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TypeAlias, TypeVar

_Job = TypeVar("_Job")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_KEPT_BYTES = 2**26
_LARGEST_IN_HEAP = 2**25  # the most that glibc takes
Progress: TypeAlias = Callable[[int, int, str], None]  # called with what is done, all there is, and a text


def no_progress(done: int, total: int, text: str) -> None:
    """Tell nobody."""


def ahead(jobs: Iterable[_Job], n_ahead: int) -> Iterator[_Job]:
    """Yield jobs in their order, each when the ``n_ahead`` after it have been drawn: memory stays bounded.

    Drawing a job starts it, on threads or in processes, whichever the iterable submits it to.
    """
    waiting: deque[_Job] = deque()
    for job in jobs:
        waiting.append(job)
        if len(waiting) > n_ahead:
            yield waiting.popleft()
    yield from waiting


@contextmanager
def thread_pool(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads which, after an error, finish what they do and begin nothing else."""
    pool = ThreadPoolExecutor(n_threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent(seconds_to_save: float = 0.0) -> None:
    """Let this worker process end when its parent does, however that ends: one left over would wait for work for ever.

    It would also hold what the parent printed into, and whoever reads that, as `tee` in a rule, would wait, too.

    Args:
        seconds_to_save: how long a worker that notices by itself has to save what it did.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel, seconds_to_save), daemon=True).start()


def _end_after(sentinel: int, seconds_to_save: float) -> None:
    wait([sentinel])
    time.sleep(seconds_to_save)
    os._exit(1)


def keep_freed_memory() -> None:
    """Tell the C library to keep what was freed, up to 64 MB: arrays of a few megabytes come and go all the time.

    Given back to the system and asked for again they cost a fifth of the time of reading uncompressed slices, and as
    much of a training of a small network. Only glibc has this knob; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
