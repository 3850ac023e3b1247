"""Metal on the skin or outside the body: electrodes, wires, jewellery, the table."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctmar.datasets.quality import BODY_HU

SKIN_MM = 8.0  # metal nearer to the air around the body than this reaches the skin: half an electrode's width


def reaches_skin(image_hu: NDArray[np.float32], metal: NDArray[np.bool_], row_mm: float, column_mm: float) -> bool:
    """Whether any metal lies within `SKIN_MM` of the air that surrounds the body, or in it.

    A network with little training, and interpolation itself, can take the skin line beside such metal for a streak.

    Args:
        image_hu: slice (n_rows, n_columns) [HU].
        metal: where its metal is, same shape.
        row_mm: distance of neighbouring rows [mm].
        column_mm: distance of neighbouring columns [mm].

    Examples:
        >>> slice_hu = np.full((64, 64), -1000.0, np.float32)
        >>> slice_hu[8:56, 8:56] = 0
        >>> inner, outer = np.zeros((2, 64, 64), bool)
        >>> inner[30:33, 30:33] = outer[6:9, 30] = True
        >>> reaches_skin(slice_hu, inner, 1.0, 1.0), reaches_skin(slice_hu, outer, 1.0, 1.0)
        (False, True)
    """
    air = (image_hu <= BODY_HU) & ~metal
    around = _touching_border(air)
    if not around.any():
        return False
    distance_mm = ndimage.distance_transform_edt(~around, sampling=(row_mm, column_mm))
    return bool((distance_mm[metal] < SKIN_MM).any())


def _touching_border(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The air that is joined to the border of the image; that of lungs and bowel is not."""
    labels, _ = ndimage.label(air)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(labels, border[border > 0])
