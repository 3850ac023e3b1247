"""From the pixels of a scanner to the square working grid."""

from functools import lru_cache

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ctmar.units import AIR_HU


@lru_cache(maxsize=64)
def interpolation_matrix(n_in: int, n_out: int, step: float) -> scipy.sparse.csr_array:
    """Weights that resample a line of pixels about its centre, without aliasing.

    Output pixel i lies at x_i = (i − (n_out − 1)/2) · step + (n_in − 1)/2 and takes the input pixels j with the weight
    max(0, 1 − |j − x_i| / w) / w', w = max(1, step): linear interpolation when the grid gets finer, a triangle as
    wide as two output pixels when it gets coarser. w' makes the weights sum to one over an endless line, so that a row
    sums to less than one where the output reaches beyond the input.

    Args:
        n_in: pixels of the input line.
        n_out: pixels of the output line.
        step: distance of output pixels [input pixels].

    Returns:
        Matrix (n_out, n_in).

    Examples:
        >>> interpolation_matrix(3, 3, 1.0).toarray().tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    width = max(1.0, step)
    centres = (np.arange(n_out) - (n_out - 1) / 2) * step + (n_in - 1) / 2
    reach = int(np.ceil(width))
    pixels = np.floor(centres)[:, None].astype(np.int64) + np.arange(-reach, reach + 2)
    weights = np.maximum(0, 1 - np.abs(pixels - centres[:, None]) / width)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(n_out)[:, None], pixels.shape)
    inside = (pixels >= 0) & (pixels < n_in) & (weights > 0)
    return scipy.sparse.csr_array((weights[inside], (rows[inside], pixels[inside])), shape=(n_out, n_in))


def resample_to_grid(
    image_hu: NDArray[np.floating], row_mm: float, column_mm: float, size: int, pixel_mm: float | None
) -> tuple[NDArray[np.float32], float]:
    """Resample a slice about its centre to square pixels; beyond its borders is air.

    Args:
        image_hu: slice (n_rows, n_columns) [HU].
        row_mm: distance of neighbouring rows [mm].
        column_mm: distance of neighbouring columns [mm].
        size: rows and columns of the working grid [pixels].
        pixel_mm: pixel of the working grid [mm]; None fits the longer side of the slice to the grid.

    Returns:
        The image (size, size) [HU] and its pixel [mm].
    """
    n_rows, n_columns = image_hu.shape
    if pixel_mm is None:
        pixel_mm = max(n_rows * row_mm, n_columns * column_mm) / size
    down = interpolation_matrix(n_rows, size, pixel_mm / row_mm)
    across = interpolation_matrix(n_columns, size, pixel_mm / column_mm)
    above_air = down @ (image_hu.astype(np.float64) - AIR_HU) @ across.T
    return (above_air + AIR_HU).astype(np.float32), pixel_mm
