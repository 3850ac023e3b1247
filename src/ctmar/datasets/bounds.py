"""Time and memory that reading one part of a source may take, in a process that was started for it."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESSOR_SECONDS = 5.0  # fifty times what an image of 512 × 512 pixels takes
_MEMORY_BYTES = 1_500_000_000  # beside what the process has already


@contextmanager
def bounded() -> Iterator[None]:
    """Give the block a few seconds of processor time and some memory, where this is a worker process on Linux.

    The decoders are other people's code in C: one that is led astray by a damaged file cannot be stopped from within.
    Out of time the process dies, which whoever started it notices; out of memory a decoder fails. The process that all
    others belong to is never bounded, and neither is another system.
    """
    if sys.platform != "linux" or multiprocessing.parent_process() is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    largest = pages * resource.getpagesize() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (largest if before[1] < 0 else min(largest, before[1]), before[1]))
    signal.setitimer(signal.ITIMER_PROF, _PROCESSOR_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
