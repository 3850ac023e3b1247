"""CT volumes as a radiologist sees them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from ctmar.store.ct_source import DisplayedSlice, Geometry, angle_degrees
from ctmar.store.quarantine import Refused
from ctmar.units import padding_to_air
from ctmar.volumes.stored_volume import open_stored

_OBLIQUE_COSINE = 0.985  # 10 degrees
_AIR_LIMIT_HU = -500.0


@dataclass(frozen=True)
class Volume:
    """Geometry of a volume as it is displayed: rows to the back, columns to the patient's left, slices to the head."""

    paths: tuple[Path, ...]  # the volume's file, then those it refers to
    reader: str  # module of this package
    n_slices: int
    rows: int
    columns: int
    row_mm: float
    column_mm: float
    spacing_mm: float
    first_mm: float  # position of the lowest slice along the body
    tilt_degrees: float

    def identity(self, name_of: Callable[[Path], str]) -> str:
        """Identity of the patient, by the path alone: volumes tell of no person."""
        return f"volume {patient_identity(Path(name_of(self.paths[0])))}"

    def geometry(self) -> Geometry:
        """As displayed."""
        return Geometry(
            kind=self.reader,
            rows=self.rows,
            columns=self.columns,
            pixel_mm=self.column_mm,
            row_mm=self.row_mm,
            slice_spacing_mm=self.spacing_mm,
            tilt_degrees=self.tilt_degrees,
        )

    def parts(self, indices: Sequence[int]) -> list["_SomeSlices"]:
        """All chosen slices in one part, because the file is read once."""
        return [_SomeSlices(self, tuple(indices))] if indices else []


@dataclass(frozen=True)
class _SomeSlices:
    """Chosen slices of a volume."""

    volume: Volume
    indices: tuple[int, ...]
    shares_file: bool = True
    fragile: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the volume."""
        return self.volume.paths

    def read(self) -> Iterator[DisplayedSlice]:
        """Convert one slice at a time to Hounsfield numbers; the voxels stay in memory as they are stored.

        Raises:
            Refused: the voxels cannot be read, or hold no air and so cannot be Hounsfield numbers.
        """
        stored = open_stored(self.paths[0], self.volume.reader)
        voxels = stored.read()
        extremes = np.array([voxels.min(), voxels.max()], dtype=np.float64)
        if not (extremes * stored.slope + stored.intercept).min() < _AIR_LIMIT_HU:
            raise Refused(
                f"implausible Hounsfield numbers: no air below {_AIR_LIMIT_HU:g} HU",
                "use the CT itself, in Hounsfield numbers: not a segmentation, not a windowed or normalised copy",
            )
        displayed = display(voxels, stored.affine)
        for index in self.indices:
            image = np.ascontiguousarray(displayed[index] * stored.slope + stored.intercept, dtype=np.float32)
            position_mm = self.volume.first_mm + index * self.volume.spacing_mm
            yield DisplayedSlice(padding_to_air(image), self.volume.row_mm, self.volume.column_mm, position_mm)


def patient_identity(relative: Path) -> str:
    """What tells patients apart: the BIDS subject in the path, else the first folder, else the file's name.

    Examples:
        >>> [patient_identity(Path(name)) for name in ("sub-01/ses-1/ct.nii.gz", "smith/ct.nii", "a.nii.gz")]
        ['sub-01', 'smith', 'a']
    """
    subject = re.search(r"sub-[A-Za-z0-9]+", relative.as_posix())
    if subject:
        return subject.group()
    first = relative.parts[0]
    return first if len(relative.parts) > 1 else Path(re.sub(r"\.gz$", "", first, flags=re.IGNORECASE)).stem


def open_volume(path: Path, minimum_rows: int, reader: str) -> Volume:
    """Read the geometry of a volume; no voxel is read.

    Args:
        path: the file.
        minimum_rows: smallest number of rows and columns that is used [pixels].
        reader: module of this package that reads the format.

    Raises:
        Refused: not of this format, not three-dimensional, too small, or its orientation is unknown or oblique.
    """
    stored = open_stored(path, reader)
    if len(stored.shape) != 3:
        raise Refused(f"{len(stored.shape)} dimensions, 3 are needed", "split it into one volume per file")
    axes = _axes(stored.affine)
    columns, rows, n_slices = (stored.shape[axis] for axis in axes)
    if min(rows, columns) < minimum_rows:
        raise Refused(
            f"only {rows} × {columns} pixels, {minimum_rows} are needed", "lower ingest.minimum_rows to use it"
        )
    along_columns, along_rows, along_slices = stored.affine[:3, axes].T
    # a single slice tells no way of the table: it is then the patient's axis, as in DICOM
    way = along_slices if n_slices > 1 else np.array([0.0, 0.0, 1.0])
    return Volume(
        paths=stored.paths,
        reader=reader,
        n_slices=n_slices,
        rows=rows,
        columns=columns,
        row_mm=float(np.linalg.norm(along_rows)),
        column_mm=float(np.linalg.norm(along_columns)),
        spacing_mm=float(np.linalg.norm(along_slices)),
        first_mm=_lowest(stored.affine, stored.shape),
        tilt_degrees=angle_degrees(way, np.cross(along_columns, along_rows)),
    )


def display(voxels: NDArray, affine: NDArray[np.float64]) -> NDArray:
    """A view (n_slices, rows, columns) of voxels in displayed orientation; nothing is copied."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))
    if np.isnan(turn).any():
        raise Refused("the affine is not a transformation", "convert the series again")
    return apply_orientation(voxels, turn).T


def _axes(affine: NDArray[np.float64]) -> list[int]:
    """For x, y, z of the patient: the voxel axis that runs along it."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes: list[int] = np.argmax(np.abs(cosines), axis=1).tolist()
    if len(set(axes)) < 3 or np.abs(cosines).max(axis=1).min() < _OBLIQUE_COSINE:
        raise Refused("not axial: tilted by more than 10°", "resample the volume to the axes of the patient")
    return axes


def _lowest(affine: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in shape), 1]], dtype=float) @ affine.T
    return float(corners[:, 2].min())
