"""Batches in order, read by this process or ahead of it by others; the numbers are the same.

A pool of processes, not of threads, because HDF5 serialises its calls. A process that dies ends the next wait with one
error and never a hang; processes whose training process was killed end themselves.
"""

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.long_work import ahead, end_with_parent, keep_freed_memory
from ctmar.training.patches import Batch, PatchSampler

StartMethod = Literal["spawn", "fork", "forkserver"]
_BATCHES_AHEAD = 4  # of each process; a busy machine runs them late
Arrays: TypeAlias = tuple[NDArray[np.float32], ...]

_sampler: PatchSampler  # of a reader process


class ReaderDiedError(InputError):
    """A reader process ended without being asked to."""


@contextmanager
def read_batches(
    sampler: PatchSampler, steps: range, n_processes: int, start_method: StartMethod = "spawn"
) -> Iterator[Iterator[Batch]]:
    """Yield an iterator of the batches of ``steps``, in their order.

    Args:
        sampler: what is read.
        steps: numbers of the steps.
        n_processes: processes that read ahead; 0 reads in this process, when a batch is asked for.
        start_method: how processes start; a training process has threads, whose locks a fork would copy.

    Raises:
        ReaderDiedError: from the iterator, when a process was killed.
        InputError: from the iterator, when the file cannot be read.
    """
    if n_processes == 0:
        yield map(sampler.batch, steps)
        return
    pool = ProcessPoolExecutor(
        n_processes, multiprocessing.get_context(start_method), initializer=_become_reader, initargs=(sampler,)
    )
    try:
        yield _in_order(pool, steps, n_processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, steps: range, n_processes: int) -> Iterator[Batch]:
    try:
        for arrays in ahead((pool.submit(_read, step) for step in steps), _BATCHES_AHEAD * n_processes):
            yield Batch(*map(torch.from_numpy, arrays.result()))
    except BrokenProcessPool:
        raise ReaderDiedError(
            f"training.reader_processes: one of {n_processes} reader processes died (killed, or out of memory?);"
            " fewer need less memory, 0 reads in the training process"
        ) from None


def _become_reader(sampler: PatchSampler) -> None:
    global _sampler
    _sampler = sampler
    keep_freed_memory()
    torch.set_num_threads(1)
    # Ctrl-C is for the training process; handlers that a fork copied would keep the pool from ending this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()


def _read(step: int) -> Arrays:
    # NumPy arrays travel through a pipe; tensors would need a file descriptor each
    return tuple(tensor.numpy() for tensor in _sampler.batch(step).tensors)
