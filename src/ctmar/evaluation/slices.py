"""Image quality on every test pair, and the images that the report shows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.evaluation.metrics import psnr_fixed, rmse_hu, ssim_fixed
from ctmar.store.atomic import atomic_path
from ctmar.store.pairs import Pair, PairFile

METRICS = ("psnr_db", "ssim", "rmse_hu")
PAIR_COLUMNS = ("patient", "slice_id", "mask_index", "metal_pixels")
Images = dict[str, NDArray[Any]]


def measure_pairs(
    pairs_test: Path, n_examples: int, images_of: Callable[[Pair], Images]
) -> tuple[dict[str, list[dict[str, Any]]], list[tuple[Pair, Images]]]:
    """Apply ``images_of`` to every pair of a file and measure each image it gives.

    Args:
        pairs_test: pair file.
        n_examples: number of pairs whose images are kept.
        images_of: named images (1/cm) of a pair.

    Returns:
        By name of the image, one row per pair: which pair, PSNR in dB, SSIM, RMSE in HU; and the example pairs with
        their images.

    Raises:
        InputError: the file holds no pairs.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    examples: dict[int, tuple[Pair, Images]] = {}
    with PairFile(pairs_test) as file:
        if file.n_pairs == 0:
            raise InputError(f"{pairs_test}: expected at least one pair to test on, found none")
        chosen = example_pairs(file.metal_pixels, n_examples)
        for index in range(file.n_pairs):
            pair = file.read_pair(index)
            images = images_of(pair)
            for name, image in images.items():
                rows.setdefault(name, []).append(pair_row(pair, image))
            if index in chosen:
                examples[index] = (pair, images)
    return rows, [examples[index] for index in chosen]


def pair_row(pair: Pair, prediction: NDArray[np.float32]) -> dict[str, Any]:
    """One row of a per-slice table: which pair, and the metrics of ``prediction`` (1/cm)."""
    images = (prediction, pair.image, pair.mask)
    metrics = {"psnr_db": psnr_fixed(*images), "ssim": ssim_fixed(*images), "rmse_hu": rmse_hu(*images)}
    return {column: getattr(pair, column) for column in PAIR_COLUMNS} | metrics


def example_pairs(metal_pixels: NDArray[np.int64], n_examples: int) -> list[int]:
    """Pairs to show: those at evenly spaced quantiles of metal size, from small to large.

    Examples:
        >>> example_pairs(np.array([30, 10, 20, 40, 50]), 3)
        [1, 0, 4]
    """
    order = np.argsort(metal_pixels, kind="stable")
    positions = np.linspace(0, len(order) - 1, min(n_examples, len(order))).round().astype(int)
    return [int(order[position]) for position in positions]


def write_examples(path: Path, pairs: list[Pair], images: Mapping[str, list[NDArray[Any]]]) -> None:
    """Write images (n, h, w) with the names of their pairs, readable without pickle."""
    arrays = {name: np.stack(stack) for name, stack in images.items()}
    names = {column: np.array([getattr(pair, column) for pair in pairs]) for column in (*PAIR_COLUMNS, "pixel_mm")}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays, **names)
