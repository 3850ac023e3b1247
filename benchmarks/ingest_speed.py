"""Slices per second and memory of `ctmar ingest` beside a plain pydicom loop, taking turns on one folder.

    python benchmarks/ingest_speed.py FOLDER_OF_A_REAL_SERIES --slices 2000 --threads 2

The folder is multiplied (new positions and series) into a temporary one. The plain loop does what a script of twenty
lines does: read, decode, rescale, resize with scikit-image, write compressed HDF5; it checks nothing.
"""

import argparse
import contextlib
import importlib
import io
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

SLICES_PER_SERIES = 200
# Imports stand inside the functions: worker processes import this file, and shall be as small as those of the command.


def multiply(source: Path, target: Path, n_slices: int) -> None:
    """Copies of real slices, in series of 200, each slice at a position of its own."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in sorted(source.glob("*.dcm"))]
    for number in range(n_slices):
        dataset = datasets[number % len(datasets)]
        series, index = divmod(number, SLICES_PER_SERIES)
        dataset.PatientID = f"patient {series}"
        dataset.SeriesInstanceUID = f"1.2.3.{series + 1}"
        dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = f"1.2.5.{series + 1}"  # else all are one patient
        dataset.SOPInstanceUID = f"1.2.4.{number + 1}"
        dataset.ImagePositionPatient[2] = 2 * index
        path = target / f"{series}" / f"{index:04d}.dcm"
        path.parent.mkdir(exist_ok=True)
        dataset.save_as(path)


def plain_loop(folder: Path, output: Path, size: int) -> int:
    """Read, decode, rescale, resize, write; one after the other."""
    import h5py
    import numpy as np
    import pydicom
    from pydicom.pixels import apply_rescale, pixel_array
    from skimage.transform import resize

    from ctmar.units import hu_to_attenuation

    paths = sorted(folder.rglob("*.dcm"))
    with h5py.File(output, "w") as file:
        shape, chunks = (len(paths), size, size), (1, size, size)
        images = file.create_dataset("image", shape, np.float32, chunks=chunks, compression="gzip", shuffle=True)
        for index, path in enumerate(paths):
            dataset = pydicom.dcmread(path)
            image_hu = apply_rescale(pixel_array(dataset), dataset)
            images[index] = hu_to_attenuation(resize(image_hu, (size, size), order=1, anti_aliasing=True))
    return len(paths)


def ingest_folder(folder: Path, output: Path, size: int, threads: int) -> int:
    """What `ctmar ingest` does."""
    from ctmar.config import Ingest
    from ctmar.datasets.ingest import ingest

    settings = Ingest(image_size=size, maximum_slices_per_patient=SLICES_PER_SERIES)
    quarantine = output.with_suffix(".csv")
    with contextlib.redirect_stderr(io.StringIO()):
        return ingest(folder, output, quarantine, settings=settings, threads=threads).n_slices


def processes_below(parent: int) -> list[int]:
    """A process and all that it started (Linux)."""
    children = []
    with contextlib.suppress(FileNotFoundError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(process for child in children for process in processes_below(int(child)))]


def resident_megabytes(process: int) -> float:
    """Resident memory of a process from the kernel's books; 0 when it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
        return int(found.group(1)) / 1024 if found else 0.0
    return 0.0


def peak_of_the_command(folder: Path, output: Path, size: int, threads: int) -> tuple[float, float]:
    """Run `ctmar ingest` and watch it: peak of the sum over its processes, and of the largest one [MB].

    Memory that processes share counts once for each, so the sum is an upper bound.
    """
    settings = json.dumps({"image_size": size, "maximum_slices_per_patient": SLICES_PER_SERIES})
    command = [
        sys.executable,
        "-c",
        "from ctmar.cli import main; main()",
        "ingest",
        str(folder),
        "--output",
        str(output),
        "--threads",
    ]
    command += [str(threads), "--quarantine", str(output.with_suffix(".csv")), "--settings", settings]
    total = largest = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            now = [resident_megabytes(child) for child in processes_below(process.pid)]
            total, largest = max(total, sum(now)), max(largest, *now)
            time.sleep(0.05)
    if process.returncode != 0:
        raise SystemExit(f"ctmar ingest ended with code {process.returncode}")
    return total, largest


@dataclass(frozen=True)
class Turn:
    """One call: slices per second of wall time, milliseconds of processor time per slice over all processes."""

    per_second: float
    cpu_milliseconds: float


def cpu_seconds() -> float:
    """Processor time of this process and of all that it started and that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def take_turn(function: Callable[[], int]) -> Turn:
    """Time one call."""
    start, cpu_start = time.perf_counter(), cpu_seconds()
    n_slices = function()
    return Turn(n_slices / (time.perf_counter() - start), 1000 * (cpu_seconds() - cpu_start) / n_slices)


def show(name: str, turns: list[Turn]) -> None:
    """Medians over turns."""
    wall, cpu = (statistics.median(values) for values in zip(*map(astuple, turns), strict=True))
    print(f"{name:32s} median {wall:6.1f} slices/s, {cpu:6.1f} CPU ms per slice")


def main() -> None:
    """Print medians of both, the median ratio of turns taken one after the other, and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    size, threads = arguments.size, arguments.threads
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as temporary:
        output, folder = Path(temporary) / "out.h5", Path(temporary) / "in"
        folder.mkdir()
        multiply(arguments.folder, folder, arguments.slices)
        for module in ("ctmar.datasets.ingest", "h5py", "skimage.transform"):  # imports are not timed on either side
            importlib.import_module(module)
        for _ in range(arguments.turns):
            ours.append(take_turn(lambda: ingest_folder(folder, output, size, threads)))
            plain.append(take_turn(lambda: plain_loop(folder, output, size)))
            print(f"turn: ctmar ingest {ours[-1].per_second:.1f}, plain loop {plain[-1].per_second:.1f} slices/s")
        total, largest = peak_of_the_command(folder, output, size, threads)
    show(f"ctmar ingest, {threads} processes", ours)
    show("plain pydicom loop", plain)
    pairs = list(zip(ours, plain, strict=True))
    wall = statistics.median(one.per_second / other.per_second for one, other in pairs)
    cpu = statistics.median(other.cpu_milliseconds / one.cpu_milliseconds for one, other in pairs)
    print(f"median ratio {wall:.2f} in wall time, {cpu:.2f} in CPU time ({arguments.turns} turns)")
    print(f"peak memory of {arguments.slices} slices: {total:.0f} MB over all processes, largest {largest:.0f} MB")


if __name__ == "__main__":
    main()
