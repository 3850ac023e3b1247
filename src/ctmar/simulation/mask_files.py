"""Metal masks that users bring as files: PNG, NPY, NIfTI and MAT, one mask or a stack of them, none of it trusted."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.arrays import load_npy
from ctmar.store.benchmark import numeric_fields, read_field

MASK_SUFFIXES = (".png", ".npy", ".nii", ".nii.gz", ".mat")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_PIXELS = 2**30  # a small compressed file must not ask for gigabytes
_MAT_NUMBERS = ("logical", "single", "double", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def read_masks(path: Path | str) -> NDArray[np.uint8]:
    """Read the masks of a file: metal is where it is not zero.

    Args:
        path: .png (one mask), .npy or .mat (one, or a stack of square ones along the first or last axis), .nii or
            .nii.gz (one per slice, in displayed orientation).

    Returns:
        Masks of shape (n_masks, rows, columns).

    Raises:
        InputError: the file is missing, of another kind, or holds no masks.
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith(MASK_SUFFIXES):
        raise InputError(f"{path}: expected a mask in {', '.join(MASK_SUFFIXES)}, found '{path.suffix or 'no suffix'}'")
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    if name.endswith((".nii", ".nii.gz")):
        from ctmar.volumes.mask_volumes import read_mask_slices  # loads nibabel, which few masks need

        return read_mask_slices(path).astype(np.uint8)
    load = {".npy": load_npy, ".png": _load_png, ".mat": _load_mat}[path.suffix.lower()]
    return _stack(load(path), path)


def choose_mask(masks: NDArray[np.uint8], index: int | None, path: Path | str) -> NDArray[np.uint8]:
    """Return mask ``index`` of a file, or its only one.

    Raises:
        InputError: there is no such mask, or there are several and none is chosen.
    """
    if index is None and len(masks) > 1:
        raise InputError(f"{path}: holds {len(masks)} masks: choose one from 0 to {len(masks) - 1} by its mask index")
    if index is not None and not 0 <= index < len(masks):
        raise InputError(f"{path}: mask index: expected 0 to {len(masks) - 1}, found {index}")
    return masks[index or 0]


def _stack(array: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Bring (rows, columns), (side, side, n) or (n, side, side) to (n, rows, columns), metal 1."""
    first_square, last_square = array.shape[:1] == array.shape[1:2], array.shape[1:2] == array.shape[2:3]
    # a cube with three equal sides does not tell along which axis its masks lie
    shape_known = array.ndim == 2 or (array.ndim == 3 and first_square != last_square)
    if not shape_known or array.dtype.kind not in "bfiu" or not array.size:
        raise InputError(
            f"{path}: expected a mask of two dimensions, or square ones along the first or last of three,"
            f" found shape {array.shape} of {array.dtype}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path}: expected finite numbers in the mask, found NaN or infinity")
    metal = (array != 0).astype(np.uint8)
    if array.ndim == 2:
        return metal[None]
    return np.ascontiguousarray(np.moveaxis(metal, 2, 0)) if first_square else metal


def _load_png(path: Path) -> NDArray[Any]:
    # imported here: scikit-image takes a while, and masks are mostly .npy
    from skimage.io import imread

    with path.open("rb") as file:
        if file.read(len(_PNG_SIGNATURE)) != _PNG_SIGNATURE:
            raise InputError(f"{path}: not a PNG file")
    try:
        image = imread(path)
    except (ValueError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None
    if image.ndim != 2:
        raise InputError(f"{path}: expected a mask of two dimensions in shades of grey, found shape {image.shape}")
    return image


def _load_mat(path: Path) -> NDArray[Any]:
    """Load the only array of numbers of a MATLAB file; nothing else in it is decoded."""
    from scipy import io

    if _is_hdf5(path):  # version 7.3; MATLAB stores columns first
        return read_field(path, _only(numeric_fields(path), path)).T
    try:
        shapes = {name: shape for name, shape, kind in io.whosmat(path) if kind in _MAT_NUMBERS}
        name = _only(shapes, path)
        return np.asarray(io.loadmat(path, variable_names=[name])[name])
    except InputError:
        raise
    except Exception as error:  # scipy raises whatever the damage leads to
        raise InputError(f"{path}: not a readable MATLAB file ({type(error).__name__})") from None


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\x89HDF\r\n\x1a\n" in (file.read(8), file.seek(512) and file.read(8))


def _only(shapes: dict[str, tuple[int, ...]], path: Path) -> str:
    """The only array with more than one row and column."""
    arrays = {name: shape for name, shape in shapes.items() if sum(length > 1 for length in shape) > 1}
    if len(arrays) != 1:
        raise InputError(f"{path}: expected one array of numbers, found {', '.join(arrays) or 'none'}")
    ((name, shape),) = arrays.items()
    if math.prod(shape) > _LARGEST_PIXELS:
        raise InputError(f"{path}: expected at most {_LARGEST_PIXELS} pixels, found shape {shape}")
    return name
