"""Both metric protocols for plain arrays: images of any method, without a study around them."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.evaluation.metrics import SSIM_RADIUS
from ctmar.evaluation.regions import REGION_TEXT
from ctmar.evaluation.truth import image_metrics

_ATTENUATION_RANGE_PER_CM = (-5.0, 50.0)  # beyond: HU or grey levels; gold, the densest implant, has 40 /cm in CT
_LOWEST_TISSUE_PER_CM = 0.1  # a true image that stays below holds nothing denser than lung: 1/mm, say
_SMALLEST_SIDE = 2 * SSIM_RADIUS + 1
ImageQuality = dict[str, dict[str, float]]


def measure_images(prediction: Path, truth: Path, metal: Path) -> list[ImageQuality]:
    """Measure images that lie in .npy files.

    Args:
        prediction: images in 1/cm, shape (h, w) or (n, h, w).
        truth: artefact-free images in 1/cm, of the same shape.
        metal: non-zero where there is metal, of the same shape.

    Returns:
        For each image its metrics by protocol: ``fixed`` and ``official`` (psnr_db, ssim), and ``errors_hu``.

    Raises:
        InputError: a file is missing or no array of numbers, a shape does not fit, an image is too small or metal
            all over, a value is not finite, or the values cannot be attenuation in 1/cm.
    """
    arrays = [read_images(path) for path in (prediction, truth, metal)]
    for path, array in zip((prediction, metal), (arrays[0], arrays[2]), strict=True):
        if array.shape != arrays[1].shape:
            raise InputError(f"{path}: expected the shape {arrays[1].shape} of {truth}, found {array.shape}")
    for path, array in zip((prediction, truth), arrays, strict=False):
        _check_attenuation(path, array)
    if 0 < arrays[1].max() < _LOWEST_TISSUE_PER_CM:
        raise InputError(
            f"{truth}: expected attenuation in 1/cm (water 0.192), found no value above {arrays[1].max():g}; from 1/mm:"
            " times 10"
        )
    if min(arrays[1].shape[-2:]) < _SMALLEST_SIDE:
        raise InputError(f"{truth}: expected images of at least 11 × 11 pixels for SSIM, found {arrays[1].shape}")
    full = np.flatnonzero((arrays[2] != 0).reshape(-1, arrays[2].shape[-2] * arrays[2].shape[-1]).all(axis=1))
    if full.size:
        raise InputError(f"{metal}: expected pixels without metal in every image, found none in image {full[0]}")
    stacks = [array.reshape(-1, *array.shape[-2:]) for array in arrays]
    return [by_protocol(image_metrics(*images)) for images in zip(*stacks, strict=True)]


def read_images(path: Path) -> NDArray[Any]:
    """Read (h, w) or (n, h, w) finite numbers.

    Raises:
        InputError: the file is missing, no .npy file, or holds something else.
    """
    try:
        with path.open("rb") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: file not found") from None
    except (OSError, ValueError, EOFError, MemoryError):
        raise InputError(
            f"{path}: expected an array of numbers in NumPy's .npy format, found a damaged or another file"
        ) from None
    if array.dtype.kind not in "buif":
        raise InputError(f"{path}: expected an array of numbers, found one of type {array.dtype}")
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"{path}: expected shape (h, w) or (n, h, w), found {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{path}: expected finite numbers, found NaN or infinity")
    return array


def _check_attenuation(path: Path, images: NDArray[Any]) -> None:
    """Refuse what cannot be attenuation in 1/cm.

    Raises:
        InputError: a value lies outside [-5, 50] 1/cm, as Hounsfield numbers and grey levels do.
    """
    low, high = float(images.min()), float(images.max())
    if low < _ATTENUATION_RANGE_PER_CM[0] or high > _ATTENUATION_RANGE_PER_CM[1]:
        raise InputError(
            f"{path}: expected attenuation in 1/cm (water 0.192), found values from {low:g} to {high:g}; from HU:"
            " 0.192 * (1 + HU / 1000)"
        )


def by_protocol(metrics: dict[str, float]) -> ImageQuality:
    """The columns of a table, each under the name of its protocol.

    Examples:
        >>> by_protocol({"psnr_db": 30.0, "ssim_official": 0.9, "mae_soft_hu": 5.0})
        {'fixed': {'psnr_db': 30.0}, 'official': {'ssim': 0.9}, 'errors_hu': {'mae_soft': 5.0}}
    """
    found: ImageQuality = {"fixed": {}, "official": {}, "errors_hu": {}}
    for column, value in metrics.items():
        protocol = "errors_hu" if column.endswith("_hu") else "official" if "_official" in column else "fixed"
        found[protocol][column.replace("_official", "").removesuffix("_hu")] = value
    return found


def mean_of(images: Sequence[ImageQuality]) -> ImageQuality:
    """Mean over images; a region is averaged over the images that have pixels of it."""
    return {
        protocol: {name: _mean([image[protocol][name] for image in images]) for name in metrics}
        for protocol, metrics in images[0].items()
    }


def as_json(images: Sequence[ImageQuality]) -> dict[str, Any]:
    """Means, and the metrics of every image; null is the PSNR of equal images, or the error of an absent region."""
    means, *each = (
        {
            protocol: {name: value if math.isfinite(value) else None for name, value in metrics.items()}
            for protocol, metrics in image.items()
        }
        for image in (mean_of(images), *images)
    )
    return {"n_images": len(images), **means, "regions": REGION_TEXT, "images": each}


def as_table(images: Sequence[ImageQuality]) -> str:
    """A table for reading, one line for each image and one for their mean."""
    columns = [("fixed", "psnr_db"), ("fixed", "ssim"), ("official", "psnr_db"), ("official", "ssim")]
    errors = list(images[0]["errors_hu"])
    header = "image  fixed: PSNR dB    SSIM  official: PSNR dB    SSIM"
    lines = [header, "-" * len(header)]
    named = [(str(k), image) for k, image in enumerate(images)] if len(images) > 1 else []
    for name, image in [*named, ("mean" if named else "0", mean_of(images))]:
        values = [image[protocol][metric] for protocol, metric in columns]
        lines.append(f"{name:<5}  {values[0]:14.2f}  {values[1]:.4f}  {values[2]:17.2f}  {values[3]:.4f}")
    mean = mean_of(images)["errors_hu"]
    lines += ["", "errors outside metal, HU  (" + REGION_TEXT + ")"]
    lines += [f"  {name.replace('_', ' '):<18} {mean[name]:8.2f}" for name in errors]
    return "\n".join(lines)


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else float("nan")
