"""Work on many files with several processes, in order, with bounded memory.

A damaged file can crash a decoder and take the process with it: that file is found and left out, the rest goes on.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from ctmar.errors import InputError
from ctmar.long_work import ahead, end_with_parent, keep_freed_memory

Task = TypeVar("Task")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Task], list[Result]],
    tasks: Iterable[Task],
    n_workers: int,
    split: Callable[[Task], list[Task]],
    lost: Callable[[Task], list[Result]],
    fragile: bool = False,
) -> Iterator[tuple[Task, list[Result]]]:
    """Yield each task with ``function(task)``, in the order of the tasks; at most two results per worker wait.

    When a process dies, every task that was under way runs again, one at a time; a task that kills its process again
    is split and its parts run once more. A part is given up after that third death.

    Args:
        function: importable by name (or a partial of such), so that a fresh process can call it.
        tasks: picklable.
        n_workers: processes; 1 stays in this one, which a crash then takes along, unless the tasks are ``fragile``.
        split: the parts of a task that may be lost singly.
        lost: what stands for the results of a part that kills its process.
        fragile: whether a task may crash its process.

    Raises:
        InputError: processes cannot be started at all.
    """
    if n_workers == 1 and not fragile:
        for task in tasks:
            yield task, function(task)
        return
    remaining, under_way, died = iter(tasks), deque[Task](), True
    while died:
        try:
            yield from _until_a_death(function, remaining, n_workers, under_way)
            died = False
        except BrokenProcessPool:
            suspects = list(under_way)
            under_way.clear()
            for task, results in zip(suspects, _one_at_a_time(function, suspects), strict=True):
                yield task, _without_the_lost(function, split(task), lost) if results is None else results


def _until_a_death(
    function: Callable[[Task], Result], tasks: Iterator[Task], n_workers: int, under_way: deque[Task]
) -> Iterator[tuple[Task, Result]]:
    """Work in a pool; when it breaks, ``under_way`` holds the tasks that were taken but not yielded."""
    with _pool(n_workers) as pool:

        def submitted() -> Iterator[Future[Result]]:
            for task in tasks:
                under_way.append(task)
                yield pool.submit(function, task)

        for future in ahead(submitted(), 2 * n_workers):
            result = future.result()
            yield under_way.popleft(), result


def _one_at_a_time(function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result | None]:
    """Result of each task, None where it killed the process that had nothing else to do."""
    results: list[Result | None] = []
    while len(results) < len(tasks):
        with _pool(1) as pool:
            _check_that_it_lives(pool)
            try:
                for task in tasks[len(results) :]:
                    results.append(pool.submit(function, task).result())
            except BrokenProcessPool:
                results.append(None)
    return results


def _without_the_lost(
    function: Callable[[Task], list[Result]], parts: list[Task], lost: Callable[[Task], list[Result]]
) -> list[Result]:
    found = _one_at_a_time(function, parts)
    return [
        result
        for part, results in zip(parts, found, strict=True)
        for result in (lost(part) if results is None else results)
    ]


def _pool(n_workers: int) -> ProcessPoolExecutor:
    # spawn: a fork would copy the locks of a running progress bar
    return ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"), initializer=_become_worker)


def _become_worker() -> None:
    end_with_parent()
    keep_freed_memory()


def _check_that_it_lives(pool: ProcessPoolExecutor) -> None:
    """A process that cannot even start says nothing about the file it was meant to read."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool:
        raise InputError(
            "the worker processes die when they start, perhaps for lack of memory; try --threads 1"
        ) from None
