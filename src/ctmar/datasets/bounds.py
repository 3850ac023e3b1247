"""The slices of a part of a source, within bounds of time and memory, in a process that was started for it."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ctmar.datasets.parallel import ordered_map
from ctmar.store.ct_source import DisplayedSlice, Part
from ctmar.store.quarantine import Refused

KILLS = Refused(
    "reading it kills the process: a decoder crashes on it, or it takes more time or memory than there is for an image",
    "export the series again from the scanner or archive; use fewer threads if memory is short",
)
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


def unexpected(error: Exception) -> Refused:
    """A reason for what nobody foresaw, so that one file never stops the reading of all others."""
    return Refused(f"cannot be read ({type(error).__name__})", "export or copy the file again")


def slices_of(part: Part) -> Iterator[DisplayedSlice]:
    """The slices of a part as a radiologist sees them, bounded where a decoder is needed that could go astray.

    Raises:
        Refused: the part cannot be used.
    """
    if not part.fragile:
        yield from part.read()
        return
    with bounded():
        displayed = list(part.read())
    yield from displayed


def displayed_in_order(parts: Sequence[Part], n_workers: int) -> Iterator[DisplayedSlice | Refused]:
    """The slices of all parts, one by one; in place of a part that cannot be used, why.

    Args:
        parts: of one slice each.
        n_workers: processes, where a part is fragile; otherwise this process reads.
    """
    fragile = any(part.fragile for part in parts)
    read = ordered_map(_slices_or_refusal, parts, n_workers if fragile else 1, _unsplit, _lost, fragile)
    for _, found in read:
        yield from found


def _slices_or_refusal(part: Part) -> list[DisplayedSlice | Refused]:
    try:
        return list(slices_of(part))
    except Refused as refusal:
        return [refusal]
    except Exception as error:
        return [unexpected(error)]


def _unsplit(part: Part) -> list[Part]:
    return [part]


def _lost(part: Part) -> list[DisplayedSlice | Refused]:
    return [KILLS]
