"""What the check needs beyond torch, numpy, h5py, scipy, numba, pandas, rich and typer, in one ignored folder.

    python -m benchmarks.gpu_check.bundle     # make gpu-bundle: needs a network and the whole environment

``wheels/`` holds pinned wheels for Python 3.11 to 3.14 on x86-64 Linux, ``pairs.h5`` pairs of real CT at 416²,
``beam.json`` the tables of the X-ray tube. With the repository it stays under 60 MB.
"""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / ".gpu-bundle"
PURE = (
    "annotated-types",
    "iniconfig",
    "jaxtyping",
    "packaging",
    "pluggy",
    "pydantic",
    "pygments",
    "pytest",
    "typing-extensions",
    "typing-inspection",
    "wadler-lindig",
)
COMPILED = ("pydantic-core",)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LARGEST_MB = 60.0
INGEST = {"image_size": 416, "maximum_slices_per_patient": 6, "minimum_rows": 512}
MASKS_PER_SLICE = 3


def pins(names: tuple[str, ...]) -> list[str]:
    """The packages with the versions of the test environment.

    Raises:
        KeyError: one is not in the lock.
    """
    lines = (ROOT / "envs" / "cpu-test.txt").read_text().split()
    versions = dict(line.split("==") for line in lines)
    return [f"{name}=={versions[name]}" for name in names]


def download_wheels(folder: Path) -> None:
    """Fetch pure wheels once and compiled ones for every Python."""
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    for python in PYTHONS:
        wanted = pins(COMPILED + PURE) if python == PYTHONS[0] else pins(COMPILED)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--implementation", "cp", "--python-version", python, *platforms, "--dest", str(folder)]
        subprocess.run([*command, *wanted], check=True)


def unpack_wheels(wheels: Path, site: Path) -> None:
    """Unpack the wheels that fit this Python; no pip is needed, because a wheel is an archive of what is imported.

    Raises:
        FileNotFoundError: no wheels, or no compiled ones for this Python.
    """
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    fitting = [path for path in sorted(wheels.glob("*.whl")) if re.search(rf"-(py3|{tag})-", path.name)]
    if not any(f"-{tag}-" in path.name for path in fitting):
        raise FileNotFoundError(f"{wheels}: no wheel for {tag}; run `make gpu-bundle`, which fetches {PYTHONS}")
    for path in fitting:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(site)


def declare_this_package(site: Path) -> None:
    """Give the package a version where it is on the path and not installed: files record what made them."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    folder = site / f"equiproj-{version[1]}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: equiproj\nVersion: {version[1]}\n")


def make_pairs(folder: Path) -> None:
    """Simulate metal in slices of public CT, by the project's own steps: ``pairs.h5`` and ``beam.json``."""
    # imported here: who only unpacks the bundle has none of what these need
    import tempfile

    from ctmar.config import Ingest, Simulation
    from ctmar.datasets.acquire import acquire_packages
    from ctmar.datasets.ingest import ingest
    from ctmar.simulation.subset import simulate_subset
    from ctmar.store.slices import open_slices
    from ctmar.store.tables import write_rows

    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        acquire_packages(temporary / "packages")
        slices, split = temporary / "slices.h5", temporary / "split.csv"
        ingest(temporary / "packages", slices, temporary / "quarantine.csv", settings=Ingest(**INGEST))
        with open_slices(slices) as file:
            patients = dict.fromkeys(file.patient)
        write_rows(split, ("patient", "subset"), [{"patient": name, "subset": "train"} for name in patients])
        settings = Simulation(masks_per_slice={"train": MASKS_PER_SLICE, "validation": 1, "test": 1})
        simulate_subset(slices, split, "train", folder / "pairs.h5", settings, threads=2)
    (folder / "beam.json").write_text(json.dumps(beam_tables()) + "\n")


def beam_tables() -> dict[str, Any]:
    """The tables of the tube and of titanium in the benchmark's preset, which need spekpy and xraydb to compute."""
    from ctmar.config import Simulation
    from ctmar.simulation.scanner import build_scanner

    beam = build_scanner(Simulation(), INGEST["image_size"]).beam
    return {name: table.tolist() for name, table in vars(beam).items()}


def megabytes_of(paths: list[Path]) -> float:
    """Size of files in 10⁶ bytes."""
    return sum(path.stat().st_size for path in paths) / 1e6


def sizes(bundle: Path) -> dict[str, float]:
    """Code, wheels and data in 10⁶ bytes; the code is what git tracks."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {
        "code": megabytes_of([ROOT / name for name in tracked.split("\0") if name and (ROOT / name).is_file()]),
        "wheels": megabytes_of(list((bundle / "wheels").glob("*.whl"))),
        "data": megabytes_of([bundle / "pairs.h5", bundle / "beam.json"]),
    }


def main() -> None:
    """Fill the folder and say what it weighs."""
    (BUNDLE / "wheels").mkdir(parents=True, exist_ok=True)
    for old in (BUNDLE / "wheels").glob("*.whl"):
        old.unlink()
    download_wheels(BUNDLE / "wheels")
    make_pairs(BUNDLE)
    found = sizes(BUNDLE)
    print(", ".join(f"{name} {size:.1f} MB" for name, size in found.items()), f"in all {sum(found.values()):.1f} MB")
    if sum(found.values()) > LARGEST_MB:
        raise SystemExit(
            f"expected at most {LARGEST_MB:g} MB of code, wheels and data, found {sum(found.values()):.1f}"
        )


if __name__ == "__main__":
    main()
