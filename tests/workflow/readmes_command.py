"""A checkout of the small study, and in it the command of the README: what `make report` runs once it is installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGURATION = "small.yaml"


def make_checkout(folder: Path, packages: Path, **study: object) -> Path:
    """Copy what the command reads into a folder; the public CT need not be fetched again.

    Args:
        folder: where the checkout goes.
        packages: CT that was fetched before.
        **study: keys of the section `study` of small.yaml that differ.
    """
    for name in ("workflow", "config", "envs"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    configuration = yaml.safe_load(Path(__file__).with_name(CONFIGURATION).read_text())
    configuration["study"] |= study
    (folder / CONFIGURATION).write_text(yaml.safe_dump(configuration))
    (folder / "resources").mkdir()
    (folder / "resources" / "packages").symlink_to(packages)
    return folder


def readmes_command(cores: int = 2) -> str:
    """The lines of the Makefile, with its variables filled in, as one line of shell."""
    recipe = re.search(r"^report:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)[1]
    lines = [line.strip() for line in recipe.splitlines() if line.strip().startswith(("ctmar ", "snakemake "))]
    assert any("snakemake --workflow-profile workflow/profiles/default" in line for line in lines)
    return " && ".join(lines).replace("$(CORES)", str(cores)).replace("$(CONFIG)", CONFIGURATION)


def start(checkout: Path, log: Path, cores: int = 2) -> subprocess.Popen[bytes]:
    """Start the command; what it prints goes to the end of a log."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY / "src")}
    with log.open("a") as printed:
        return subprocess.Popen(
            readmes_command(cores), shell=True, cwd=checkout, env=environment, stdout=printed, stderr=printed
        )
