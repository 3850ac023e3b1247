"""Who writes: the process that a lock or a half-written file belongs to, and whether it still runs."""

import functools
import hashlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_JOB_ID_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID")  # Slurm; PBS; Grid Engine; LSF
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Writer:
    """A process, as others on any machine can name it.

    Args:
        host: name of the machine, for people.
        machine: which table of processes ``pid`` is of: the machine since it was switched on, or a container on it.
        job: the scheduler's id of the job, empty without a scheduler.
        pid: the process.
        started: when it began, as the system counts; another process may get its number later.
    """

    host: str
    machine: str
    job: str
    pid: int
    started: int

    def __str__(self) -> str:
        job = f" (job {self.job} of the scheduler)" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"

    def is_dead(self, silent_seconds: Callable[[], float], patience_seconds: float) -> bool:
        """Whether the process has ended.

        On the machine of the process that asks, the system knows. Of another machine only the silence does.

        Args:
            silent_seconds: tells how long nothing has been heard of it.
            patience_seconds: how long a living process may be silent.
        """
        me = this_writer()
        if self.machine != me.machine:
            # of this name: most likely this machine before it was started again, whose disk hides no touch
            return silent_seconds() > (patience_seconds / 3 if self.host == me.host else patience_seconds)
        return _start_of(self.pid) != self.started


def this_writer() -> Writer:
    """The process that asks."""
    return _writer(os.getpid())  # a forked process is another one


@functools.lru_cache(maxsize=1)
def _writer(pid: int) -> Writer:
    job = next((os.environ[name] for name in _JOB_ID_VARIABLES if os.environ.get(name)), "")
    host = _plain(socket.gethostname())
    return Writer(host=host, machine=_machine(), job=_plain(job), pid=pid, started=_start_of(pid) or 0)


def _start_of(pid: int) -> int | None:
    """When a process of this machine started: ticks since the machine did, elsewhere than on Linux seconds since 1970.

    None when it has ended, also if nobody has asked for its exit code yet.
    """
    if _BOOT_ID.is_file():
        try:
            # after the name of the program, which may hold anything: state is field 3, the start field 22
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else int(fields[19])
    line = ["ps", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(line, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": os.defpath}).stdout.strip()
    return int(time.mktime(time.strptime(shown))) if shown else None


def _machine() -> str:
    """Digest of what makes a process number unique; hosts of equal name or two containers of one host differ in it."""
    known = [socket.gethostname()]
    if _BOOT_ID.is_file() and _PID_NAMESPACE.is_symlink():  # Linux
        known = [_BOOT_ID.read_text().strip(), str(_PID_NAMESPACE.readlink())]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _plain(text: str) -> str:
    """Text that can be part of a file's name: 7.server of PBS and n1.cluster.org keep their first 40 characters."""
    return re.sub(r"[^A-Za-z0-9-]", "_", text)[:40]
