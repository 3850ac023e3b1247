"""Pairs per second of the simulation, in one run: ours, the same physics done anew for every pair, and ODL + ASTRA.

    python benchmarks/simulation_speed.py --size 416 --slices 2 --masks 6 --threads 2

ODL and ASTRA are no dependency; without them their row says so. They get every advantage of ours: slice-only and
mask-only projections are reused and the spectrum is summed on the metal trace alone; only the projector and the
filtered back-projection are theirs. Times are wall clock, without reading or writing files; the peak is that of the
whole process.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation import polychromatic
from ctmar.simulation.interpolation import interpolate_linearly, trace_edges
from ctmar.simulation.masks import draw_mask, find_anatomy
from ctmar.simulation.noise import random_stream
from ctmar.simulation.plain_files import read_image
from ctmar.simulation.scanner import Scanner, SlicePaths, build_scanner, scan_metal, scan_slice, trace_slice

Work = list[tuple[np.ndarray, list[np.ndarray]]]


def phantom(size: int, k: int) -> np.ndarray:
    """Return an ellipse of water with a spine, two ribs and gas, another one for each k, in 1/cm."""
    rows, columns = (np.indices((size, size)) - (size - 1) / 2) * 128 / size
    image = np.where((rows / 42) ** 2 + (columns / (52 + k % 5)) ** 2 < 1, 0.2, 0.0)
    for row, column, radius, value in ((22, 0, 9, 0.35), (5, -46, 4, 0.45), (5, 46, 4, 0.45), (-18, 20, 8, 0.0)):
        image[np.hypot(rows - row, columns - column) < radius] = value
    return image.astype(np.float32)


def draw_work(arguments: argparse.Namespace) -> Work:
    work: Work = []
    for k in range(arguments.slices):
        image = read_image(arguments.image) if arguments.image else phantom(arguments.size, k)
        anatomy = find_anatomy(image)
        work.append((image, [draw_mask(anatomy, random_stream(0, k, m)).binary for m in range(arguments.masks)]))
    return work


def ours(work: Work, threads: int) -> Iterator[np.ndarray]:
    scanner = build_scanner(Simulation(), len(work[0][0]))

    def pair(paths: SlicePaths, mask: np.ndarray) -> np.ndarray:
        return scan_metal(scanner, paths, mask, random_stream(0)).ma_CT

    with ThreadPoolExecutor(threads) as pool:
        slices = [pool.submit(trace_slice, scanner, image) for image, _ in work]
        clean = [pool.submit(lambda paths: scan_slice(scanner, paths.result(), random_stream(1)), s) for s in slices]
        pairs = [
            pool.submit(lambda s, mask: pair(s.result(), mask), s, mask)
            for s, (_, masks) in zip(slices, work, strict=True)
            for mask in masks
        ]
        yield from (job.result() for job in pairs)
        for job in clean:
            job.result()


def anew_for_every_pair(work: Work, threads: int) -> Iterator[np.ndarray]:
    def pair(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        scanner = build_scanner(Simulation(), len(image))
        paths = trace_slice(scanner, image)
        scan_slice(scanner, paths, random_stream(1))
        return scan_metal(scanner, paths, mask, random_stream(0)).ma_CT

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda job: pair(*job), [(image, mask) for image, masks in work for mask in masks])


def odl_operators(scanner: Scanner):  # type: ignore[no-untyped-def]
    """Return (projection, reconstruction) of ODL on ASTRA's CPU projector for the scan of ``scanner``."""
    import odl
    import odl.applications.tomo as tomo

    scan = scanner.geometry
    half, reach = scan.image_size * scan.pixel_cm / 2, scan.n_bins * scan.bin_cm / 2
    space = odl.uniform_discr([-half, -half], [half, half], [scan.image_size] * 2, dtype="float32")
    fan = tomo.FanBeamGeometry(
        odl.uniform_partition(0, 2 * np.pi, scan.n_views),
        odl.uniform_partition(-reach, reach, scan.n_bins),
        src_radius=scan.source_cm,
        det_radius=scan.detector_cm,
    )
    forward = tomo.RayTransform(space, fan, impl="astra_cpu")
    back = tomo.fbp_op(forward, filter_type="Ram-Lak")
    return lambda x: np.asarray(forward(x.astype(np.float32)).data), lambda s: np.asarray(back(s).data)


def odl_and_astra(work: Work, threads: int) -> Iterator[np.ndarray]:
    scanner = build_scanner(Simulation(), len(work[0][0]))
    project, reconstruct = odl_operators(scanner)
    beam, share = scanner.beam, scanner.preset.edge_share(len(work[0][0]))
    for image, masks in work:
        water, bone = (project(tissue) for tissue in polychromatic.split_tissue(image))
        passed = polychromatic.transmission(beam, water, bone)
        reconstruct(polychromatic.measure(beam, passed, scanner.photons, scanner.scatter, random_stream(1)))
        for mask in masks:
            path_cm = project(mask)
            trace = path_cm > 0
            path_cm[trace_edges(trace)] *= share
            through = passed.copy()
            through[trace] = polychromatic.transmission(beam, water[trace], bone[trace], path_cm[trace])
            sinogram = polychromatic.measure(beam, through, scanner.photons, scanner.scatter, random_stream(0))
            reconstruct(interpolate_linearly(sinogram, trace))
            yield reconstruct(sinogram)


def pairs_per_second(run: Callable[[Work, int], Iterator[np.ndarray]], work: Work, threads: int) -> float:
    """Time a run over all pairs; the first pair is done once before, so compiling is not counted."""
    next(run([(work[0][0], work[0][1][:1])], threads))
    start = time.perf_counter()
    n_pairs = sum(1 for _ in run(work, threads))
    return n_pairs / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="real slice: .npy or an HDF5 file with a field `image`, in 1/cm")
    parser.add_argument("--size", type=int, default=416, help="rows and columns of the phantom [pixels]")
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--masks", type=int, default=6, help="masks for each slice")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    try:
        work = draw_work(arguments)
    except InputError as error:
        parser.error(str(error))
    print(f"{len(work)} slices x {arguments.masks} masks of {len(work[0][0])}², {arguments.threads} threads")
    own = pairs_per_second(ours, work, arguments.threads)
    print(f"ours                 {own:8.2f} pairs/s")
    naive = pairs_per_second(anew_for_every_pair, work, arguments.threads)
    print(f"anew for every pair  {naive:8.2f} pairs/s   ours is {own / naive:.1f} x")
    try:
        theirs = pairs_per_second(odl_and_astra, work, arguments.threads)
        print(f"ODL + ASTRA (CPU)    {theirs:8.2f} pairs/s   ours is {own / theirs:.1f} x")
    except ImportError as error:
        print(f"ODL + ASTRA (CPU)    not measured: {error}")
    print(f"peak memory          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


if __name__ == "__main__":
    main()
