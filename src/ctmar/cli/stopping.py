"""A scheduler's signals as a question: was this process asked to stop?"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # a time limit, a preemption; Slurm's --signal=USR1@60
EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the same command can be tried again


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGTERM or SIGUSR1 has come; a second signal ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    previous = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
