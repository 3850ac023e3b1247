"""CT volumes in NIfTI, as a radiologist sees them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from ctmar.store.quarantine import Refused

SUFFIXES = (".nii", ".nii.gz")
LARGEST_VOXELS = 2**30
OBLIQUE_COSINE = 0.985  # 10 degrees
AIR_LIMIT_HU = -500.0
CONVERT_AGAIN = "convert the series again with a DICOM to NIfTI converter"


@dataclass(frozen=True)
class Volume:
    """Geometry of a volume as it is displayed: rows to the back, columns to the patient's left, slices to the head."""

    path: Path
    n_slices: int
    rows: int
    columns: int
    row_mm: float
    column_mm: float
    spacing_mm: float
    first_mm: float  # position of the lowest slice along the body


def is_nifti(path: Path) -> bool:
    """Whether the file's name says NIfTI.

    Examples:
        >>> is_nifti(Path("ct.nii.gz")), is_nifti(Path("ct.dcm"))
        (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def patient_identity(relative: Path) -> str:
    """What tells patients apart: the BIDS subject in the path, else the first folder, else the file's name.

    Examples:
        >>> [patient_identity(Path(name)) for name in ("sub-01/ses-1/ct.nii.gz", "smith/ct.nii", "a.nii.gz")]
        ['sub-01', 'smith', 'a']
    """
    subject = re.search(r"sub-[A-Za-z0-9]+", relative.as_posix())
    return subject.group() if subject else re.sub(r"\.nii(\.gz)?$", "", relative.parts[0], flags=re.IGNORECASE)


def open_volume(path: Path, minimum_rows: int) -> Volume:
    """Read the geometry of a volume; no voxel is read.

    Raises:
        Refused: not NIfTI, not three-dimensional, too small, or its orientation is unknown or oblique.
    """
    image = load_image(path)
    header = image.header
    shape = tuple(int(n) for n in image.shape)
    if len(shape) != 3:
        raise Refused(f"{len(shape)} dimensions, 3 are needed", "split it into one volume per file")
    if min(shape) < 1 or np.prod(shape, dtype=float) > LARGEST_VOXELS:
        raise Refused(f"{' × '.join(map(str, shape))} voxels is more than {LARGEST_VOXELS} or none", CONVERT_AGAIN)
    if not np.issubdtype(header.get_data_dtype(), np.number) or np.iscomplexobj(np.empty(0, header.get_data_dtype())):
        raise Refused("voxels are not real numbers", CONVERT_AGAIN)
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        raise Refused("no orientation: qform and sform codes are 0", CONVERT_AGAIN)
    if header.get_xyzt_units()[0] not in ("mm", "unknown"):
        raise Refused("the unit of length is not mm", CONVERT_AGAIN)
    columns, rows, n_slices = _reoriented_shape(image.affine, shape)
    if min(rows, columns) < minimum_rows:
        raise Refused(
            f"only {rows} × {columns} pixels, {minimum_rows} are needed", "lower ingest.minimum_rows to use it"
        )
    column_mm, row_mm, spacing_mm = _spacing(image.affine)
    first_mm = _lowest(image.affine, shape)
    return Volume(path, n_slices, rows, columns, row_mm, column_mm, spacing_mm, first_mm)


def read_display(volume: Volume, indices: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Slices (rows, columns) of a volume [HU], converted one at a time; the voxels stay in memory as they are stored.

    Slices run from foot to head, rows from anterior to posterior, columns from the patient's right to left.

    Args:
        volume: made by :func:`open_volume`.
        indices: slices wanted, counted from the feet.

    Raises:
        Refused: the voxels cannot be read, or hold no air and so cannot be Hounsfield numbers.
    """
    image = load_image(volume.path)
    try:
        stored = np.asanyarray(image.dataobj.get_unscaled())
        extremes = np.array([stored.min(), stored.max()], dtype=np.float64)
    except Exception as error:
        raise Refused(f"voxels cannot be read ({type(error).__name__})", "copy or convert the file again") from None
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if not (extremes * slope + intercept).min() < AIR_LIMIT_HU:
        raise Refused(
            f"implausible Hounsfield numbers: no air below {AIR_LIMIT_HU:g} HU",
            "use the CT itself, in Hounsfield numbers: not a segmentation, not a windowed or normalised copy",
        )
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt("LPS"))
    displayed = apply_orientation(stored, turn).T  # views: nothing is copied
    for index in indices:
        yield np.ascontiguousarray(displayed[index] * slope + intercept, dtype=np.float32)


def load_image(path: Path) -> Any:
    """Open a NIfTI file with nibabel; no voxel is read.

    Raises:
        Refused: the file is no NIfTI.
    """
    try:
        image = nibabel.load(path)
    except Exception:
        raise Refused("not a NIfTI file", "none needed if it is no image; else convert the series again") from None
    if not isinstance(image, nibabel.Nifti1Pair):
        raise Refused("not a NIfTI file", "none needed if it is no image; else convert the series again")
    return image


def _axes(affine: NDArray[np.float64]) -> NDArray[np.int64]:
    """For x, y, z of the patient: the voxel axis that runs along it."""
    if not np.isfinite(affine).all() or min(np.linalg.norm(affine[:3, :3], axis=0)) <= 0:
        raise Refused("the affine is not a transformation", CONVERT_AGAIN)
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = np.argmax(np.abs(cosines), axis=1)
    if len(set(axes.tolist())) < 3 or np.abs(cosines).max(axis=1).min() < OBLIQUE_COSINE:
        raise Refused("not axial: tilted by more than 10°", "resample the volume to the axes of the patient")
    return axes


def _reoriented_shape(affine: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = _axes(affine)
    return shape[x], shape[y], shape[z]


def _spacing(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    x, y, z = _axes(affine)
    return float(lengths[x]), float(lengths[y]), float(lengths[z])


def _lowest(affine: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in shape), 1]], dtype=float) @ affine.T
    return float(corners[:, 2].min())
