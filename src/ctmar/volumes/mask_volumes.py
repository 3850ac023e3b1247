"""Metal masks in volumes, turned as CT volumes are, so that a mask drawn on a CT lies where it was drawn."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.store.quarantine import Refused
from ctmar.volumes.displayed import display
from ctmar.volumes.stored_volume import open_stored


def read_mask_slices(path: Path, reader: str = "nifti") -> NDArray[np.bool_]:
    """Read a mask of two or three dimensions in displayed orientation: (n_slices, rows, columns), metal is not zero.

    Slices run from foot to head, rows from anterior to posterior, columns from the patient's right to left.

    Raises:
        InputError: no such file, or not such a mask.
    """
    try:
        stored = open_stored(path, reader)
        if len(stored.shape) not in (2, 3):
            raise InputError(f"{path}: expected a mask in two or three dimensions, found {stored.shape}")
        voxels = stored.read() * stored.slope + stored.intercept
        if not np.isfinite(voxels).all():
            raise InputError(f"{path}: expected finite numbers in the mask, found NaN or infinity")
        return display(voxels.reshape(*stored.shape, *[1] * (3 - len(stored.shape))) != 0, stored.affine)
    except Refused as error:
        raise InputError(f"{path}: {error.reason}") from None
