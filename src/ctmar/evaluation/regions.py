"""Errors in HU, over the whole image and over the regions that a reader of CT asks about.

Regions are defined on the artefact-free image and the metal mask, so they are the same for every method:

* *soft tissue*: −150 HU ≤ truth < 250 HU;
* *bone*: truth ≥ 250 HU;
* *near metal*: any tissue at most 20 pixels of a 416 × 416 image (about 2 cm of a patient) from a metal pixel.

Metal itself belongs to none of them. Images are taken as they are, without clamping.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ctmar.errors import InputError
from ctmar.evaluation.metrics import Image, Metal, outside_metal
from ctmar.units import WATER_PER_CM, attenuation_to_hu

_SOFT_TISSUE_HU = (-150.0, 250.0)  # from fat to contrast-enhanced vessels
_BONE_HU = 250.0
_NEAR_METAL_PIXELS = 20.0  # at the benchmark's side
_BENCHMARK_SIDE = 416  # pixels; where sizes and distances in pixels are stated
_SIZE_BOUNDARIES = (885, 338, 121, 77)  # pixels at 416²: geometric means between the benchmark's five groups
REGION_TEXT = (
    "soft tissue: −150 to 250 HU; bone: from 250 HU; near metal: within 20 of 416 pixels; all in the artefact-free"
    " image outside metal"
)


def metal_size(metal_pixels: int, n_pixels: int) -> int:
    """The benchmark's size group of a metal mask, from 1 (largest) to 5 (smallest).

    The boundaries 885, 338, 121 and 77 pixels hold at 416 × 416 and shrink with the area of the grid.

    Args:
        metal_pixels: pixels of metal.
        n_pixels: pixels of the image.

    Examples:
        >>> [metal_size(n, 416 * 416) for n in (2061, 890, 881, 451, 254, 124, 118, 112, 53, 35)]
        [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        >>> metal_size(100, 128 * 128)
        1
    """
    at_benchmark = metal_pixels * _BENCHMARK_SIDE**2 / n_pixels
    return 1 + sum(at_benchmark < boundary for boundary in _SIZE_BOUNDARIES)


def region_masks(truth: Image, metal: Metal) -> dict[str, NDArray[np.bool_]]:
    """Pixels of each region, shape (h, w).

    Args:
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).
    """
    outside = np.asarray(metal) == 0
    truth_hu = attenuation_to_hu(truth)
    low, high = _SOFT_TISSUE_HU
    reach = _NEAR_METAL_PIXELS * min(outside.shape) / _BENCHMARK_SIDE
    # without any metal the distance transform is not defined: nothing is near
    near = outside & (distance_transform_edt(outside) <= reach) if not outside.all() else np.zeros_like(outside)
    return {
        "soft": outside & (truth_hu >= low) & (truth_hu < high),
        "bone": outside & (truth_hu >= _BONE_HU),
        "near_metal": near,
    }


def errors_hu(prediction: Image, truth: Image, metal: Metal) -> dict[str, float]:
    """Root mean square and mean absolute error in HU outside metal and in each region.

    Args:
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Returns:
        ``rmse_hu``, ``mae_hu`` and, for each region, ``rmse_<region>_hu`` and ``mae_<region>_hu``; NaN where a region
        has no pixel.

    Raises:
        InputError: the three shapes differ, or every pixel is metal.

    Examples:
        >>> truth = np.full((8, 8), 0.192)
        >>> errors = errors_hu(truth + 0.0192, truth, np.zeros((8, 8), bool))
        >>> round(errors["rmse_hu"], 6), round(errors["mae_soft_hu"], 6), errors["rmse_bone_hu"]
        (100.0, 100.0, nan)
    """
    return errors_in(counted_pixels(truth, outside_metal(prediction, truth, metal)), prediction, truth)


def counted_pixels(truth: Image, outside: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Pixels (h, w) that each error is taken over, by what its column says of them: all outside metal, and the regions.

    Raises:
        InputError: every pixel is metal.
    """
    if not outside.any():
        raise InputError("errors in HU: expected pixels outside metal, found none")
    return {"": outside} | {f"_{name}": pixels for name, pixels in region_masks(truth, ~outside).items()}


def errors_in(pixels: dict[str, NDArray[np.bool_]], prediction: Image, truth: Image) -> dict[str, float]:
    """The errors of `errors_hu` over the `counted_pixels`."""
    error = 1000 / WATER_PER_CM * (np.asarray(prediction, np.float64) - np.asarray(truth, np.float64))
    counted = {name: error[mask] for name, mask in pixels.items()}
    rmse = {f"rmse{name}_hu": float(np.sqrt(_mean(errors**2))) for name, errors in counted.items()}
    return rmse | {f"mae{name}_hu": _mean(np.abs(errors)) for name, errors in counted.items()}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
