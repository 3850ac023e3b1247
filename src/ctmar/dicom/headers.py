"""What ingestion needs to know of a DICOM image, and nothing that identifies a person."""

import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctmar.store.quarantine import Refused

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_MANUFACTURERS = ("canon", "fujifilm", "ge", "hitachi", "neusoft", "philips", "siemens", "toshiba", "united imaging")
_LOSSY_SYNTAXES = frozenset(
    "1.2.840.10008.1.2." + tail
    for tail in ("4.50", "4.51", "4.81", "4.91", "4.93", "4.203", "4.100", "4.101", "4.102", "4.103")
)
_DECIMAL_COMMA = re.compile(r"\d,\d")
EXPORT_AGAIN = "export the series again from the scanner or archive"

# Only these are parsed: the rest of a header, private tags included, is never looked at.
TAGS = [
    "BitsAllocated",
    "BurnedInAnnotation",
    "Columns",
    "ConvolutionKernel",
    "DerivationCodeSequence",
    "DerivationDescription",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "LossyImageCompression",
    "Manufacturer",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "RealWorldValueMappingSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
    "StudyInstanceUID",
]


@dataclass(frozen=True)
class Image:
    """One axial CT image: where it lies and how to read it.

    ``patient`` and ``series`` are identities in clear text: they live in memory only, until
    :mod:`ctmar.datasets.sources` replaces them by pseudonyms. ``orientation`` holds the direction cosines of a row
    and of a column.
    """

    path: Path
    frame: int  # from 0; -1 where the file holds a single image
    patient: str
    series: str
    instance: str
    rows: int
    columns: int
    row_mm: float
    column_mm: float
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    lossy: bool
    manufacturer: str
    rescale: tuple[float, float] | None = None  # slope and intercept of a frame; of a single image its file tells
    study: str = ""
    frame_of_reference: str = ""
    acquisition: tuple[str, ...] = ()  # see ctmar.dicom.acquisitions
    compressed: bool = False

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the image plane, towards the head."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal * (1 if normal[2] >= 0 else -1)

    @property
    def position_mm(self) -> float:
        """Position of the image plane along its normal [mm]."""
        return float(np.dot(self.position, self.normal))


@contextmanager
def silent() -> Iterator[None]:
    """Keep pydicom's warnings from the log: they quote values of the header."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def read_header(path: Path, more_tags: Iterable[str] = ()) -> Dataset:
    """Parse the tags that matter, without pixel data and without guessing at files that are not DICOM.

    Raises:
        Refused: not DICOM, or unreadable.
    """
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if text(meta, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            # inflating is unbounded: a few megabytes could ask for all memory
            raise Refused("a deflated data set", "convert it to explicit VR little endian with a DICOM toolkit")
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*TAGS, *more_tags])
    except InvalidDicomError:
        remedy = (
            "none needed if it is no image; else restore the preamble and file meta information with a DICOM toolkit"
        )
        raise Refused("not a DICOM file: no preamble with 'DICM'", remedy) from None
    except OSError:
        raise Refused("the file cannot be read", "check the file's permissions and the disk") from None


def text(header: Dataset, keyword: str) -> str:
    """Value of a tag as text without surrounding blanks; several values joined by a backslash; '' where absent."""
    value = header.get(keyword)
    if value is None:
        return ""
    values = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
    return "\\".join(str(part).strip() for part in values)


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """``count`` finite numbers of a tag.

    Raises:
        Refused: absent, another count, or not finite numbers; the values are not quoted.
    """
    value: Any = header.get(keyword)
    if _DECIMAL_COMMA.search(text(header, keyword)):
        raise Refused(f"{keyword} is written with a decimal comma", "write it with a decimal point; " + EXPORT_AGAIN)
    try:
        values = tuple(float(part) for part in (value if count > 1 else [value]))
    except (TypeError, ValueError):
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        expected = "a number" if count == 1 else f"{count} numbers"
        raise Refused(f"{keyword} is missing or not {expected}", EXPORT_AGAIN)
    return values


def sop_class(header: Dataset) -> str:
    """SOP class; files whose data set leaves it empty still name it in the file meta information."""
    return text(header, "SOPClassUID") or text(header.file_meta, "MediaStorageSOPClassUID")


def is_lossy(header: Dataset) -> bool:
    """Whether the image has been through lossy compression, now or earlier."""
    return (
        text(header.file_meta, "TransferSyntaxUID") in _LOSSY_SYNTAXES or text(header, "LossyImageCompression") == "01"
    )


def manufacturer(header: Dataset) -> str:
    """A name of the known list, or ``other``: free text may hold anything."""
    found = text(header, "Manufacturer").lower()
    return next((name for name in _MANUFACTURERS if found.startswith(name)), "other" if found else "unknown")


def patient_identity(header: Dataset, path: Path) -> str:
    """What tells patients apart.

    The patient's identifier, else name and birth date, else study, else frame of reference, else folder. Two people
    may share an identifier that was blanked; they then count as one, which keeps the split honest.
    """
    identifier = text(header, "PatientID")
    name = text(header, "PatientName")
    candidates = (
        identifier and f"id {identifier}",
        name and f"name {name} {text(header, 'PatientBirthDate')}",
        text(header, "StudyInstanceUID"),
        text(header, "FrameOfReferenceUID"),
    )
    return next((candidate for candidate in candidates if candidate), f"folder {path.parent}")
