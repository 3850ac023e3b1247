"""Milliseconds per image of projector and reconstruction, in one run: numba, torch, and ASTRA where it is installed.

    python benchmarks/projector_speed.py --size 416 --batch 8 --threads 1
    python benchmarks/projector_speed.py --device cuda --batch 32

numba works on one image per thread, so its times are those of one image divided by the threads; torch works on the
batch with as many threads. Rows are interleaved and the median of the repeats is shown. `error` is the largest
difference to numba over the largest number. ASTRA's CPU line model has another kernel (and no filtered back-projection
of a fan beam): its error says how far the models are apart, not which is right.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ctmar.estimate.simulation_cost import synthetic_slice
from ctmar.simulation import projector, projector_torch, reconstruction, reconstruction_torch
from ctmar.simulation.geometry import FanBeam, benchmark_geometry

Operator = Callable[[np.ndarray], np.ndarray]


def numba_operators(scan: FanBeam, threads: int) -> dict[str, Operator]:
    pool = ThreadPoolExecutor(threads)

    def reconstruct(sinograms: np.ndarray) -> np.ndarray:
        couples = [sinograms[k : k + 2] for k in range(0, len(sinograms), 2)]  # two at a time share most of the work
        parts = pool.map(lambda couple: reconstruction.filtered_back_projection(scan, *couple), couples)
        return np.concatenate([np.stack(part) for part in parts])

    def over_images(operator: Operator) -> Operator:
        return lambda batch: np.stack(list(pool.map(operator, batch)))

    return {
        "project": over_images(lambda image: projector.project(scan, image)),
        "adjoint": over_images(lambda sinogram: projector.back_project(scan, sinogram)),
        "FBP": reconstruct,
    }


def torch_operators(scan: FanBeam, device: str) -> dict[str, Operator]:
    def moved(operator: Callable[[FanBeam, torch.Tensor], torch.Tensor]) -> Operator:
        # the copy to the device and back is part of the time, and waits for the device
        return lambda batch: operator(scan, torch.from_numpy(batch).to(device)).cpu().numpy()

    return {
        "project": moved(projector_torch.project),
        "adjoint": moved(projector_torch.back_project),
        "FBP": moved(reconstruction_torch.filtered_back_projection),
    }


def astra_operators(scan: FanBeam) -> dict[str, Operator]:
    import astra

    half = scan.image_size * scan.pixel_cm / 2
    volume = astra.create_vol_geom(scan.image_size, scan.image_size, -half, half, -half, half)
    angles = scan.angles  # in ASTRA's convention already
    fan = astra.create_proj_geom("fanflat", scan.bin_cm, scan.n_bins, angles, scan.source_cm, scan.detector_cm)
    line = astra.create_projector("line_fanflat", fan, volume)

    def project(image: np.ndarray) -> np.ndarray:
        number, sinogram = astra.create_sino(image, line)
        astra.data2d.delete(number)
        return sinogram

    def adjoint(sinogram: np.ndarray) -> np.ndarray:
        number, image = astra.create_backprojection(sinogram, line)
        astra.data2d.delete(number)
        return image

    return {
        "project": lambda batch: np.stack([project(image) for image in batch]),
        "adjoint": lambda batch: np.stack([adjoint(sinogram) for sinogram in batch]),
    }


def implementations(scan: FanBeam, device: str, threads: int) -> dict[str, dict[str, Operator]]:
    rows = {"numba": numba_operators(scan, threads), "torch cpu": torch_operators(scan, "cpu")}
    if device == "cuda":
        rows["torch cuda"] = torch_operators(scan, "cuda")
    try:
        rows["ASTRA cpu"] = astra_operators(scan)
    except ImportError as error:
        print(f"ASTRA not measured: {error}")
    return rows


def measure(rows: dict[str, dict[str, Operator]], batch: dict[str, np.ndarray], repeats: int) -> None:
    for operator in ("project", "adjoint", "FBP"):
        expected, times = {}, {name: [] for name, row in rows.items() if operator in row}
        for repeat in range(repeats + 1):  # the first one compiles and fills caches
            for name in times:
                start = time.perf_counter()
                expected[name] = rows[name][operator](batch[operator])
                if repeat:
                    times[name].append(time.perf_counter() - start)
        for name, seconds in times.items():
            error = np.abs(expected[name] - expected["numba"]).max() / np.abs(expected["numba"]).max()
            median, numba = statistics.median(seconds), statistics.median(times["numba"])
            per_image = 1000 * median / len(batch[operator])
            ratio = f"{numba / median:6.2f} x numba"
            print(f"{operator:8s} {name:11s} {per_image:9.2f} ms/image   {ratio}   error {error:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=416, help="rows and columns [pixels]")
    parser.add_argument("--batch", type=int, default=8, help="images worked on together")
    parser.add_argument("--threads", type=int, default=1, help="threads of numba and of torch on the CPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: torch on the GPU too")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU")
    torch.set_num_threads(arguments.threads)
    scan = benchmark_geometry(arguments.size)
    images = np.stack([np.roll(synthetic_slice(arguments.size).image, 3 * k, axis=1) for k in range(arguments.batch)])
    sinograms = np.stack([projector.project(scan, image) for image in images])
    gpu = f", {torch.cuda.get_device_name()}" if arguments.device == "cuda" else ""
    print(f"{len(images)} images of {arguments.size}², sinograms {scan.n_views} x {scan.n_bins},", end=" ")
    print(f"{arguments.threads} threads{gpu}")
    rows = implementations(scan, arguments.device, arguments.threads)
    measure(rows, {"project": images, "adjoint": sinograms, "FBP": sinograms}, arguments.repeats)


if __name__ == "__main__":
    main()
