"""Images of one reconstruction, in order from foot to head."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

import numpy as np

from ctmar.dicom.headers import Image

SAME_POSITION_MM = 0.01
GAP = 1.5  # a step longer than this many median steps means missing slices


@dataclass(frozen=True)
class Series:
    """A stack of slices; ``tilt_degrees`` is the angle between the direction of the stack and the slices' normal."""

    images: tuple[Image, ...]
    duplicates: tuple[Image, ...]
    spacing_mm: float  # nan for a single slice
    n_missing: int
    tilt_degrees: float

    @property
    def patient(self) -> str:
        """Identity of the patient, in clear text (memory only)."""
        return self.images[0].patient

    @property
    def identity(self) -> str:
        """Identity of the series, in clear text (memory only)."""
        return self.images[0].series


def group_series(images: Iterable[Image]) -> list[Series]:
    """Sort images into series, and each series from foot to head.

    Images agree in patient, study, series, frame of reference, orientation, pixel spacing, shape and kernel. Where two
    lie at the same position the first is kept, lossless before lossy and then by instance identifier: file names do
    not matter.
    """
    by_series: dict[str, list[Image]] = {}
    for image in images:
        by_series.setdefault(image.series, []).append(image)
    return [_order(by_series[key]) for key in sorted(by_series)]


def _order(images: list[Image]) -> Series:
    ordered = sorted(images, key=lambda image: (image.lossy, image.instance, image.frame, str(image.path)))
    ordered.sort(key=lambda image: image.position_mm)
    kept: list[Image] = []
    duplicates: list[Image] = []
    for image in ordered:
        same = kept and image.position_mm - kept[-1].position_mm < SAME_POSITION_MM
        (duplicates if same else kept).append(image)
    steps = [after.position_mm - before.position_mm for before, after in pairwise(kept)]
    spacing = median_low(steps) if steps else math.nan
    missing = sum(round(step / spacing) - 1 for step in steps if step > GAP * spacing)
    return Series(tuple(kept), tuple(duplicates), spacing, missing, _tilt_degrees(kept))


def _tilt_degrees(images: list[Image]) -> float:
    """Angle between the way from the first to the last image and the normal; the tilt tag is not to be trusted."""
    way = np.subtract(images[-1].position, images[0].position)
    length = float(np.linalg.norm(way))
    if length == 0:
        return 0.0
    return math.degrees(math.acos(min(1.0, abs(float(way @ images[0].normal)) / length)))
