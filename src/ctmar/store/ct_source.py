"""What ingestion asks of CT, whatever its format: how much there is, where it lies, how it is spaced, its slices.

DICOM series, volumes of one file and the slices of a benchmark are classes of their own rooms that answer alike. Their
slices come as a radiologist sees them: rows from anterior to posterior, columns from the patient's right to left, the
slices of a source from foot to head.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Geometry:
    """What the catalogue tells of a source beside its name and its Hounsfield numbers."""

    kind: str
    rows: int
    columns: int
    pixel_mm: float  # distance of columns
    row_mm: float  # distance of rows
    slice_spacing_mm: float = math.nan  # nan where there is none: a single slice
    tilt_degrees: float = 0.0
    n_missing: int = 0
    n_duplicates: int = 0
    lossy: str = "unknown"
    manufacturer: str = "unknown"


@dataclass(frozen=True)
class DisplayedSlice:
    """A slice (rows, columns) [HU], or, where ``final``, attenuation [1/cm] on the working grid, kept as it is."""

    image: NDArray[np.float32]
    row_mm: float
    column_mm: float
    position_mm: float  # along the slice normal towards the head; nan where it is unknown
    final: bool = False


class Part(Protocol):
    """Slices of one source that are read in one go; small enough to send to another process."""

    @property
    def paths(self) -> Sequence[Path]:
        """The file that holds them, then those that it refers to."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Numbers of the slices in their source."""

    @property
    def shares_file(self) -> bool:
        """Whether the file holds several slices, so that its name does not tell which is meant."""

    @property
    def fragile(self) -> bool:
        """Whether a decoder reads it that a damaged file can crash or keep busy; it then has a process of its own."""

    def read(self) -> Iterator[DisplayedSlice]:
        """The slices one after the other.

        Raises:
            Refused: the file cannot be used, with the reason.
        """


class CtSource(Protocol):
    """Slices that belong together, in order from foot to head."""

    @property
    def n_slices(self) -> int:
        """Slices of the source."""

    @property
    def paths(self) -> Sequence[Path]:
        """Files that hold the slices."""

    def identity(self, name_of: Callable[[Path], str]) -> str:
        """What tells patients apart, in clear text (memory only); ``name_of`` names a path from the folder's root."""

    def geometry(self) -> Geometry:
        """Shape, spacing and origin, as the catalogue has them."""

    def parts(self, indices: Sequence[int]) -> Sequence[Part]:
        """The chosen slices, in parts that can be read and lost singly."""


def angle_degrees(way: NDArray[np.floating], normal: NDArray[np.floating]) -> float:
    """Angle from 0 to 90 degrees between two lines, such as that of a stack and its slices' normal.

    Examples:
        >>> round(angle_degrees(np.array([0.0, 0.0, -2.0]), np.array([0.0, 1.0, 1.0])), 6)
        45.0
    """
    cosine = abs(float(way @ normal)) / float(np.linalg.norm(way) * np.linalg.norm(normal))
    return math.degrees(math.acos(min(1.0, cosine)))
