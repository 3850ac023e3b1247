"""Image quality on every test pair, and the images that the report shows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config.own_metrics import measure_own
from ctmar.errors import InputError
from ctmar.evaluation.columns import PAIR_COLUMNS, metrics_in, own_metric
from ctmar.evaluation.metrics import Image, Metal, psnr_fixed, ssim_fixed
from ctmar.evaluation.official import psnr_official, ssim_official
from ctmar.evaluation.regions import errors_hu, metal_size
from ctmar.store.atomic import atomic_path
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import Pair, PairFile
from ctmar.store.tables import write_rows

Images = dict[str, NDArray[Any]]
Row = dict[str, Any]


def measure_pairs(
    pairs_test: Path,
    n_examples: int,
    images_of: Callable[[Pair], Images],
    *,
    own_metrics: Sequence[str] = (),
    nmar: bool = False,
) -> tuple[dict[str, list[Row]], list[tuple[Pair, Images]]]:
    """Apply ``images_of`` to every pair of a file and measure each image it gives.

    Args:
        pairs_test: pair file.
        n_examples: number of pairs whose images are kept.
        images_of: named images (1/cm) of a pair.
        own_metrics: import paths of metrics that the study brings of its own.
        nmar: read NMAR_CT too, where the file has it.

    Returns:
        By name of the image, one row per pair: which pair, and its metrics; and the example pairs with their images.

    Raises:
        InputError: the file holds no pairs, or a metric of the study's own fails.
    """
    rows: dict[str, list[Row]] = {}
    examples: dict[int, tuple[Pair, Images]] = {}
    with PairFile(pairs_test) as file:
        if file.n_pairs == 0:
            raise InputError(f"{pairs_test}: expected at least one pair to test on, found none")
        chosen = example_pairs(file.metal_pixels, n_examples)
        for index in range(file.n_pairs):
            pair = file.read_pair(index, nmar=nmar and file.has_nmar)
            images = images_of(pair)
            for name, image in images.items():
                measured = (image, pair.image, pair.mask)
                own = {own_metric(text): measure_own(text, *measured) for text in own_metrics}
                rows.setdefault(name, []).append(_pair_names(pair) | image_metrics(*measured) | own)
            if index in chosen:
                examples[index] = (pair, images)
    return rows, [examples[index] for index in chosen]


def image_metrics(prediction: Image, truth: Image, metal: Metal) -> dict[str, float]:
    """Every metric of one image by the name of its column.

    Args:
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: the shapes differ or are smaller than the window of SSIM, or every pixel is metal.

    Examples:
        >>> image_metrics(np.full((16, 16), 0.25), np.full((16, 16), 0.2), np.zeros((16, 16), bool))["psnr_db"]
        20.0
    """
    images = (prediction, truth, metal)
    protocols = {
        "psnr_db": psnr_fixed(*images),
        "ssim": ssim_fixed(*images),
        "psnr_official_db": psnr_official(*images),
        "ssim_official": ssim_official(*images),
    }
    return protocols | errors_hu(*images)


def _pair_names(pair: Pair) -> Row:
    """Which pair a row is about."""
    row = {column: getattr(pair, column) for column in PAIR_COLUMNS if column != "metal_size"}
    return row | {"metal_size": metal_size(pair.metal_pixels, pair.mask.size)}


def write_slices(path: Path, rows: list[Row], first_columns: tuple[str, ...] = ()) -> None:
    """Write a per-slice table; a region without pixels is an empty field."""
    filled = [{name: "" if value != value else value for name, value in row.items()} for row in rows]
    write_rows(path, (*first_columns, *PAIR_COLUMNS, *metrics_in(next(iter(rows), {}))), filled)


def example_pairs(metal_pixels: NDArray[np.int64], n_examples: int) -> list[int]:
    """Pairs to show: those at evenly spaced quantiles of metal size, from small to large.

    Examples:
        >>> example_pairs(np.array([30, 10, 20, 40, 50]), 3)
        [1, 0, 4]
    """
    order = np.argsort(metal_pixels, kind="stable")
    return [int(order[position]) for position in evenly_spaced(len(order), n_examples)]


def write_examples(path: Path, pairs: list[Pair], images: Mapping[str, list[NDArray[Any]]]) -> None:
    """Write images (n, h, w) with the names of their pairs, readable without pickle."""
    arrays = {name: np.stack(stack) for name, stack in images.items()}
    names = {column: np.array([_pair_names(pair)[column] for pair in pairs]) for column in PAIR_COLUMNS}
    pixel_mm = np.array([pair.pixel_mm for pair in pairs])
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays, **names, pixel_mm=pixel_mm)
