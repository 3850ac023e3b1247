"""Images of one reconstruction, in order from foot to head."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import numpy as np

from ctmar.dicom.acquisitions import SAME_POSITION_MM, by_thickness, choose_acquisition
from ctmar.dicom.headers import Image
from ctmar.dicom.pixels import read_display
from ctmar.store.ct_source import DisplayedSlice, Geometry, angle_degrees
from ctmar.store.quarantine import Refused

_DUPLICATE = Refused("duplicate: another image of the series lies at the same position", "none needed: one is kept")
GAP = 1.5  # a step longer than this many median steps means missing slices


@dataclass(frozen=True)
class _OneImage:
    """One image of a series, to be read by itself."""

    image: Image
    index: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """The image's file."""
        return (self.image.path,)

    @property
    def indices(self) -> tuple[int, ...]:
        """Its number in the series."""
        return (self.index,)

    @property
    def shares_file(self) -> bool:
        """Whether it is a frame of several."""
        return self.image.frame >= 0

    @property
    def fragile(self) -> bool:
        """Whether a decoder of compressed pixels is needed."""
        return self.image.compressed

    def read(self) -> Iterator[DisplayedSlice]:
        """Decode the image.

        Raises:
            Refused: its pixel data cannot be decoded.
        """
        image_hu, row_mm, column_mm = read_display(self.image)
        yield DisplayedSlice(image_hu, row_mm, column_mm, self.image.position_mm)


@dataclass(frozen=True)
class Series:
    """A stack of slices; ``tilt_degrees`` is the angle between the table's way and the slices' normal."""

    images: tuple[Image, ...]
    duplicates: tuple[Image, ...]
    spacing_mm: float  # nan for a single slice
    n_missing: int
    tilt_degrees: float
    other_acquisitions: tuple[tuple[Image, Refused], ...] = ()

    @property
    def left_out(self) -> list[tuple[Image, Refused]]:
        """Images that are not used, with the reason."""
        return [*((image, _DUPLICATE) for image in self.duplicates), *self.other_acquisitions]

    @property
    def patient(self) -> str:
        """Identity of the patient, in clear text (memory only)."""
        return self.images[0].patient

    @property
    def n_slices(self) -> int:
        """Slices of the series."""
        return len(self.images)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of each slice."""
        return tuple(image.path for image in self.images)

    def identity(self, name_of: Callable[[Path], str]) -> str:
        """Identity of the patient; where only the folder tells patients apart, named from the root wherever that is."""
        folder = self.images[0].path.parent
        return f"folder {name_of(folder)}" if self.patient == f"folder {folder}" else self.patient

    def geometry(self) -> Geometry:
        """Geometry of the first image; the spacing is that of most slices."""
        first = self.images[0]
        return Geometry(
            kind="dicom",
            rows=first.rows,
            columns=first.columns,
            pixel_mm=first.column_mm,
            row_mm=first.row_mm,
            slice_spacing_mm=self.spacing_mm,
            tilt_degrees=self.tilt_degrees,
            n_missing=self.n_missing,
            n_duplicates=len(self.duplicates),
            lossy="yes" if any(image.lossy for image in self.images) else "no",
            manufacturer=first.manufacturer,
        )

    def parts(self, indices: Sequence[int]) -> list[_OneImage]:
        """Each image by itself."""
        return [_OneImage(self.images[index], index) for index in indices]


def group_series(images: Iterable[Image]) -> list[Series]:
    """Sort images into series, and each series from foot to head.

    Images agree in patient, study, series, frame of reference, orientation, pixel spacing, shape, kernel and thickness.
    Of several acquisitions of the same place one is kept whole. Where two images still lie at the same position the
    first is kept, lossless before lossy and then by instance identifier: file names do not matter.
    """
    by_series: dict[str, list[Image]] = {}
    for image in images:
        by_series.setdefault(image.series, []).append(image)
    return [_order(part) for key in sorted(by_series) for part in by_thickness(by_series[key])]


def _order(images: list[Image]) -> Series:
    ordered = sorted(images, key=lambda image: (image.lossy, image.instance, image.frame, str(image.path)))
    ordered.sort(key=lambda image: image.position_mm)
    ordered, others = choose_acquisition(ordered)
    kept: list[Image] = []
    duplicates: list[Image] = []
    for image in ordered:
        same = kept and image.position_mm - kept[-1].position_mm < SAME_POSITION_MM
        (duplicates if same else kept).append(image)
    steps = [after.position_mm - before.position_mm for before, after in pairwise(kept)]
    spacing = median_low(steps) if steps else math.nan
    missing = sum(round(step / spacing) - 1 for step in steps if step > GAP * spacing)
    return Series(tuple(kept), tuple(duplicates), spacing, missing, _tilt_degrees(kept), tuple(others))


def _tilt_degrees(images: list[Image]) -> float:
    """Angle between the way of the table and the slices' normal; the tilt tag is not to be trusted.

    The table went from the first image to the last one. A single image tells no way: it is then the patient's axis.
    """
    way = np.subtract(images[-1].position, images[0].position) if len(images) > 1 else np.array([0.0, 0.0, 1.0])
    return angle_degrees(way, images[0].normal)
