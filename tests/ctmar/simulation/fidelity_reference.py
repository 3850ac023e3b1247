"""The numbers of fidelity_reference.json: what the stored pairs of SynDeepLesion and a generated phantom give.

    python -m tests.ctmar.simulation.fidelity_reference FOLDER_OF_SYNDEEPLESION

derives them again. FOLDER holds the benchmark as its authors publish it (`train/train_640geo`, `train/trainmask.npy`).
It is research data derived from NIH DeepLesion and is not ours to hand on, so no image, mask or sinogram of it is
written: only rays without their places, and averages over all views and over rings, from which no picture can be made.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation
from ctmar.simulation.interpolation import trace_edges
from ctmar.simulation.noise import random_stream
from ctmar.simulation.plain_files import fit_mask
from ctmar.simulation.polychromatic import measure, transmission
from ctmar.simulation.scanner import Scanner, build_scanner, scan_metal, scan_slice, trace_slice
from ctmar.store.benchmark import read_field

REFERENCE = Path(__file__).with_name("fidelity_reference.json")
SIZE = 416
SLICES = {"000195_02_02/202": "0", "000129_03_01/115": None}  # the metal mask of the second is not public
N_RAYS = 200  # of each kind
QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
PHANTOM_SIZE = 208
PHANTOM_PIXEL_MM = 1.6


def rings(size: int) -> NDArray[np.int64]:
    """Number of the ring of every pixel, counted from the centre, one pixel wide."""
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return np.hypot(rows, columns).astype(np.int64)


def ring_means(image: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of every ring that lies inside the image."""
    number = rings(len(image)).ravel()
    sums, counts = np.bincount(number, image.ravel().astype(float)), np.bincount(number)
    return (sums / counts)[: len(image) // 2]


def disc(size: int, row: float, column: float, radius: float) -> NDArray[np.float64]:
    """Share of every pixel that a disc covers, from 4 × 4 points in it; places and radius in widths of the image."""
    points = (np.arange(4 * size) + 0.5) / (4 * size) - 0.5
    inside = np.hypot(points[:, None] - row, points[None, :] - column) < radius
    return inside.reshape(size, 4, size, 4).mean(axis=(1, 3))


def phantom(size: int = PHANTOM_SIZE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A body with a spine, two hips and gas [1/cm], and the share of every pixel that is metal: a hip and a screw."""
    rows, columns = ((np.indices((size, size)) + 0.5) / size - 0.5) * 2
    image = np.where((rows / 0.62) ** 2 + (columns / 0.86) ** 2 < 1, 0.2, 0.0)
    for row, column, radius, value in ((0.2, 0, 0.06, 0.38), (0, -0.25, 0.07, 0.5), (0, 0.25, 0.07, 0.5)):
        share = disc(size, row, column, radius)
        image = image * (1 - share) + value * share
    image *= 1 - disc(size, -0.14, 0.1, 0.05)
    return image.astype(np.float32), (disc(size, 0, 0.25, 0.035) + disc(size, 0.2, 0.02, 0.008)).astype(np.float32)


def image_of_rings(means: list[float], size: int = SIZE) -> NDArray[np.float32]:
    """The image that is constant on every ring, and zero beyond the last."""
    return np.append(means, 0.0)[np.minimum(rings(size), len(means))].astype(np.float32)


def phantom_scanner(preset: str) -> Scanner:
    """The scan of the phantom by a preset."""
    return build_scanner(Simulation(preset=preset), PHANTOM_SIZE, PHANTOM_PIXEL_MM)


def scan_phantom(scanner: Scanner, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Every field of a pair of the phantom."""
    image, coverage = phantom(scanner.geometry.image_size)
    paths = trace_slice(scanner, image)
    poly_ct, poly_sinogram = scan_slice(scanner, paths, random_stream(seed, "phantom", "clean"))
    mask = (coverage >= 0.5).astype(np.uint8)
    pair = scan_metal(scanner, paths, mask, random_stream(seed, "phantom", "metal"), coverage)
    return {"poly_CT": poly_ct, "poly_sinogram": poly_sinogram, **vars(pair)}


def describe_field(field: NDArray[Any]) -> dict[str, list[float]]:
    """Sums of a few rows (views of a sinogram), quantiles, and single values at fixed places."""
    flat = field.astype(float)
    some = np.linspace(0, len(field) - 1, 12).astype(int)
    places = random_stream(0, "places", *field.shape).integers(0, field.size, 40)
    return {
        "row_sums": flat[some].sum(axis=1).tolist(),
        "quantiles": np.quantile(flat, QUANTILES).tolist(),
        "values": flat.ravel()[places].tolist(),
    }


def rays_of(scanner: Scanner, folder: Path, mask: NDArray[Any] | None) -> dict[str, dict[str, list[float]]]:
    """Rays of a stored slice: line integrals of water and bone, metal [cm], and what the benchmark stores for them."""
    paths = trace_slice(scanner, read_field(folder / "gt.h5", "image"))
    tables = {"water": paths.water, "bone": paths.bone, "metal_cm": np.zeros_like(paths.water)}
    stored = read_field(folder / "gt.h5", "poly_sinogram")
    body = paths.water + paths.bone > 0.05
    found = {"air": _choose(paths.water + paths.bone == 0, stored, tables), "tissue": _choose(body, stored, tables)}
    if mask is not None:
        metal_cm = scanner.operators.project(scanner.geometry, mask)
        edges = trace_edges(metal_cm > 0)
        tables = {**tables, "metal_cm": metal_cm}
        stored = read_field(folder / "0.h5", "ma_sinogram")
        found["metal"] = _choose((metal_cm > 0) & ~edges, metal_cm, {**tables, "stored": stored})
        found["metal_edge"] = _choose(edges, metal_cm, {**tables, "stored": stored})
    return found


def _choose(where: NDArray[np.bool_], order: NDArray[Any], tables: dict[str, NDArray[Any]]) -> dict[str, list[float]]:
    """Rays evenly spaced in the order of ``order``, which is also what is stored unless a table says otherwise."""
    indices = np.flatnonzero(where)
    indices = indices[np.argsort(order.ravel()[indices], kind="stable")]
    chosen = indices[((np.arange(N_RAYS) + 0.5) * len(indices) / N_RAYS).astype(int)]
    tables = {"stored": order, **tables}
    return {name: [float(f"{v:.7g}") for v in table.ravel()[chosen]] for name, table in tables.items()}


def expected_rays(scanner: Scanner, rays: dict[str, list[float]], edge: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the scan says of such rays without noise, and the standard deviation that its photons give them."""
    water, bone, metal_cm = (np.array(rays[name]) for name in ("water", "bone", "metal_cm"))
    if edge:
        metal_cm = metal_cm * scanner.preset.edge_share(SIZE)
    passed = transmission(scanner.beam, water, bone, metal_cm)
    noisy = np.stack(
        [
            measure(scanner.beam, passed, scanner.photons, scanner.scatter, random_stream(0, "ray", k))
            for k in range(400)
        ]
    )
    exact = measure(scanner.beam, passed, 1e15, scanner.scatter * 1e15 / scanner.photons, random_stream(0, "ray"))
    return exact, noisy.std(axis=0)


def derive(folder: Path) -> dict[str, Any]:
    """All numbers, from the stored slices and from the phantom."""
    scanner = build_scanner(Simulation(), SIZE)
    masks = np.load(folder / "train" / "trainmask.npy")
    benchmark = {}
    for name, number in SLICES.items():
        stored = folder / "train" / "train_640geo" / name
        fields = {key: read_field(stored / "gt.h5", key) for key in ("image", "poly_CT", "poly_sinogram")}
        benchmark[name] = {
            "rays": rays_of(scanner, stored, None if number is None else fit_mask(masks[:, :, int(number)], SIZE)),
            "mean_view": [float(f"{v:.7g}") for v in fields["poly_sinogram"].mean(axis=0, dtype=float)],
            "ring_means_of_image": [float(f"{v:.7g}") for v in ring_means(fields["image"])],
            "ring_means_of_poly_CT": [float(f"{v:.7g}") for v in ring_means(fields["poly_CT"])],
        }
    presets = {preset: scan_phantom(phantom_scanner(preset)) for preset in ("benchmark", "physical")}
    fields = {preset: {name: describe_field(f) for name, f in found.items()} for preset, found in presets.items()}
    return {"benchmark": benchmark, "phantom": fields}


def main() -> None:
    """Write the reference beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the benchmark, with train/train_640geo and train/trainmask.npy")
    REFERENCE.write_text(json.dumps(derive(parser.parse_args().folder), indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
