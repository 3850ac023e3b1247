"""Work on something that may fail, or never answer, without harm to what is being done."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class OutOfTimeError(BaseException):
    """MLflow did not answer in time; not an `Exception`, because MLflow's retry loops catch those and go on."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the block with `OutOfTimeError` after ``seconds``: a dead database is tried for minutes otherwise."""

    def stop(*_: object) -> None:
        raise OutOfTimeError(f"no answer within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def attempt(work: Callable[[], None]) -> str | None:
    """Do ``work``; whatever goes wrong in it becomes one line on stderr and, without details, the return value."""
    try:
        work()
    # MLflow sits on SQLAlchemy, Alembic, requests and the file system, whose errors have nothing else in common; and
    # none of them is worth a study.
    except (Exception, OutOfTimeError) as error:
        kind = type(error).__name__
        reason = re.sub(r"//[^/\s]*@", "//", (str(error).splitlines() or [""])[0])
        print(
            f"ctmar: warning: not mirrored to MLflow, the study goes on without it: {kind}: {reason}", file=sys.stderr
        )
        return f"not mirrored to MLflow: {kind}"
    return None
