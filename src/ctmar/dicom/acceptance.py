"""Which DICOM images are axial CT in Hounsfield numbers; each refusal says why and what to do."""

import math

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ctmar.dicom.headers import CT, ENHANCED_CT, EXPORT_AGAIN, numbers, sop_class, text
from ctmar.store.quarantine import Refused

LARGEST_SIDE = 4096  # a damaged header must not ask for gigabytes
_FARTHEST_MM = 5000.0
_AXIAL_DEGREES = 10.0
_GANTRY_DEGREES = 30.0  # how far a gantry can be tilted
_FORBIDDEN = ("LOCALIZER", "SECONDARY", "MPR", "MIP", "MAX_IP", "MIN_IP", "MINIP", "PERFUSION")
# Image flavours of enhanced CT that are plain Hounsfield numbers (classic CT: AXIAL only).
_ENHANCED_FLAVOURS = ("AXIAL", "VOLUME", "STATIC", "PRE_CONTRAST", "POST_CONTRAST", "ANGIO", "CARDIAC", "CARDIAC_GATED")
_NONE_NEEDED = "none needed: only axial CT images are used"


def check_object(header: Dataset) -> None:
    """Refuse what is no CT, shows text in its pixels, or cannot be decoded at all.

    Raises:
        Refused: with the reason.
    """
    syntax = UID(text(header.file_meta, "TransferSyntaxUID"))
    if not syntax:
        # first: without it, what stands in the data set is a guess
        raise Refused("no transfer syntax in the file meta information", EXPORT_AGAIN)
    found = sop_class(header)
    if found not in (CT, ENHANCED_CT):
        name = UID(found).name
        known = name if found and name != found else ("no SOP class" if not found else "unknown SOP class")
        raise Refused(f"not CT: {known}", _NONE_NEEDED)
    if text(header, "BurnedInAnnotation").upper() == "YES":
        raise Refused("text is burned into the image and may name the patient", "remove the text and the tag first")
    if not (syntax.is_transfer_syntax if not syntax.is_private else False):
        raise Refused("unknown transfer syntax", "convert the file to a standard transfer syntax with a DICOM toolkit")


def check_matrix(header: Dataset, minimum_rows: int) -> tuple[int, int]:
    """Rows and columns of a grey-value image that is large enough.

    Raises:
        Refused: with the reason.
    """
    if "Rows" not in header or "Columns" not in header:
        raise Refused("no image: Rows or Columns is missing", EXPORT_AGAIN)
    rows, columns = (int(numbers(header, keyword, 1)[0]) for keyword in ("Rows", "Columns"))
    if text(header, "SamplesPerPixel") not in ("", "1"):
        raise Refused("a colour image", _NONE_NEEDED)
    if min(rows, columns) < minimum_rows:
        raise Refused(
            f"only {rows} × {columns} pixels, {minimum_rows} are needed", "lower ingest.minimum_rows to use it"
        )
    if max(rows, columns) > LARGEST_SIDE:
        raise Refused(f"{rows} × {columns} pixels is more than {LARGEST_SIDE}", EXPORT_AGAIN)
    return rows, columns


def check_rescale(transformation: Dataset) -> tuple[float, float]:
    """Slope and intercept of a linear rescale to Hounsfield numbers: a missing slope is never taken as 1.

    Raises:
        Refused: with the reason.
    """
    if "ModalityLUTSequence" in transformation:
        raise Refused("a modality look-up table instead of a linear rescale to HU", EXPORT_AGAIN)
    (slope,), (intercept,) = numbers(transformation, "RescaleSlope", 1), numbers(transformation, "RescaleIntercept", 1)
    if slope <= 0:
        raise Refused("RescaleSlope is not positive", EXPORT_AGAIN)
    return slope, intercept


def check_image_type(image_type: str, enhanced: bool = False) -> tuple[str, ...]:
    """The values of an image type, given joined by backslashes, if it says axial image.

    Raises:
        Refused: a localiser, secondary, reformatted or projected image.
    """
    # values of CS are free text in damaged files: only words of our own lists are repeated
    kinds = tuple(image_type.upper().split("\\"))
    for word in _FORBIDDEN:
        if word in kinds:
            raise Refused(f"image type {word}", _NONE_NEEDED)
    allowed = _ENHANCED_FLAVOURS if enhanced else ("AXIAL",)
    if len(kinds) > 2 and kinds[2] not in allowed:
        raise Refused("image type is not AXIAL", _NONE_NEEDED)
    if enhanced and len(kinds) > 3 and kinds[3] != "NONE":
        raise Refused("derived contrast instead of Hounsfield numbers", _NONE_NEEDED)
    return kinds


def check_spacing(measures: Dataset) -> tuple[float, float]:
    """Distance of rows and of columns [mm].

    Raises:
        Refused: missing, or not positive.
    """
    row_mm, column_mm = numbers(measures, "PixelSpacing", 2)
    if min(row_mm, column_mm) <= 0:
        raise Refused("PixelSpacing is not positive", EXPORT_AGAIN)
    return row_mm, column_mm


def check_position(plane: Dataset) -> tuple[float, float, float]:
    """Position of the first pixel [mm].

    Raises:
        Refused: missing, or farther from the origin than any scanner's table goes.
    """
    x, y, z = numbers(plane, "ImagePositionPatient", 3)
    farthest = max(map(abs, (x, y, z)))
    if farthest > _FARTHEST_MM:
        raise Refused(f"ImagePositionPatient is {farthest:.4g} mm from the origin", EXPORT_AGAIN)
    return x, y, z


def check_orientation(orientation: tuple[float, ...], kinds: tuple[str, ...]) -> None:
    """Refuse planes that are not axial.

    Within 10° of axial everything passes. An original axial image may also be tilted about the left–right axis, as
    far as a gantry goes: that is how the scanner acquired it. A derived one at such an angle is a reformat.

    Raises:
        Refused: with the reason.
    """
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths_and_product = (np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column)
    if max(map(abs, lengths_and_product)) > 1e-2:
        raise Refused("ImageOrientationPatient is not two perpendicular unit vectors", EXPORT_AGAIN)
    normal = np.cross(row, column)
    degrees = math.degrees(math.acos(min(1.0, abs(float(normal[2])))))
    along_x = max(abs(float(row[0])), abs(float(column[0]))) > math.cos(math.radians(2))
    gantry = along_x and degrees <= _GANTRY_DEGREES and kinds[:1] == ("ORIGINAL",)
    if degrees > _AXIAL_DEGREES and not gantry:
        raise Refused(f"not axial: tilted by more than {_AXIAL_DEGREES:g}°", _NONE_NEEDED)
