"""Images and masks that users bring as plain files: read, checked, and brought to one grid."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.benchmark import read_field

BENCHMARK_MASK_SIZE = 512
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PER_CM = 5.0  # dense bone has 0.6 and a benchmark image at most 0.7: more cannot be attenuation of tissue


def read_image(path: Path | str) -> NDArray[np.float32]:
    """Read a square slice of linear attenuation [1/cm] from the field `image` of an HDF5 file or from .npy.

    Raises:
        InputError: the file or field is missing, or it is not such an image.
    """
    path = Path(path)
    image = _load_npy(path) if path.suffix == ".npy" else read_field(path, "image")
    if image.ndim != 2 or image.shape[0] != image.shape[1] or image.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected a square image of numbers, found shape {image.shape} of {image.dtype}")
    image = image.astype(np.float32)
    if not np.isfinite(image).all() or image.min() < 0 or image.max() > LARGEST_PER_CM:
        raise InputError(
            f"{path}: expected linear attenuation from 0 to {LARGEST_PER_CM:g} 1/cm (water 0.192),"
            f" found values from {image.min():g} to {image.max():g}"
        )
    return image


def read_mask(path: Path | str) -> NDArray[np.uint8]:
    """Read a metal mask from .npy or .png: metal is where it is not zero.

    Raises:
        InputError: the file is missing, of another kind, or not a mask.
    """
    path = Path(path)
    if path.suffix not in (".npy", ".png"):
        raise InputError(f"{path}: expected a mask in .npy or .png, found '{path.suffix or 'no suffix'}'")
    mask = _load_npy(path) if path.suffix == ".npy" else _load_png(path)
    if mask.ndim != 2 or mask.dtype.kind not in "bfiu":
        raise InputError(f"{path}: expected a mask of two dimensions, found shape {mask.shape} of {mask.dtype}")
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise InputError(f"{path}: expected finite numbers in the mask, found NaN or infinity")
    return (mask != 0).astype(np.uint8)


def fit_mask(mask: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
    """Bring a mask of the image's size, or of the benchmark's 512 × 512 pixels, to the grid of the image.

    Raises:
        InputError: the mask has another shape, or no metal is left.
    """
    if mask.shape == (BENCHMARK_MASK_SIZE,) * 2 and image_size != BENCHMARK_MASK_SIZE:
        mask = resize_mask(mask, image_size)
    if mask.shape != (image_size, image_size):
        raise InputError(
            f"mask: expected {image_size} × {image_size} pixels like the image, or"
            f" {BENCHMARK_MASK_SIZE} × {BENCHMARK_MASK_SIZE}, found shape {mask.shape}"
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


def _load_npy(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not a readable .npy file ({' '.join(str(error).split())})") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: expected one array, found an archive")
    return array


def _load_png(path: Path) -> NDArray[Any]:
    # imported here: scikit-image takes a while, and masks are mostly .npy
    from skimage.io import imread

    if not path.is_file():
        raise InputError(f"{path}: file not found")
    with path.open("rb") as file:
        if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            raise InputError(f"{path}: not a PNG file")
    try:
        return imread(path)
    except (ValueError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None
