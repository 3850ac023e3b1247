"""Images on the grid of a CT that hold something else: iodine, electron density, differences, segmentations."""

import re

from pydicom.dataset import Dataset

from ctmar.dicom.headers import text
from ctmar.store.quarantine import Refused

# Values of ImageType, the standard's (PS3.3 C.8.15.3) and those of manufacturers.
_IMAGE_TYPES = re.compile(
    r"IODINE|SUBTRACT|ELECTRON|DENSITY|Z_?EFF|ATOMIC|EFFECTIVE[ _]?Z|\bRHO|VNC|VIRTUAL[ _]?NON|URIC|CALCIUM|MAT_|"
    r"MATERIAL|FRACTION|PBV|BLOOD[ _]?(VOLUME|FLOW)|UPTAKE|WATER|FUSED|MASK|SEGMENT|DIFFERENCE|STIFFNESS|PERMEABILITY"
)
# Free text of a derived image.
_DESCRIPTIONS = re.compile(
    r"IODINE|SUBTRACT|ELECTRON[ _-]?DENSITY|EFFECTIVE[ _-]?(Z|ATOMIC)|\bZ[ _-]?EFF|VIRTUAL[ _-]?NON|\bVNC\b|URIC|"
    r"DIFFERENCE (IMAGE|MAP)|SEGMENTATION|PERFUSED BLOOD"
)
# Codes of DCM (CID 7203): division, mask, maximum, minimum, multiplication, subtraction, segmentation, projections,
# perfusion.
_DERIVATIONS = {"113046", "113047", "113048", "113051", "113053", "113062", "113076", "113078", "113079", "129104"}
_HOUNSFIELD_UNITS = {"", "1", "[hnsf'U]"}  # UCUM; 1 stands for no unit
_HOUNSFIELD_TYPES = {"", "HU"}
_REMEDY = "use the reconstruction in Hounsfield numbers; set ingest.derived_maps to keep such images"


def check_hounsfield_image(header: Dataset, kinds: tuple[str, ...], rescale: Dataset) -> None:
    """Refuse an image that says that its values are no Hounsfield numbers of tissue.

    The values of a map can look like them. What says so nowhere in ImageType, RescaleType, the real-world units or the
    derivation cannot be told from CT.

    Args:
        header: of the file.
        kinds: values of the image type, upper case.
        rescale: what holds RescaleType: the header, or the group of a frame.

    Raises:
        Refused: with the attribute that tells; its value is free text and not repeated.
    """
    if text(rescale, "RescaleType").upper() not in _HOUNSFIELD_TYPES:
        raise Refused("RescaleType is not HU", _REMEDY)
    derivations = {text(code, "CodeValue") for code in _items(header, "Derivation")}
    for keyword, tells in (
        ("ImageType", _IMAGE_TYPES.search("\\".join([*kinds, text(header, "ImageType").upper()])) is not None),
        ("DerivationCodeSequence", not derivations.isdisjoint(_DERIVATIONS)),
        ("RealWorldValueMappingSequence", not _units(header) <= _HOUNSFIELD_UNITS),
        ("DerivationDescription", _described(header, "DerivationDescription", kinds)),
        ("SeriesDescription", _described(header, "SeriesDescription", kinds)),
    ):
        if tells:
            reason = f"a map of a material, a difference or a mask instead of Hounsfield numbers: {keyword} says so"
            raise Refused(reason, _REMEDY)


def _described(header: Dataset, keyword: str, kinds: tuple[str, ...]) -> bool:
    # the name of an original series may tell of the contrast agent
    return kinds[:1] != ("ORIGINAL",) and _DESCRIPTIONS.search(text(header, keyword).upper()) is not None


def _items(dataset: Dataset, stem: str) -> list[Dataset]:
    return list(dataset.get(f"{stem}CodeSequence") or [])


def _units(header: Dataset) -> set[str]:
    mappings = header.get("RealWorldValueMappingSequence") or []
    return {text(unit, "CodeValue") for mapping in mappings for unit in _items(mapping, "MeasurementUnits")}
