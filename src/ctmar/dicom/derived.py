"""A derived CT image: a source image, some of its pixels changed, under new identifiers."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from ctmar.dicom.carried import MAY_BE_EMPTY, carry_identity, carry_numbers
from ctmar.dicom.headers import Image, manufacturer, silent, text
from ctmar.dicom.pixels import to_display
from ctmar.dicom.stored_pixels import StoredPixels, read_stored
from ctmar.store.atomic import atomic_path
from ctmar.store.quarantine import Refused
from ctmar.units import AIR_HU

_MODEL_NAME = "ctmar predict"
# one value of VR LO has at most 64 characters
REMOVED = ["allow-list of technical attributes", "names, dates and unique identifiers replaced or left out"]
_SERIES_OFFSET = 1000  # beside the series of the same study


@dataclass(frozen=True)
class Derivation:
    """What every derived image of a series says of the way it was made.

    Attributes:
        patient: pseudonym; takes the place of name and identifier unless the identity is kept.
        series: number of the series, from 1.
        recipe: digest of all that shapes the pixels; another recipe gives other identifiers.
        series_description: at most 64 characters of ASCII.
        version: of this software.
        salt: key of the unique identifiers.
        keep_identity: copy the modules of patient and study, and refer to the source image.
    """

    patient: str
    series: int
    recipe: str
    series_description: str
    version: str
    salt: bytes
    keep_identity: bool


def derived_uid(kind: str, identity: str, salt: bytes) -> UID:
    """Unique identifier 2.25.… (of a UUID) that a salted hash fixes: the same source and salt give the same.

    Examples:
        >>> derived_uid("study", "1.2.3", b"salt") == derived_uid("study", "1.2.3", b"salt")
        True
        >>> derived_uid("study", "1.2.3", b"salt") == derived_uid("series", "1.2.3", b"salt")
        False
    """
    digest = hmac.new(salt, f"uid {kind}\0{identity}".encode(), hashlib.sha256).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}")


def write_derived(
    image: Image,
    change_hu: NDArray[np.floating] | None,
    path: Path,
    number: int,
    description: str,
    derivation: Derivation,
) -> int:
    """Write an image as derived CT, classic and uncompressed, with ``change_hu`` added to its pixels.

    Geometry and rescale stay those of the source; pixels whose change rounds to nothing keep their stored value, and
    so does padding.

    Args:
        image: the source; a frame of enhanced CT becomes an image of its own.
        change_hu: shape of the displayed image (see ``read_display``) [HU]; None leaves every pixel as it is.
        path: file to write; whole or not at all.
        number: instance number.
        description: how this image was derived; at most 1024 characters of ASCII.
        derivation: what the images of the series have in common.

    Returns:
        How many pixels would have left the range of stored values and were set to its end; those of air, where the
        range begins at air, are not counted.

    Raises:
        Refused: the source cannot be decoded, or stores its pixels in a way that is not written.
    """
    try:
        with silent():
            header, pixels = read_stored(image, whole_header=True)
            return _write(image, header, pixels, change_hu, path, number, description, derivation)
    except (Refused, OSError):
        raise
    except Exception as error:
        # a value of the header that cannot be written can raise nearly anything; it is not quoted
        remedy = "export the series again; leave out --keep-identity if that is set"
        raise Refused(f"cannot be written as a derived image ({type(error).__name__})", remedy) from None


def _specific_last(header: Dataset, image: Image) -> list[Dataset]:
    """Where attributes are looked up, the most specific last: the groups of a frame come before the top level."""
    if image.frame < 0:
        return [header]
    groups = [*(header.get("SharedFunctionalGroupsSequence") or [])[:1]]
    groups.append(header.PerFrameFunctionalGroupsSequence[image.frame])
    return [
        header,
        *(element.value[0] for group in groups for element in group if element.VR == "SQ" and element.value),
    ]


def _write(
    image: Image,
    source: Dataset,
    pixels: StoredPixels,
    change_hu: NDArray[np.floating] | None,
    path: Path,
    number: int,
    description: str,
    derivation: Derivation,
) -> int:
    raw = pixels.values
    if raw.dtype.kind not in "iu" or raw.dtype.itemsize != 2:
        raise Refused("stored values do not have 16 bits", "convert it to 16 bits with a DICOM toolkit")
    derived = Dataset()
    derived.file_meta = FileMetaDataset()
    for keyword in MAY_BE_EMPTY:
        setattr(derived, keyword, None)
    carry_numbers(_specific_last(source, image), derived)
    _identify(derived, source, image, number, derivation)
    _explain(derived, source, image, description, derivation, change_hu is not None)
    n_clipped = _set_pixels(derived, source, pixels, _to_stored(change_hu, image))
    with atomic_path(path) as temporary:
        derived.save_as(temporary, enforce_file_format=True)
    return n_clipped


def _identify(derived: Dataset, source: Dataset, image: Image, number: int, derivation: Derivation) -> None:
    """Set patient, study, series, frame of reference and instance."""
    salt = derivation.salt
    derived.PatientName = derived.PatientID = derivation.patient
    derived.StudyInstanceUID = derived_uid("study", text(source, "StudyInstanceUID") or image.patient, salt)
    derived.FrameOfReferenceUID = derived_uid("frame", text(source, "FrameOfReferenceUID") or image.series, salt)
    derived.Manufacturer = manufacturer(source)
    derived.SeriesNumber = derivation.series
    if derivation.keep_identity:
        carry_identity(source, derived)
        derived.SeriesNumber = _SERIES_OFFSET + _series_number(source, derivation.series)
    else:
        derived.PatientIdentityRemoved = "YES"
        derived.DeidentificationMethod = REMOVED
        derived.LongitudinalTemporalInformationModified = "REMOVED"
    series = f"{image.series}\0{derivation.recipe}"
    derived.SeriesInstanceUID = derived_uid("series", series, salt)
    place = f"{series}\0{image.instance}\0{image.frame}\0{image.position_mm:.3f}"
    derived.SOPInstanceUID = derived_uid("instance", place, salt)
    derived.SOPClassUID = CTImageStorage
    derived.InstanceNumber = number
    derived.file_meta.MediaStorageSOPClassUID = derived.SOPClassUID
    derived.file_meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    derived.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _series_number(source: Dataset, otherwise: int) -> int:
    found = text(source, "SeriesNumber")
    return int(found) if found.isdecimal() and len(found) < 9 else otherwise


def _explain(
    derived: Dataset, source: Dataset, image: Image, description: str, derivation: Derivation, changed: bool
) -> None:
    """Write that the image is derived, how, by what, and (where the identity is kept) from which."""
    derived.Modality = "CT"
    derived.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    derived.SeriesDescription = derivation.series_description
    derived.DerivationDescription = description
    if changed:
        derived.DerivationCodeSequence = [_code("113042", "Pixel by pixel addition")]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    equipment.Manufacturer = "equiproj"
    equipment.ManufacturerModelName = _MODEL_NAME
    equipment.SoftwareVersions = derivation.version
    derived.ContributingEquipmentSequence = [equipment]
    if image.lossy:
        derived.LossyImageCompression = "01"
    if derivation.keep_identity and image.instance:
        reference = Dataset()
        reference.ReferencedSOPClassUID = text(source, "SOPClassUID") or CTImageStorage
        reference.ReferencedSOPInstanceUID = image.instance
        if image.frame >= 0:
            reference.ReferencedFrameNumber = image.frame + 1
        reference.SpatialLocationsPreserved = "YES"
        reference.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation")]
        derived.SourceImageSequence = [reference]


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _to_stored(change_hu: NDArray[np.floating] | None, image: Image) -> NDArray[np.float64]:
    """Turn a change of the displayed image to the rows and columns of the file; the way back from ``to_display``."""
    stored = np.zeros(image.rows * image.columns)
    if change_hu is not None:
        places = np.arange(stored.size).reshape(image.rows, image.columns)
        stored[to_display(places, image)[0].ravel()] = change_hu.ravel()  # type: ignore[arg-type]
    return stored.reshape(image.rows, image.columns)


def _set_pixels(derived: Dataset, source: Dataset, pixels: StoredPixels, change_hu: NDArray[np.float64]) -> int:
    """Set the image pixel module; how many pixels were clipped to the stored range."""
    raw, slope = pixels.values, float(derived.RescaleSlope)
    signed = raw.dtype.kind == "i"
    bits = int(source.BitsStored)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    change = np.where(pixels.is_padding, 0, np.rint(change_hu / slope)).astype(np.int64)
    wanted = raw + change
    # padding may need more bits than the header counts, and stays as it is
    stored = np.where(pixels.is_padding, raw, np.clip(wanted, low, high))
    # where the range begins at air or below, nothing is lost there
    to_air = slope * low + float(derived.RescaleIntercept) <= AIR_HU
    beyond = (wanted > high) | (wanted < low if not to_air else False)
    n_clipped = int(np.count_nonzero(beyond & ~pixels.is_padding))
    if pixels.padding is not None:
        # a corrected pixel must not turn into padding
        beside = pixels.padding.last + 1 if pixels.padding.last < high else pixels.padding.first - 1
        stored[pixels.padding.holds(stored) & (change != 0)] = beside
        derived.PixelPaddingValue = pixels.padding.first
        if pixels.padding.last != pixels.padding.first:
            derived.PixelPaddingRangeLimit = pixels.padding.last
    derived.Rows, derived.Columns = raw.shape
    derived.SamplesPerPixel, derived.PhotometricInterpretation = 1, _photometric(source)
    derived.BitsAllocated, derived.BitsStored, derived.HighBit = 16, bits, bits - 1
    derived.PixelRepresentation = int(signed)
    derived.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()
    return n_clipped


def _photometric(source: Dataset) -> str:
    return "MONOCHROME1" if text(source, "PhotometricInterpretation") == "MONOCHROME1" else "MONOCHROME2"
