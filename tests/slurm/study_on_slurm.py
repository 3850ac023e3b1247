"""A study that Snakemake runs on the toy cluster, and what Slurm says of its jobs."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CONFIG = HERE / "toy.yaml"
RESULTS = Path("results", "toy")
PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
# the study trains on the CPU, and asks for a GPU all the same
ASKING_FOR_A_GPU = ("--set-resources", "train:gpu=1", "train:slurm_partition=gpu")
QUICKLY = ("--quiet", "progress", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found | None], seconds: float = 120, every: float = 0.05) -> Found:
    """What ``look`` finds; an error that says ``what`` was waited for if it finds nothing in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds:g} s")


@dataclass(frozen=True)
class SlurmJob:
    """One job, as squeue shows it."""

    number: str
    state: str
    node: str
    memory: str
    limit: str
    rule: str

    def processes(self) -> list[int]:
        """The processes in it that train."""
        return [pid for pid, of in training_processes() if of.get("SLURM_JOB_ID") == self.number]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the processes in it that train."""
        for pid in self.processes():
            with suppress(ProcessLookupError):  # it has ended
                os.kill(pid, number)


def training_processes() -> Iterator[tuple[int, dict[str, str]]]:
    """Every process on this machine that runs `ctmar train-and-evaluate`, with its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[2:3] == [b"train-and-evaluate"]:
                variables = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                yield int(folder.name), dict(text.split("=", 1) for text in variables if "=" in text)
        except OSError:  # it has ended
            continue


@dataclass
class StudyOnSlurm:
    """The toy study in a folder of its own."""

    folder: Path
    site: Path
    options: tuple[str, ...] = ASKING_FOR_A_GPU
    process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command line of the profile, with the plugin's patience cut short."""
        begin = [sys.executable, str(HERE / "impatient_snakemake.py"), "--snakefile"]
        where = [str(REPOSITORY / "workflow" / "Snakefile"), "--directory", str(self.folder)]
        profile = ["--workflow-profile", str(PROFILE), "--configfile", str(CONFIG), "--slurm-no-account"]
        return [*begin, *where, *profile, *self.options, *QUICKLY, *arguments]

    def environment(self) -> dict[str, str]:
        """A login shell in the plainest locale, with this interpreter's commands first on the path."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": str(REPOSITORY / "src"), "LC_ALL": "C", "EQUIPROJ_SITE": str(self.site)}
        return {**os.environ, **own}

    def start(self, *arguments: str) -> None:
        """Start Snakemake; what it prints is added to snakemake.txt."""
        with self.printed_file.open("ab") as printed:
            self.process = subprocess.Popen(
                self.command(*arguments),
                env=self.environment(),
                cwd=self.folder,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str, seconds: float = 400) -> None:
        """Run Snakemake to its end; an error where it fails or takes too long."""
        self.start(*arguments)
        self.finish(seconds)

    def finish(self, seconds: float = 400) -> None:
        """Wait for the started Snakemake; an error where it fails or takes too long."""
        assert self.process is not None
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Snakemake did not end in {seconds:g} s:\n{self.printed()[-3000:]}") from None
        assert code == 0, self.printed()[-6000:]

    def ctmar(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands in the environment of the study."""
        command = [sys.executable, "-m", "ctmar", *arguments]
        return subprocess.run(command, env=self.environment(), cwd=self.folder, text=True, capture_output=True)

    def kill(self) -> None:
        """Kill Snakemake and what it runs on this machine, but none of its jobs."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def printed_file(self) -> Path:
        """Where all that Snakemake prints is kept."""
        return self.folder / "snakemake.txt"

    def printed(self) -> str:
        """What Snakemake has printed."""
        return self.printed_file.read_text(errors="replace")

    def jobs(self, rule: str) -> list[SlurmJob]:
        """The jobs of a rule (and its wildcards) in the order of submission; waits where Slurm is silent."""
        columns = "%i|%T|%N|%m|%l|%k|%Z"
        asked = ["squeue", "--states", "all", "--sort", "i", "--noheader", "--format", columns]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}

        def answer() -> subprocess.CompletedProcess[str] | None:
            done = subprocess.run(asked, text=True, capture_output=True, env=environment)
            return done if done.returncode == 0 else None

        rows = [line.split("|") for line in wait_for("an answer of squeue", answer).stdout.splitlines()]
        return [SlurmJob(*row[:6]) for row in rows if row[5].startswith(f"rule_{rule}") and row[6] == str(self.folder)]

    @contextmanager
    def caught(self, *jobs: str) -> Iterator[list[SlurmJob]]:
        """Jobs of trainings that are stopped as soon as they start, long before they train, and let go at the end."""

        def running(job: str) -> SlurmJob | None:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"Snakemake ended before {job}:\n{self.printed()[-6000:]}")
            of_rule = self.jobs(f"train_wildcards_{job}")
            found = next((each for each in of_rule if each.state == "RUNNING" and each.processes()), None)
            if found is not None:
                found.send(signal.SIGSTOP)
            return found

        found: dict[str, SlurmJob] = {}

        def all_of_them() -> bool:
            for job in set(jobs) - set(found):  # none waits for another, which may come first
                if (one := running(job)) is not None:
                    found[job] = one
            return len(found) == len(jobs)

        try:
            wait_for(f"jobs that train {', '.join(jobs)}", all_of_them, 300)
            yield [found[job] for job in jobs]
        finally:
            for each in found.values():
                each.send(signal.SIGCONT)

    @contextmanager
    def held_in_training(self, *runs: tuple[str, str]) -> Iterator[list[SlurmJob]]:
        """Jobs that are in the middle of a run: stopped after its first epoch, and let go at the end.

        Args:
            *runs: folder of each run, and the job that trains it.
        """
        with self.caught(*(job for _, job in runs)) as found:
            for job, (run, _) in zip(found, runs, strict=True):
                checkpoint = self.folder / RESULTS / "runs" / run / "checkpoint.pt"
                job.send(signal.SIGCONT)
                wait_for(f"a checkpoint of {run}", checkpoint.is_file, every=0.002)  # nothing else: an epoch is short
                job.send(signal.SIGSTOP)
                assert not (checkpoint.parent / "weights.pt").exists(), "the training ended before it could be held"
            yield found

    def numbers(self) -> dict[str, str]:
        """A digest of every result that must not depend on how the study came to its end."""
        results = self.folder / RESULTS
        files = [*results.glob("runs/**/weights.pt"), *results.glob("**/slices.csv")]
        found = {str(file.relative_to(results)): file.read_bytes() for file in files}
        found |= {
            f"summary/{file.name}": without_measures_of_the_machine(file) for file in results.glob("summary/*.csv")
        }
        return {name: hashlib.sha256(found[name]).hexdigest() for name in sorted(found)}


def without_measures_of_the_machine(table: Path) -> bytes:
    """A table without the columns that hold times and memory."""
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = [index for index, name in enumerate(rows[0]) if "seconds" not in name and "memory_mb" not in name]
    return "\n".join(",".join(row[index] for index in kept) for row in rows).encode()
