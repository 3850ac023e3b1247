"""Is a slice fit to be the ground truth of a simulation?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.store.ct_source import Geometry
from ctmar.store.quarantine import Refused

BODY_HU = -500.0  # half-way between air and water: skin, table and clothes are above, lung is below
_PIXEL_MM = (0.1, 5.0)
_FIELD_OF_VIEW_MM = (50.0, 1000.0)
_WATERY_HU = (-300.0, 500.0)  # the median of what is above BODY_HU: fat to contrast-filled tissue and bone


@dataclass(frozen=True)
class Limits:
    """Limits of section ``ingest`` of the configuration (plain numbers: a worker process need not import the rest)."""

    metal_hu: float
    maximum_metal_pixels: int
    minimum_body_fraction: float
    maximum_border_fraction: float


@dataclass(frozen=True)
class Statistics:
    """What a decoded slice holds in its own pixels, before any check: extremes and mean [HU], share that is body."""

    minimum_hu: float
    maximum_hu: float
    mean_hu: float
    body_fraction: float


@dataclass
class Tally:
    """Counts of a series: slices decoded and kept, and the statistics of those that hold finite numbers."""

    n_read: int = 0
    n_kept: int = 0
    n_finite: int = 0
    minimum_hu: float = math.inf
    maximum_hu: float = -math.inf
    sum_of_means_hu: float = 0.0
    sum_of_body_fractions: float = 0.0

    def add(self, statistics: Statistics) -> None:
        """Count a decoded slice."""
        self.n_read += 1
        if math.isfinite(statistics.mean_hu):
            self.n_finite += 1
            self.minimum_hu = min(self.minimum_hu, statistics.minimum_hu)
            self.maximum_hu = max(self.maximum_hu, statistics.maximum_hu)
            self.sum_of_means_hu += statistics.mean_hu
            self.sum_of_body_fractions += statistics.body_fraction


def measure(image_hu: NDArray[np.floating]) -> Statistics:
    """Statistics of a decoded slice; the mean is not finite if a pixel is not."""
    with np.errstate(invalid="ignore"):
        mean_hu = float(np.mean(image_hu, dtype=np.float64))
    return Statistics(float(image_hu.min()), float(image_hu.max()), mean_hu, body_fraction(image_hu))


def body_fraction(image_hu: NDArray[np.floating]) -> float:
    """Share of the image that is denser than half-way between air and water."""
    return float(np.mean(image_hu > BODY_HU))


def border_fraction(image_hu: NDArray[np.floating]) -> float:
    """Share of the outermost pixels that are body: 1 when the field of view lies inside the body."""
    border = np.concatenate([image_hu[0], image_hu[-1], image_hu[1:-1, 0], image_hu[1:-1, -1]])
    return body_fraction(border)


def check_extent(geometry: Geometry) -> None:
    """Refuse pixels and fields of view that no CT scanner has: a lost decimal point, centimetres for millimetres.

    Raises:
        Refused: with the number.
    """
    remedy = "check the pixel spacing; export the series again from the scanner or archive"
    for what, n_pixels, pixel_mm in (
        ("rows", geometry.rows, geometry.row_mm),
        ("columns", geometry.columns, geometry.pixel_mm),
    ):
        low, high = _PIXEL_MM
        if not low <= pixel_mm <= high:
            raise Refused(f"{what} are {pixel_mm:.4g} mm apart, not {low:g} to {high:g} mm", remedy)
        low, high = _FIELD_OF_VIEW_MM
        if not low <= n_pixels * pixel_mm <= high:
            reason = f"a field of view of {n_pixels * pixel_mm / 10:.4g} cm, not {low / 10:g} to {high / 10:g} cm"
            raise Refused(reason, remedy)


def check_hounsfield(image_hu: NDArray[np.floating]) -> None:
    """Refuse what cannot be Hounsfield numbers: every CT slice holds air, and most of a body is watery.

    Raises:
        Refused: not finite, no air, or a body far from water.
    """
    remedy = "check the rescale slope and intercept of the scanner's export; export the series again"
    if not np.isfinite(image_hu).all():
        raise Refused("values that are not finite", remedy)
    if image_hu.min() >= BODY_HU:
        raise Refused(f"implausible Hounsfield numbers: no air below {BODY_HU:g} HU", remedy)
    low, high = _WATERY_HU
    n_body, n_dense = (int(np.count_nonzero(image_hu > limit)) for limit in (BODY_HU, high))
    n_light = int(np.count_nonzero(image_hu < low)) - (image_hu.size - n_body)
    # where more than half lies on one side, there lies the median: counting is ten times as fast as sorting
    if 2 * max(n_light, n_dense) > n_body:
        raise Refused(f"implausible Hounsfield numbers: median of the body not in {low:g} to {high:g} HU", remedy)


def check_slice(image_hu: NDArray[np.floating], limits: Limits) -> None:
    """Refuse a slice, in its own pixels, that holds real metal or is cut off by the field of view.

    Raises:
        Refused: with the limit that was crossed and the key that moves it.
    """
    n_metal = int(np.count_nonzero(image_hu > limits.metal_hu))
    if n_metal > limits.maximum_metal_pixels:
        raise Refused(
            f"real metal: more than {limits.maximum_metal_pixels} pixels above {limits.metal_hu:g} HU",
            "none needed; raise ingest.maximum_metal_pixels or ingest.metal_hu to keep such slices",
        )
    if border_fraction(image_hu) > limits.maximum_border_fraction:
        raise Refused(
            f"truncated: body along more than {limits.maximum_border_fraction:g} of the image border",
            "use a reconstruction with a larger field of view, or raise ingest.maximum_border_fraction",
        )


def check_on_grid(image_hu: NDArray[np.floating], limits: Limits) -> None:
    """Refuse a slice that shows too little of a body on the working grid.

    Raises:
        Refused: the body covers less than ``limits.minimum_body_fraction``.
    """
    if body_fraction(image_hu) < limits.minimum_body_fraction:
        raise Refused(
            f"empty: body on less than {limits.minimum_body_fraction:g} of the working grid",
            "none needed; lower ingest.minimum_body_fraction or ingest.pixel_mm to keep such slices",
        )
