"""How a job ended: every end is written down, and what another machine or more memory would mend is told apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.jobs.attempts import error_before, start_attempt
from ctmar.models.device import MissingDeviceError
from ctmar.store.attempt_records import AttemptsFile, Granted, Outcome

_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  # a RuntimeError of torch on a CPU


class TryAgainError(Exception):
    """The machine, not the input, is at fault: the same command may succeed elsewhere, later or with more memory."""


class WorkerFailedError(InputError):
    """A run failed in a process of its own, or that was killed."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """The outcome and its message.

    Examples:
        >>> outcome_of(MemoryError()), outcome_of(InputError("batch_size: expected 1, found 0"))[0]
        (('out of memory', 'MemoryError'), 'error')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, WorkerFailedError):
        return error.outcome, text
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "out of memory", text
    if isinstance(error, RuntimeError) and any(words in text.lower() for words in _NO_MEMORY):
        return "out of memory", text
    if isinstance(error, MissingDeviceError | OSError | torch.AcceleratorError):
        return "machine", text
    return "error", text


@contextmanager
def recorded(file: AttemptsFile, granted: Granted, runs: Sequence[str] = ()) -> Iterator[None]:
    """Write down that an attempt at some runs (see `start_attempt`) starts and how it ends.

    Raises:
        InputError: Snakemake tries again what ended in an error that will come again; nothing is done.
        TryAgainError: in place of an error of the machine in the block.
    """
    before = error_before(file.read(), granted)
    running = start_attempt(file, granted, runs)
    try:
        if before is not None:
            raise InputError(before)
        yield
    except (InterruptedWorkError, KeyboardInterrupt):
        with suppress(OSError):
            running.end(running.outcome_of_a_stop)
        raise
    except Exception as error:  # whatever it is, it is written down and goes on
        outcome, text = outcome_of(error)
        with suppress(OSError):  # a full disk: the error itself says so
            running.end(outcome, text)
        if outcome == "error":
            raise
        raise TryAgainError(f"{outcome}: {text}") from error
    running.end("finished")
