"""Work that takes long: how far it has come, and a bounded number of results ahead of the one that is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

_Job = TypeVar("_Job")
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
