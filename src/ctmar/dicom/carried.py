"""What a derived image tells of its source: numbers of the scan always, the patient only when asked.

By default this is an allow-list. Only numbers that are checked to be numbers, and words of the lists below, get
through; every other attribute of the source stays behind, known to the de-identification profile of DICOM PS3.15
annex E or not, private attributes and overlays included.
"""

import math
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat

from ctmar.dicom.headers import text

_LONGEST_DECIMAL = 16  # characters of one value of VR DS
# Decimal strings (VR DS) and integer strings (IS) or binary numbers of the scan and of the plane.
NUMBERS = (
    "SliceThickness",
    "KVP",
    "SpacingBetweenSlices",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "GantryDetectorTilt",
    "TableHeight",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "GeneratorPower",
    "FocalSpots",
    "RevolutionTime",
    "SingleCollimationWidth",
    "TotalCollimationWidth",
    "TableSpeed",
    "TableFeedPerRotation",
    "SpiralPitchFactor",
    "AcquisitionNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "LossyImageCompressionRatio",
)
_WORDS = {
    "PatientPosition": ("HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS"),
    "RotationDirection": ("CW", "CC"),
    "RescaleType": ("HU", "HU_MOD"),
    "BurnedInAnnotation": ("NO",),
    "LossyImageCompressionMethod": ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_18181_1"),
}
# Type 2 attributes of CT Image Storage: there, even where nothing is known.
MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
    "Manufacturer",
    "PatientPosition",
    "AcquisitionNumber",
    "SliceThickness",
    "KVP",
)
# The modules of patient, study, frame of reference and equipment, and what a reader wants to see beside them.
IDENTITY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientIDs",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "AcquisitionDate",
    "AcquisitionTime",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "InstitutionName",
    "Manufacturer",
    "ManufacturerModelName",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ProtocolName",
    "ConvolutionKernel",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)


def carry_numbers(sources: Iterable[Dataset], target: Dataset) -> None:
    """Copy the numbers and words of the allow-list; a later source comes before an earlier one."""
    for source in sources:
        for keyword in NUMBERS:
            values = source.get(keyword)
            several = isinstance(values, (MultiValue, list))
            copied = [_number(value) for value in (values if several else [values])]
            if copied and None not in copied:
                setattr(target, keyword, copied if several else copied[0])
        for keyword, allowed in _WORDS.items():
            if text(source, keyword).upper() in allowed:
                setattr(target, keyword, text(source, keyword).upper())


def carry_identity(source: Dataset, target: Dataset) -> None:
    """Copy the modules of patient, study, frame of reference and equipment as they are."""
    # the values are decoded here and encoded when they are written, whatever the source's character set
    target.SpecificCharacterSet = "ISO_IR 192"
    for keyword in IDENTITY:
        # an empty unique identifier is none: the one that was made stays
        if keyword in source and (text(source, keyword) or not keyword.endswith("UID")):
            target[keyword] = source[keyword]


def _number(value: object) -> object:
    """The value if it is a finite number, as it was written where that is valid; else None."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    if isinstance(value, DSfloat) and len(str(value)) > _LONGEST_DECIMAL:
        return DSfloat(number, auto_format=True)  # too long to be valid
    return value
