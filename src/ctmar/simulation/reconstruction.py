"""Filtered back-projection of a fan beam with a flat detector, in two forms.

* ``exact``: the formula of A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging, 1988, section
  3.4.2: cosine weight, band-limited ramp, squared distance weight.
* ``benchmark``: what made the stored images of SynDeepLesion, reproduced here to 95 dB. It has no cosine weight, a
  single power of the distance weight, and a ramp |f| sampled at (k - n/2)/n for n = 2·n_bins - 1, an odd number, so
  the frequency zero is never sampled (the back-projection and filter of ODL's `fbp_op` on ASTRA).
"""

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.projector import check_sinogram, compiled

Form = Literal["exact", "benchmark"]


@compiled
def _back_project_two(first, second, centre, cosines, sines, source, bin_cm, pixel, squared, out):  # type: ignore[no-untyped-def]
    """Sum two sets of filtered views over the pixels; both share the indices and weights of a pixel.

    All in float32 with unsigned indices, and the views innermost: this is the form the compiler vectorises.
    """
    half = np.float32((out.shape[1] - 1) / 2)
    for row in range(out.shape[1]):
        y = (half - np.float32(row)) * pixel
        for column in range(out.shape[2]):
            x = (np.float32(column) - half) * pixel
            sum_first, sum_second = np.float32(0), np.float32(0)
            for p in range(first.shape[0]):
                c, s = cosines[p], sines[p]
                magnification = source / (source - (s * x - c * y))
                position = (c * x + s * y) * magnification / bin_cm + centre
                i = np.uint32(position)
                weight = magnification * (np.float32(1) + squared * (magnification - np.float32(1)))
                right = (position - np.float32(i)) * weight
                left = weight - right
                sum_first += first[p, i] * left + first[p, i + np.uint32(1)] * right
                sum_second += second[p, i] * left + second[p, i + np.uint32(1)] * right
            out[0, row, column] = sum_first
            out[1, row, column] = sum_second


def filtered_back_projection(
    geometry: FanBeam, *sinograms: NDArray[Any], form: Form = "exact"
) -> list[NDArray[np.float32]]:
    """Reconstruct sinograms with the Ram-Lak filter; two at a time share most of the work.

    f(x, y) = 1/2 · 2π/n_views · Σ_i (D/L_i)² q_i(t_i), where q_i are the cosine-weighted, ramp-filtered views on
    the detector moved to the axis, D the distance source-axis, L_i the depth of the pixel seen from the source.
    (``form="benchmark"``: see the head of this module.)

    Args:
        geometry: the scan.
        sinograms: line integrals, each of shape (n_views, n_bins).
        form: `exact` or `benchmark`.

    Returns:
        One image of shape (image_size, image_size) per sinogram, in 1/cm.

    Raises:
        InputError: a sinogram has another shape than the geometry.
    """
    images: list[NDArray[np.float32]] = []
    for start in range(0, len(sinograms), 2):
        couple = [_filtered_views(geometry, sinogram, form) for sinogram in sinograms[start : start + 2]]
        out = np.empty((2, geometry.image_size, geometry.image_size), np.float32)
        squared = np.float32(form == "exact")
        _back_project_two(couple[0], couple[-1], *_kernel_constants(geometry), squared, out)
        images.extend(out[: len(couple)])
    return images


def _kernel_constants(geometry: FanBeam) -> tuple[Any, ...]:
    centre = (geometry.n_bins - 1) / 2 + detector_padding(geometry)
    return (
        np.float32(centre),
        np.cos(geometry.angles).astype(np.float32),
        np.sin(geometry.angles).astype(np.float32),
        np.float32(geometry.source_cm),
        np.float32(geometry.virtual_bin_cm),
        np.float32(geometry.pixel_cm),
    )


def detector_padding(geometry: FanBeam) -> int:
    """Count the zero bins added on each side, so that every pixel of every view falls on the padded detector."""
    corner = geometry.image_size * geometry.pixel_cm / math.sqrt(2)
    reach = geometry.source_cm * corner / math.sqrt(geometry.source_cm**2 - corner**2)
    return max(0, math.ceil(reach / geometry.virtual_bin_cm - (geometry.n_bins - 1) / 2)) + 2


def _filtered_views(geometry: FanBeam, sinogram: NDArray[Any], form: Form) -> NDArray[np.float32]:
    check_sinogram(geometry, sinogram)
    n_bins, padding = geometry.n_bins, detector_padding(geometry)
    bin_weight, response, length = ramp_filter(geometry, form)
    spectrum = scipy.fft.rfft(sinogram.astype(np.float32) * bin_weight, length, axis=1) * response
    views = np.zeros((geometry.n_views, n_bins + 2 * padding), np.float32)
    views[:, padding : padding + n_bins] = scipy.fft.irfft(spectrum, length, axis=1)[:, :n_bins]
    return views


@lru_cache(maxsize=32)
def ramp_filter(geometry: FanBeam, form: Form) -> tuple[NDArray[np.float32], NDArray[np.complex64], int]:
    """Return the weight of each bin, the response of the filter with all factors, and the length of the FFT."""
    spacing, n_bins = geometry.virtual_bin_cm, geometry.n_bins
    length = scipy.fft.next_fast_len(2 * n_bins - 1, real=True)
    lags = np.arange(1 - n_bins, n_bins)
    kernel = np.zeros(length)
    kernel[lags] = _ramp(lags, spacing) if form == "exact" else _ramp_at_half_frequencies(lags, spacing)
    response = scipy.fft.rfft(kernel * np.pi / geometry.n_views)
    bin_weight = np.ones(n_bins)
    if form == "exact":
        offset = (np.arange(n_bins) - (n_bins - 1) / 2) * spacing
        bin_weight = geometry.source_cm / np.hypot(geometry.source_cm, offset)
    return bin_weight.astype(np.float32), response.astype(np.complex64), length


def _ramp(lags: NDArray[Any], spacing: float) -> NDArray[np.float64]:
    """Sample the band-limited ramp in space, times the spacing: 1/4 at 0, -1/(πk)² at odd lags, 0 at even ones."""
    odd = lags % 2 == 1
    safe = np.where(odd, lags, 1)
    return np.where(lags == 0, 0.25, np.where(odd, -1 / (np.pi * safe) ** 2, 0.0)) / spacing


def _ramp_at_half_frequencies(lags: NDArray[Any], spacing: float) -> NDArray[np.float64]:
    """Convolution kernel of |f| sampled at (k - n/2)/(n spacing), k = 0 ... n - 1, n = number of lags (odd)."""
    n = len(lags)
    frequencies = (np.arange(n) - n / 2) / n
    # the kernel depends on the lag only, and is even: n_bins cosines sums, once per geometry
    half = np.array([np.abs(frequencies) @ np.cos(2 * np.pi * frequencies * lag) for lag in range(n // 2 + 1)])
    return half[np.abs(lags)] / (n * spacing)
