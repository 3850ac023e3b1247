"""Images and masks that users bring as plain files: read, checked, and brought to one grid."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.simulation.mask_files import choose_mask, read_masks
from ctmar.store.arrays import load_npy
from ctmar.store.benchmark import read_field

_BENCHMARK_MASK_SIZE = 512
LARGEST_PER_CM = 5.0  # dense bone has 0.6 and a benchmark image at most 0.7: more cannot be attenuation of tissue


def read_image(path: Path | str) -> NDArray[np.float32]:
    """Read a square slice of linear attenuation [1/cm] from the field `image` of an HDF5 file or from .npy.

    Raises:
        InputError: the file or field is missing, or it is not such an image.
    """
    path = Path(path)
    image = load_npy(path) if path.suffix == ".npy" else read_field(path, "image")
    if image.ndim != 2 or image.shape[0] != image.shape[1] or not image.size or image.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected a square image of numbers, found shape {image.shape} of {image.dtype}")
    image = image.astype(np.float32)
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > LARGEST_PER_CM:
        raise InputError(
            f"{path}: expected linear attenuation from 0 to {LARGEST_PER_CM:g} 1/cm (water 0.192),"
            f" found values from {image.min():g} to {image.max():g}"
        )
    return image


def read_mask(path: Path | str, index: int | None = None) -> NDArray[np.uint8]:
    """Read one metal mask from .png, .npy, NIfTI or .mat: metal is where it is not zero.

    Args:
        path: the file.
        index: which of its masks, counted from 0; needed where there are several.

    Raises:
        InputError: the file is missing, of another kind, or has no such mask.
    """
    return choose_mask(read_masks(path), index, path)


def fit_mask(mask: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
    """Bring a mask of the image's size, or of the benchmark's 512 × 512 pixels, to the grid of the image.

    Raises:
        InputError: the mask has another shape, or no metal is left.
    """
    if mask.shape == (_BENCHMARK_MASK_SIZE,) * 2 and image_size != _BENCHMARK_MASK_SIZE:
        mask = resize_mask(mask, image_size)
    if mask.shape != (image_size, image_size):
        raise InputError(
            f"mask: expected {image_size} × {image_size} pixels like the image, or"
            f" {_BENCHMARK_MASK_SIZE} × {_BENCHMARK_MASK_SIZE}, found shape {mask.shape}"
        )
    if not mask.any():
        raise InputError("mask: expected at least one metal pixel on the grid of the image, found none")
    return mask


def resize_mask(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a square binary mask as the benchmark does: bilinear on 8-bit numbers, columns first, rounded twice.

    Examples:
        >>> resize_mask(np.pad(np.ones((4, 4), np.uint8), 2), 4).tolist()
        [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    step = mask.shape[0] / size
    centres = (np.arange(size) + 0.5) * step
    distance = np.abs(np.arange(mask.shape[0]) + 0.5 - centres[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    columns = np.floor(mask @ weights.T + 0.5)
    return np.floor(weights @ columns + 0.5).astype(np.uint8)
