"""Running Snakemake as a user would, in a folder of the test's own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.yaml")

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def snakemake_command(folder: Path, *arguments: str, config: Path = SMALL) -> list[str]:
    """The command line that runs the repository's workflow in ``folder``."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "workflow" / "Snakefile")]
    return [*command, "--directory", str(folder), "--cores", "2", "--configfile", str(config), *arguments]


def environment() -> dict[str, str]:
    """The environment with this interpreter's commands first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Run Snakemake in a folder and return what it printed."""

    def run(folder: Path, *arguments: str, config: Path = SMALL) -> subprocess.CompletedProcess[str]:
        command = snakemake_command(folder, *arguments, config=config)
        return subprocess.run(command, env=environment(), text=True, capture_output=True, timeout=900)

    return run


@pytest.fixture(scope="session")
def finished_study(snakemake: Snakemake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study that ran from the download to the report."""
    folder = tmp_path_factory.mktemp("study")
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return folder
