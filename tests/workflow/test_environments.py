"""The pinned locks, the conda specification and pyproject.toml agree."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"pytorch": "torch"}


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / "envs" / name).read_text().split()
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("lock", ["cpu.txt", "cpu-test.txt", "gpu.txt"])
def test_every_requirement_is_pinned_within_its_bounds(lock):
    extras = ("ctmar", "workflow", "test", "docs", "dev") if lock == "cpu-test.txt" else ("ctmar", "workflow")
    wanted = [
        *project()["dependencies"],
        *(text for extra in extras for text in project()["optional-dependencies"][extra]),
    ]
    found = pins(lock)
    assert "equiproj" not in found  # the repository is installed beside its lock
    for requirement in map(Requirement, wanted):
        if requirement.name == "equiproj":
            continue
        version = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{lock}: {requirement} but {version}"


def test_the_test_and_gpu_locks_extend_the_cpu_lock():
    cpu = pins("cpu.txt").items()
    assert cpu <= pins("cpu-test.txt").items()
    assert cpu <= pins("gpu.txt").items()


def test_the_conda_specification_has_the_locked_versions():
    entries = yaml.safe_load((REPOSITORY / "envs" / "ctmar.yaml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    from_conda = [entry for entry in entries if isinstance(entry, str) and entry not in ("python=3.11", "pip")]
    found = dict(entry.split("==") for entry in from_pip) | dict(entry.split("=") for entry in from_conda)
    found = {canonicalize_name(CONDA_NAMES.get(name, name)): version for name, version in found.items()}
    cpu = pins("cpu.txt")
    assert found == {name: cpu[name] for name in found}
    needed = [*project()["dependencies"], *project()["optional-dependencies"]["ctmar"]]
    wanted = {canonicalize_name(Requirement(text).name) for text in needed}
    assert wanted == set(found)
