"""A scheduler's time limit, and stopping before it comes.

A limit gives no time to save. Slurm signals everything in the job at once, `srun` too, which answers by killing the
step within a third of a second (22.05); other schedulers kill without a signal. So a job that knows its limit stops by
itself.
"""

import time
from collections.abc import Callable

# a scheduler's clock runs before ours: prologue, Snakemake on the node, imports
_SECONDS_TO_START = 120.0
_SECONDS_TO_SAVE = 60.0  # the step that is running, and the checkpoint


def nearly_over(seconds: float, minutes: float) -> bool:
    """Whether so many seconds of work come close to a limit of so many minutes.

    Examples:
        >>> nearly_over(40, 1), nearly_over(3450, 60), nearly_over(3400, 60)
        (True, True, False)
    """
    limit = 60 * minutes
    return seconds >= limit - min(_SECONDS_TO_START + _SECONDS_TO_SAVE, 0.5 * limit)


def before_the_limit(interrupted: Callable[[], bool], minutes: float | None) -> Callable[[], bool]:
    """A question whether to save and stop that is also answered with yes shortly before the limit of a job.

    Args:
        interrupted: whether somebody asked this process to stop.
        minutes: the limit, counted from now; None: there is none.
    """
    if minutes is None:
        return interrupted
    begin = time.monotonic()
    return lambda: interrupted() or nearly_over(time.monotonic() - begin, minutes)
