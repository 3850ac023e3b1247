"""Hounsfield numbers of a DICOM image, as a radiologist sees them."""

from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_rescale, pixel_array

from ctmar.dicom.headers import EXPORT_AGAIN, Image, silent, text
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
            image_hu = _read_classic(image) if image.frame < 0 else _read_frame(image)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"pixel data cannot be decoded ({type(error).__name__})", EXPORT_AGAIN) from None
    if image_hu.shape != (image.rows, image.columns):
        raise Refused("decoded pixel data has another shape than the header says", EXPORT_AGAIN)
    return to_display(padding_to_air(image_hu), image)


def _read_classic(image: Image) -> NDArray[np.float32]:
    dataset = pydicom.dcmread(image.path)
    # pydicom corrects the sign of JPEG 2000 samples that contradict PixelRepresentation
    raw = pixel_array(dataset)
    image_hu = apply_rescale(raw, dataset).astype(np.float32)
    image_hu[_padding(raw, dataset)] = AIR_HU
    return image_hu


def _read_frame(image: Image) -> NDArray[np.float32]:
    # imported here: it takes long, in every worker process, and few series are enhanced CT
    import highdicom

    # apply_rescale of pydicom returns raw values for enhanced CT, whose rescale stands in the frame's groups
    dataset = highdicom.imread(image.path, lazy_frame_retrieval=True)
    raw = dataset.get_stored_frame(image.frame + 1)
    image_hu = dataset.get_frame(
        image.frame + 1,
        apply_real_world_transform=False,
        apply_modality_transform=True,
        apply_voi_transform=False,
        dtype=np.float32,
    )
    image_hu = np.array(image_hu)
    image_hu[_padding(raw, dataset)] = AIR_HU
    return image_hu


def _padding(raw: NDArray[np.integer], dataset: Any) -> NDArray[np.bool_]:
    """Where the stored value is padding: one value, or a range with PixelPaddingRangeLimit, before any rescale."""
    if text(dataset, "PixelPaddingValue") == "":
        return np.zeros(raw.shape, dtype=bool)
    first = int(dataset.PixelPaddingValue)
    last = int(dataset.get("PixelPaddingRangeLimit", first))
    return (raw >= min(first, last)) & (raw <= max(first, last))


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
