"""Work on many files with several processes, in order, with bounded memory and a line of progress."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from ctmar.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int, str], None]


def ordered_map(
    function: Callable[[Task], Result], tasks: Iterable[Task], n_workers: int
) -> Iterator[tuple[Task, Result]]:
    """Yield each task with ``function(task)``, in the order of the tasks; at most two results per worker wait.

    Args:
        function: importable by name (or a partial of such), so that a fresh process can call it.
        tasks: picklable.
        n_workers: processes; 1 stays in this one.
    """
    if n_workers == 1:
        for task in tasks:
            yield task, function(task)
        return
    # spawn: a fork would copy the locks of a running progress bar
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as executor:
        waiting: deque[tuple[Task, Future[Result]]] = deque()
        try:
            for task in tasks:
                waiting.append((task, executor.submit(function, task)))
                if len(waiting) > 2 * n_workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool:
            raise InputError(
                "a worker process was killed: too little memory, or a damaged file crashed a decoder; "
                "use fewer threads, or look for the file with --threads 1"
            ) from None


def progress_on_stderr(interval_seconds: float = 10.0) -> Progress:
    """A callback ``progress(n_done, n_total, what)``: a rewritten line on a terminal, elsewhere lines now and then."""
    terminal = sys.stderr.isatty()
    last = time.monotonic()

    def progress(n_done: int, n_total: int, what: str) -> None:
        nonlocal last
        now, finished = time.monotonic(), n_done >= n_total
        if not finished and now - last < (0.1 if terminal else interval_seconds):
            return
        last = now
        line = f"{what}: {n_done} of {n_total}"
        sys.stderr.write(f"\r{line}\x1b[K" + ("\n" if finished else "") if terminal else f"{line}\n")
        sys.stderr.flush()

    return progress
