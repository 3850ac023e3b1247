"""Joseph's line integrals and their adjoint for :class:`FanBeam`.

Each call runs on one thread and releases the interpreter lock: callers work on several pairs at once in a thread
pool, and no result depends on the number of threads. Reference: P. M. Joseph, IEEE Trans. Med. Imaging 1 (1982)
192, https://doi.org/10.1109/TMI.1982.4307572.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam
from ctmar.store import machine_code

# zero pixels around the image: a ray may be interpolated just outside it without a test in the inner loop
MARGIN = 3
# weights are rounded to 1/256, as the texture units of a GPU do: with it the rays that just graze a metal
# are the same as in the stored metal traces of SynDeepLesion, ray by ray
FRACTIONS = 256


compiled = partial(machine_code.compiled, fastmath={"contract", "arcp", "nsz", "reassoc"}, error_model="numpy")


@compiled
def _ray(angle, offset, source, detector, pixel, half):  # type: ignore[no-untyped-def]
    """Return a ray in pixel units: (its steps run over the rows, intercept, slope, cm per step)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = sine * source / pixel, -cosine * source / pixel
    across = (cosine * offset - sine * detector) / pixel - x
    down = (sine * offset + cosine * detector) / pixel - y
    if abs(across) > abs(down):
        slope = -down / across
        return False, half - y - (half + x) * slope, slope, pixel * math.sqrt(1 + slope * slope)
    slope = -across / down
    return True, half + x - (half - y) * slope, slope, pixel * math.sqrt(1 + slope * slope)


@compiled
def _steps(intercept, slope, first, last, low, high):  # type: ignore[no-untyped-def]
    """Return the range of steps k in [first, last) with low <= intercept + slope k < high, one wider."""
    if slope == 0.0:
        return (first, last) if low <= intercept < high else (first, first)
    begin, end = (low - intercept) / slope, (high - intercept) / slope
    if begin > end:
        begin, end = end, begin
    begin, end = min(max(begin, first), last), min(max(end, first - 1), last - 1)
    return math.floor(begin), math.floor(end) + 1


@compiled
def _trace(planes, box, angles, sinogram, bin_cm, source, detector, pixel, adjoint):  # type: ignore[no-untyped-def]
    """Sum ``planes`` (the padded image and its transpose) along every ray, or spread the rays over them."""
    half = (planes.shape[1] - 2 * MARGIN - 1) / 2
    n_views, n_bins = sinogram.shape
    for v in range(n_views):
        for b in range(n_bins):
            offset = (b - (n_bins - 1) / 2) * bin_cm
            along_rows, intercept, slope, length = _ray(angles[v], offset, source, detector, pixel, half)
            plane = planes[1] if along_rows else planes[0]
            across, along = (box[1], box[0]) if along_rows else (box[0], box[1])
            begin, end = _steps(intercept, slope, along[0], along[1], across[0] - 1, across[1])
            if adjoint:
                value = sinogram[v, b] * length
                for k in range(begin, end):
                    position = int((intercept + slope * k + MARGIN) * FRACTIONS + 0.5)
                    i, weight = position // FRACTIONS, (position % FRACTIONS) / FRACTIONS
                    plane[i, k + MARGIN] += value * (1 - weight)
                    plane[i + 1, k + MARGIN] += value * weight
                continue
            total = 0.0
            for k in range(begin, end):
                position = int((intercept + slope * k + MARGIN) * FRACTIONS + 0.5)
                i, weight = position // FRACTIONS, (position % FRACTIONS) / FRACTIONS
                total += plane[i, k + MARGIN] * (1 - weight) + plane[i + 1, k + MARGIN] * weight
            sinogram[v, b] = total * length


def project(geometry: FanBeam, image: NDArray[Any]) -> NDArray[np.float32]:
    """Integrate ``image`` along every ray by Joseph's method: steps of one pixel, linear interpolation across.

    Args:
        geometry: the scan.
        image: shape (image_size, image_size); with 1/cm the result has no unit, with metal fractions it is in cm.

    Returns:
        Line integrals of shape (n_views, n_bins).

    Raises:
        InputError: the image has another shape than the geometry.

    Examples:
        >>> from ctmar.simulation.geometry import benchmark_geometry
        >>> scan = benchmark_geometry(32)
        >>> through_the_centre = project(scan, np.ones((32, 32)))[:, scan.n_bins // 2]
        >>> bool(abs(through_the_centre[12] - 32 * scan.pixel_cm) < 0.05)
        True
    """
    if image.shape != (geometry.image_size, geometry.image_size):
        raise InputError(
            f"image: expected {geometry.image_size} × {geometry.image_size} pixels, found shape {image.shape}"
        )
    sinogram = np.zeros(geometry.sinogram_shape, np.float32)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    if rows.size:
        padded = np.pad(image.astype(np.float32), MARGIN)
        # a second, transposed copy keeps the inner loop on contiguous memory for steep rays
        planes = np.stack([padded, padded.T])
        box = np.array([[rows[0], rows[-1] + 1], [columns[0], columns[-1] + 1]])
        _trace(planes, box, geometry.angles, sinogram, *_lengths(geometry), False)
    return sinogram


def back_project(geometry: FanBeam, sinogram: NDArray[Any]) -> NDArray[np.float64]:
    """Apply the exact adjoint of the projector: ⟨Px, s⟩ = ⟨x, P*s⟩ for every image x and sinogram s.

    Args:
        geometry: the scan.
        sinogram: shape (n_views, n_bins).

    Returns:
        Image of shape (image_size, image_size).

    Raises:
        InputError: the sinogram has another shape than the geometry.
    """
    check_sinogram(geometry, sinogram)
    size = geometry.image_size
    planes = np.zeros((2, size + 2 * MARGIN, size + 2 * MARGIN))
    box = np.array([[0, size], [0, size]])
    _trace(planes, box, geometry.angles, sinogram.astype(np.float64), *_lengths(geometry), True)
    inside = slice(MARGIN, -MARGIN)
    return planes[0, inside, inside] + planes[1, inside, inside].T


def check_sinogram(geometry: FanBeam, sinogram: NDArray[Any]) -> None:
    """Raise an InputError unless ``sinogram`` has the shape of ``geometry``."""
    if sinogram.shape != geometry.sinogram_shape:
        raise InputError(f"sinogram: expected shape {geometry.sinogram_shape}, found {sinogram.shape}")


def _lengths(geometry: FanBeam) -> tuple[float, float, float, float]:
    return geometry.bin_cm, geometry.source_cm, geometry.detector_cm, geometry.pixel_cm
