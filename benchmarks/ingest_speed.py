"""Slices per second and memory of `ctmar ingest` beside a plain pydicom loop, taking turns on one folder.

    python benchmarks/ingest_speed.py FOLDER_OF_A_REAL_SERIES --slices 2000 --threads 2

The folder is multiplied (new positions and series) into a temporary one. The plain loop does what a script of twenty
lines does: read, decode, rescale, resize with scikit-image, write compressed HDF5; it checks nothing.
"""

import argparse
import contextlib
import importlib
import io
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable
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


def peak_megabytes(process: str) -> float:
    """Largest resident memory of a process so far, from the kernel's books (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def ingest_folder(folder: Path, output: Path, size: int, threads: int, peaks: dict[str, float]) -> int:
    """What `ctmar ingest` does; the peak memory of each process is left in ``peaks``."""
    from ctmar.config import Ingest
    from ctmar.datasets.ingest import ingest

    def watch(n_done: int, n_total: int, what: str) -> None:
        for process in ("self", *(str(child.pid) for child in multiprocessing.active_children())):
            peaks[process] = peak_megabytes(process)

    settings = Ingest(image_size=size, maximum_slices_per_patient=SLICES_PER_SERIES)
    quarantine = output.with_suffix(".csv")
    with contextlib.redirect_stderr(io.StringIO()):
        return ingest(folder, output, quarantine, settings=settings, threads=threads, progress=watch).n_slices


def rate(function: Callable[[], int]) -> float:
    """Slices per second of one call."""
    start = time.perf_counter()
    return function() / (time.perf_counter() - start)


def main() -> None:
    """Print the rates of each turn, the median ratio, and the peak memory of ingestion."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    size, threads, ratios = arguments.size, arguments.threads, []
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        output, folder = Path(temporary) / "out.h5", Path(temporary) / "in"
        folder.mkdir()
        multiply(arguments.folder, folder, arguments.slices)
        for module in ("ctmar.datasets.ingest", "h5py", "skimage.transform"):  # imports are not timed on either side
            importlib.import_module(module)
        for _ in range(arguments.turns):
            ours = rate(lambda: ingest_folder(folder, output, size, threads, peaks))
            plain = rate(lambda: plain_loop(folder, output, size))
            ratios.append(ours / plain)
            print(f"ctmar ingest, {threads} processes: {ours:.1f} slices/s; plain pydicom loop: {plain:.1f} slices/s")
    print(f"median ratio {statistics.median(ratios):.2f} over {arguments.turns} turns of {arguments.slices} slices")
    own, largest_child = peaks.pop("self"), max(peaks.values(), default=0)
    print(f"peak memory {own:.0f} MB, and at most {largest_child:.0f} MB in each worker process")


if __name__ == "__main__":
    main()
