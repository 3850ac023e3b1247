"""`pip install equiproj` without extras: what it brings, and that the library works with that alone.

No network is asked: the wheel is built by the installed hatchling, and the packages that the wheel requires are those
of the running environment, linked one by one into an empty one.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
LIBRARY = {"torch", "numpy", "jaxtyping"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run with the new environment alone: without the folders of this test run."""
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        list(map(str, command)), env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=300
    )


def required(names: set[str]) -> set[str]:
    """The named distributions and all that they require here, without extras."""
    found: set[str] = set()
    while names - found:
        name = min(names - found)
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names = names | {requirement.name}
    return found


def link(name: str, site_packages: Path) -> None:
    """Show what an installed distribution holds in another environment."""
    files = metadata.files(name)
    assert files, name
    for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
        source, target = Path(str(metadata.distribution(name).locate_file(top))), site_packages / top
        if source.exists() and not target.exists():
            target.symlink_to(source)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    built = run(sys.executable, "-m", "pip", "wheel", REPOSITORY, *options)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("equiproj-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("light") / "environment"
    assert run(sys.executable, "-m", "venv", "--without-pip", folder).returncode == 0
    (site_packages,) = folder.glob("lib/python3*/site-packages")
    for name in required(set(LIBRARY)):
        link(name, site_packages)
    interpreter = folder / "bin" / "python"
    installed = run(
        sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-index", "--no-deps", "--quiet", wheel
    )
    assert installed.returncode == 0, installed.stderr
    return interpreter


def test_the_wheel_requires_three_packages(python: Path) -> None:
    program = "from importlib import metadata; print('\\n'.join(metadata.requires('equiproj')))"
    requirements = list(map(Requirement, run(python, "-c", program).stdout.splitlines()))
    assert {each.name for each in requirements if each.marker is None} == LIBRARY
    study = {each.name for each in requirements if each.marker and each.marker.evaluate({"extra": "ctmar"})}
    assert {"typer", "pydantic", "h5py", "mlflow", "pydicom"} <= study
    assert not {each for each in study if each.startswith("snakemake")}


def test_nothing_else_is_installed_and_nothing_is_missing(python: Path) -> None:
    listed = run(sys.executable, "-m", "pip", "--python", python, "list", "--format=freeze").stdout.splitlines()
    assert {line.split("==")[0].lower().replace("_", "-") for line in listed} | {"setuptools"} == {
        name.lower().replace("_", "-") for name in required(set(LIBRARY)) | {"equiproj", "setuptools"}
    }
    checked = run(sys.executable, "-m", "pip", "--python", python, "check")
    assert checked.returncode == 0, checked.stdout


def test_the_example_of_the_readme_runs(python: Path) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (example,) = (
        text
        for text in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if "import equiproj" in text or "from equiproj" in text
    )
    finished = run(python, "-c", example)
    assert finished.returncode == 0, finished.stderr
    assert re.search(r"^network +\d\S* +frobenius$", finished.stdout, re.MULTILINE)


def test_every_module_of_the_library_can_be_imported(python: Path) -> None:
    program = (
        "import equiproj, importlib, pkgutil\n"
        "names = [each.name for each in pkgutil.walk_packages(equiproj.__path__, 'equiproj.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names))"
    )
    finished = run(python, "-c", program)
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) > 50


def test_the_routes_agree_there(python: Path) -> None:
    finished = run(python, "-m", "equiproj.testing.compare_routes")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.splitlines()[-1].endswith("passed")


@pytest.mark.parametrize("command", [["bin/ctmar", "--help"], ["bin/python", "-m", "ctmar", "report"]])
def test_the_study_says_what_to_install(python: Path, command: list[str]) -> None:
    finished = run(python.parents[1] / command[0], *command[1:])
    assert finished.returncode == 2
    assert re.fullmatch(
        r"ctmar: the study needs typer, which is not installed: pip install 'equiproj\[ctmar\]'\n", finished.stderr
    )
