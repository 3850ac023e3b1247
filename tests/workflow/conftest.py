"""Running Snakemake as a user would, in a folder of the test's own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.yaml")


STARTS_SNAKEMAKE = {"snakemake", "snakemake_on_slurm", "snakemake_on", "finished_study"}


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark every test that starts Snakemake through a fixture, so that `make test-fast` leaves it out."""
    for item in items:
        if STARTS_SNAKEMAKE & set(getattr(item, "fixturenames", ())):
            item.add_marker("workflow")


@dataclass(frozen=True)
class Snakemake:
    """Snakemake on the repository's workflow, with this interpreter's commands first on the path."""

    config: Path = SMALL
    where: tuple[str, ...] = ("--cores", "2")
    checkout: Path = REPOSITORY

    def command(self, folder: Path, *arguments: str) -> list[str]:
        """The command line that works in ``folder``."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.checkout / "workflow" / "Snakefile")]
        return [*command, "--directory", str(folder), *self.where, "--configfile", str(self.config), *arguments]

    def environment(self) -> dict[str, str]:
        """The environment of the process."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.checkout / "src")}

    def ctmar(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `ctmar` of the same checkout."""
        command = [sys.executable, "-m", "ctmar", *arguments]
        environment = self.environment()
        return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, timeout=600)

    def __call__(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to the end and return what was printed; nothing works in the folder any more then."""
        command = self.command(folder, *arguments)
        done = subprocess.run(command, env=self.environment(), text=True, capture_output=True, timeout=1200)
        assert not followers(folder)
        return done


def followers(folder: Path) -> list[list[bytes]]:
    """The commands of processes in a folder that mirror a study while it runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"--follow" in words and (process / "cwd").resolve() == folder.resolve():
                found.append(words)
    return found


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Snakemake on the small study."""
    return Snakemake()


@pytest.fixture(scope="session")
def snakemake_on_slurm() -> Snakemake:
    """Snakemake on the small study with the cluster profile; no account, and no number of cores."""
    profile = ("--workflow-profile", str(REPOSITORY / "workflow" / "profiles" / "slurm"))
    return Snakemake(
        where=(
            *profile,
            "--slurm-no-account",
            "--default-resources",
            "slurm_partition=cpu",
            "mem_mb=2000",
            "runtime=30",
        )
    )


@pytest.fixture(scope="session")
def snakemake_on() -> Callable[[Path], Snakemake]:
    """Snakemake on another configuration."""
    return Snakemake


@pytest.fixture(scope="session")
def snakemake_of() -> Callable[[Path], Snakemake]:
    """Snakemake on the small study, with the workflow and the code of another checkout."""
    return lambda checkout: Snakemake(checkout=checkout)


@pytest.fixture(scope="session")
def hostile_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in a folder with blanks, an apostrophe, brackets and an umlaut in its name."""
    checkout = tmp_path_factory.mktemp("checkout") / "Jörg's work (2) [a]"
    for name in ("workflow", "config", "src", "benchmarks", "envs"):
        shutil.copytree(REPOSITORY / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    return checkout


@pytest.fixture(scope="session")
def finished_study(
    snakemake: Snakemake, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """The folder of a small study that ran from the download to the report, watched by `ctmar watch`.

    All workers of a test run have the same one: it is read, copied and planned in, never run in.
    """
    several = hasattr(request.config, "workerinput")
    root = tmp_path_factory.getbasetemp().parent if several else tmp_path_factory.getbasetemp()
    folder = root / "finished" / "study"
    with FileLock(root / "finished.lock"):
        if not (seen_of(folder) / "exit_code.txt").exists():
            run_to_the_end(snakemake, folder)
    return folder


@pytest.fixture
def copied_study(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to run Snakemake in; without the marks of a Snakemake that plans in it just now."""

    def marks(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder).name == ".snakemake" and name in ("ctmar", "locks")]

    return shutil.copytree(finished_study, tmp_path / "checkout", symlinks=True, ignore=marks)


def run_to_the_end(snakemake: Snakemake, folder: Path) -> None:
    """Run the small study in a folder while `ctmar watch` looks on."""
    folder.mkdir(parents=True)
    seen = seen_of(folder)
    seen.mkdir()
    command = [
        sys.executable,
        "-m",
        "ctmar",
        "watch",
        "results/small",
        "--every",
        "0.5",
        "--page",
        str(seen / "page.html"),
    ]
    with (seen / "log.txt").open("w") as log:
        watching = subprocess.Popen(command, cwd=folder, env=snakemake.environment(), stdout=log, stderr=log)
        try:
            done = snakemake(folder)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
            (seen / "exit_code.txt").write_text(str(watching.wait(60)))  # it ends by itself
        finally:
            watching.kill()


def seen_of(study: Path) -> Path:
    """Where is what `ctmar watch` showed while a study ran: log.txt, page.html, exit_code.txt."""
    return study.with_name(f"{study.name}-watched")
