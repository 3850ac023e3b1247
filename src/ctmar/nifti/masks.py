"""Metal masks in NIfTI, turned as CT volumes are, so that a mask drawn on a CT lies where it was drawn."""

from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.nifti.volumes import LARGEST_VOXELS, load_image
from ctmar.store.quarantine import Refused


def read_mask_slices(path: Path) -> NDArray[np.bool_]:
    """Read a mask of two or three dimensions in displayed orientation: (n_slices, rows, columns), metal is not zero.

    Slices run from foot to head, rows from anterior to posterior, columns from the patient's right to left.

    Raises:
        InputError: no NIfTI file, or not such a mask.
    """
    try:
        image = load_image(path)
    except Refused as error:
        raise InputError(f"{path}: {error.reason}") from None
    shape, kind = tuple(int(n) for n in image.shape), image.header.get_data_dtype()
    if len(shape) not in (2, 3) or not 0 < np.prod(shape, dtype=float) <= LARGEST_VOXELS or kind.kind not in "biuf":
        raise InputError(f"{path}: expected a mask of numbers in two or three dimensions, found {shape} of {kind}")
    if int(image.header["qform_code"]) == 0 and int(image.header["sform_code"]) == 0:
        raise InputError(f"{path}: expected an orientation in the header, found qform and sform codes 0")
    try:
        voxels = np.asanyarray(image.dataobj)
        turn = ornt_transform(io_orientation(image.affine), axcodes2ornt("LPS"))
    except Exception as error:
        raise InputError(f"{path}: voxels or orientation cannot be read ({type(error).__name__})") from None
    if np.isnan(turn).any():
        raise InputError(f"{path}: expected an affine that is a transformation")
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise InputError(f"{path}: expected finite numbers in the mask, found NaN or infinity")
    return apply_orientation(voxels.reshape(*shape, *[1] * (3 - len(shape))) != 0, turn).T
