"""Which GPUs a job may use: those that a scheduler names, else as many as it needs, each behind a lock."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.models.device import MissingDeviceError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_SECONDS_BETWEEN_LOOKS = 1.0


@contextmanager
def claimed_gpus(n_gpus: int, interrupted: Callable[[], bool], *, mps: bool = False) -> Iterator[list[str]]:
    """The names of a job's GPUs, as ``CUDA_VISIBLE_DEVICES`` takes them; this process sees no other.

    A scheduler gives a job devices of its own and says which. Without one, jobs of one machine would all take the first
    GPU: a job then holds a lock for each that it uses and waits while there are too few.

    Args:
        n_gpus: how many the job needs; 0 gives an empty list.
        interrupted: asked while waiting whether to give up.
        mps: start NVIDIA's multi-process service for them, and end it.

    Raises:
        MissingDeviceError: there are fewer.
        InterruptedWorkError: ``interrupted`` said so.
        InputError: the service cannot be started.
    """
    if not n_gpus:
        yield []
        return
    with ExitStack() as stack:
        given = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
        if not given:
            every = [str(number) for number in range(torch.cuda.device_count())]
            given = stack.enter_context(locked(every, n_gpus, interrupted))
            stack.enter_context(environment(VISIBLE, ",".join(given)))
        if len(given) < n_gpus:
            raise MissingDeviceError(f"expected {n_gpus} GPUs for this job, found {len(given)}: {VISIBLE}={given}")
        if mps:
            stack.enter_context(multi_process_service())
        yield given


@contextmanager
def locked(every: Sequence[str], n_gpus: int, interrupted: Callable[[], bool]) -> Iterator[list[str]]:
    """Hold the locks of some GPUs of this machine; wait while others hold too many.

    Raises:
        MissingDeviceError: there are fewer than ``n_gpus``.
        InterruptedWorkError: ``interrupted`` said so.
    """
    if len(every) < n_gpus:
        raise MissingDeviceError(f"training.device: expected {n_gpus} GPUs for 'cuda', torch finds {len(every)}")
    while True:
        with ExitStack() as stack:
            held: list[str] = []
            for name in every:
                if len(held) < n_gpus and stack.enter_context(_lock(name)):
                    held.append(name)
            if len(held) == n_gpus:
                yield held
                return
        if interrupted():
            raise InterruptedWorkError("while other jobs used the GPUs of this machine")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextmanager
def _lock(name: str) -> Iterator[bool]:
    """Whether the lock of a GPU is ours; the system gives it back when a process ends, however it ends."""
    # not TMPDIR, which may be another for each job
    path = Path("/tmp") / f"equiproj-{os.getuid()}-gpu-{name}.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the environment within a block, for this process and those that it starts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def multi_process_service() -> Iterator[None]:
    """NVIDIA's multi-process service for this job's GPUs, with folders of its own, ended with the block.

    Raises:
        InputError: the program is missing or does not start.
    """
    program = "nvidia-cuda-mps-control"
    with tempfile.TemporaryDirectory(prefix="equiproj-mps-") as folder, ExitStack() as stack:
        stack.enter_context(environment("CUDA_MPS_PIPE_DIRECTORY", f"{folder}/pipe"))
        stack.enter_context(environment("CUDA_MPS_LOG_DIRECTORY", f"{folder}/log"))
        try:
            subprocess.run([program, "-d"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(f"mps of the site: expected {program} to start, found {error}") from None
        try:
            yield
        finally:
            subprocess.run([program], input="quit\n", text=True, capture_output=True, check=False)
