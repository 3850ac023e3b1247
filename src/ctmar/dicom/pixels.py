"""Hounsfield numbers of a DICOM image, as a radiologist sees them."""

import numpy as np
from numpy.typing import NDArray

from ctmar.dicom.headers import EXPORT_AGAIN, Image, silent
from ctmar.dicom.padding import HIGHEST_HU
from ctmar.dicom.stored_pixels import read_stored, rescale_of
from ctmar.store.quarantine import Refused
from ctmar.units import AIR_HU, padding_to_air


def read_display(image: Image) -> tuple[NDArray[np.float32], float, float]:
    """Decode an image; rows run from anterior to posterior, columns from the patient's right to left.

    Returns:
        The image [HU], the distance of its rows and of its columns [mm].

    Raises:
        Refused: the pixel data cannot be decoded.
    """
    try:
        with silent():
            header, stored = read_stored(image)
            slope, intercept = rescale_of(header, image)
            image_hu = (stored.values * slope + intercept).astype(np.float32)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"pixel data cannot be decoded ({type(error).__name__})", EXPORT_AGAIN) from None
    image_hu[stored.is_padding] = AIR_HU
    if image_hu.max() > HIGHEST_HU:
        reason = f"values above {HIGHEST_HU:g} HU: padding without its tag, or a wrong sign of the pixels"
        raise Refused(reason, EXPORT_AGAIN)
    return to_display(padding_to_air(image_hu), image)


def to_display(image_hu: NDArray[np.float32], image: Image) -> tuple[NDArray[np.float32], float, float]:
    """Turn and flip an axial image to the usual radiological display, by its direction cosines alone."""
    row, column = np.array(image.orientation[:3]), np.array(image.orientation[3:])
    row_mm, column_mm = image.row_mm, image.column_mm
    if abs(row[1]) > abs(row[0]):  # a row runs from front to back
        image_hu, row, column, row_mm, column_mm = image_hu.T, column, row, column_mm, row_mm
    # x grows towards the patient's left, y towards the back
    if row[0] < 0:
        image_hu = image_hu[:, ::-1]
    if column[1] < 0:
        image_hu = image_hu[::-1]
    return np.ascontiguousarray(image_hu), row_mm, column_mm
