"""Canaries: planted wherever a DICOM file can hold an identifier, and looked for in everything written."""

from pathlib import Path

import pydicom

CANARY = "ZEBRAFINCH"
CANARIES = {"PN": CANARY, "LO": CANARY, "SH": CANARY, "LT": CANARY, "ST": CANARY, "UT": CANARY, "UC": CANARY,
            "AE": CANARY, "CS": CANARY, "AS": "077Y", "DA": "19770707", "DT": "19770707070707", "TM": "070707.77",
            "UI": "1.2.77.777.7777", "UR": f"http://{CANARY}"}  # fmt: skip
# without these the image would be refused or stand alone, and there would be nothing to leak from
NEEDED = {"SOPClassUID", "ImageType", "RescaleType", "PhotometricInterpretation", "Modality", "BurnedInAnnotation",
          "LossyImageCompression", "SpecificCharacterSet", "PixelPaddingValue"}  # fmt: skip


def plant(path: Path, **tags: object) -> None:
    """Put a canary into every text, date and identifier tag of the dictionary, into private tags and file meta.

    ``tags`` are set afterwards.
    """
    dataset = pydicom.dcmread(path)
    for tag, (representation, _, _, _, keyword) in pydicom.datadict.DicomDictionary.items():
        if representation in CANARIES and keyword not in NEEDED and tag >> 16 not in (0x0000, 0x0002, 0x0004):
            dataset.add_new(tag, representation, CANARIES[representation])
    item = pydicom.Dataset()
    item.PatientName = item.PersonName = CANARY
    dataset.RequestAttributesSequence = dataset.OtherPatientIDsSequence = [item]
    dataset.private_block(0x0099, CANARY, create=True).add_new(0x01, "LO", CANARY)
    dataset.file_meta.SourceApplicationEntityTitle = CANARY
    dataset.preamble = CANARY.encode().ljust(128, b"\0")
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def traces(content: bytes) -> list[str]:
    """Canaries in a file or a log, in any case and in the two text encodings of HDF5 and the operating system."""
    lower = content.lower()
    found = [value for value in CANARIES.values() if len(value) > 4 and value.lower().encode() in lower]
    return found + [value for value in (CANARY,) if value.lower().encode("utf-16-le") in lower]
