"""What a Snakemake that was killed has left running: processes of this machine, and jobs that wait or run in Slurm."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ctmar.errors import InputError
from ctmar.jobs.presence import STARTED_BY, has_ended

SECONDS_TO_SAVE = 60.0  # for a training to write its checkpoint
_SHOWN_CHARACTERS = 100


class SlurmSilentError(Exception):
    """Slurm does not answer; the message is its own."""


@dataclass(frozen=True)
class OrphanedProcess:
    """A process of this machine."""

    process: psutil.Process

    def __str__(self) -> str:
        try:
            line = " ".join(" ".join(self.process.cmdline()).split())
        except psutil.Error:
            line = "has ended meanwhile"
        return f"process {self.process.pid}: {line[:_SHOWN_CHARACTERS]}{'…' if len(line) > _SHOWN_CHARACTERS else ''}"


@dataclass(frozen=True)
class SlurmJob:
    """A job of this user in the queue."""

    identity: str
    state: str
    comment: str

    def __str__(self) -> str:
        return f"Slurm's job {self.identity} ({self.state.lower()}): {self.comment}"


def orphaned_processes(folder: Path) -> list[OrphanedProcess]:
    """Processes of this user and machine which a Snakemake started that ran in the folder and has ended."""
    own = [process for process in psutil.process_iter() if _is_of_this_user(process)]
    return [OrphanedProcess(process) for process in own if _is_orphan(process, folder)]


def end_all(left: Sequence[OrphanedProcess | SlurmJob]) -> None:
    """End all by their numbers; processes are asked, have a minute to save what they have, and are killed then.

    Raises:
        InputError: Slurm refuses.
    """
    for job in left:
        if isinstance(job, SlurmJob):
            _cancel(job)
    processes = [one.process for one in left if isinstance(one, OrphanedProcess)]
    for ended in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                ended(process)  # psutil makes sure that the number is still that of the same process
        _, processes = psutil.wait_procs(processes, timeout=SECONDS_TO_SAVE)


def slurm_jobs(folder: Path, prefix: str) -> Iterator[SlurmJob]:
    """Jobs of this user whose name begins with the prefix of the profile, submitted from the folder.

    Raises:
        SlurmSilentError: Slurm is installed and does not answer.
    """
    if shutil.which("squeue") is None:
        return
    line = ["squeue", "--me", "--noheader", "--format=%i|%T|%Z|%j|%k"]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SlurmSilentError(" ".join(done.stderr.split()))
    for row in done.stdout.splitlines():
        identity, state, where, name, comment = row.split("|", 4)
        if name.startswith(f"{prefix}_") and Path(where).resolve() == folder.resolve():
            yield SlurmJob(identity, state, comment)


def _cancel(job: SlurmJob) -> None:
    done = subprocess.run(["scancel", job.identity], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"scancel {job.identity}: {' '.join(done.stderr.split())}")


def _is_of_this_user(process: psutil.Process) -> bool:
    try:
        return bool(process.uids().real == os.getuid())
    except psutil.Error:
        return False


def _is_orphan(process: psutil.Process, folder: Path) -> bool:
    try:
        return has_ended(Path(process.environ().get(STARTED_BY, "/none")), folder)
    except psutil.Error:  # it has ended, or the system keeps its environment to itself
        return False
