"""Snakemake as a user types it in a folder, and what it would run again there."""

import os
import subprocess
import sys
from pathlib import Path

from tests.workflow.planned import rules_planned

REPOSITORY = Path(__file__).resolve().parents[2]
ALWAYS = ("--cores", "2", "--workflow-profile", "none", "--scheduler", "greedy")


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder to its end."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-m", "snakemake", *ALWAYS, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, timeout=1200)


def run_again(folder: Path, *arguments: str | Path) -> set[str]:
    """The rules that Snakemake would run again."""
    done = run(folder, *arguments, "--dry-run")
    assert done.returncode == 0, done.stderr
    rules = rules_planned(done.stdout)
    assert rules or "Nothing to be done" in done.stdout + done.stderr
    return rules
