"""Baselines without learning: replace the metal trace of a sinogram by interpolation along the detector.

LI: W. A. Kalender, R. Hebel, J. Ebersberger, Radiology 164 (1987) 576.
NMAR: E. Meyer, R. Raupach, M. Lell, B. Schmidt, M. Kachelriess, Med. Phys. 37 (2010) 5482.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.operators import NUMBA, Operators
from ctmar.simulation.projector import compiled
from ctmar.units import WATER_PER_CM, hu_to_attenuation

_AIR_BELOW_HU = -500.0
BONE_FROM_HU = 300.0


def trace_edges(trace: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the outermost bins of each run of a trace along the detector.

    Args:
        trace: metal trace of shape (n_views, n_bins).

    Returns:
        The bins of the trace next to a bin outside it; the ends of the detector count as outside.

    Examples:
        >>> trace_edges(np.array([[0, 1, 1, 1, 0, 1, 0]])).astype(int).tolist()
        [[0, 1, 0, 1, 0, 1, 0]]
    """
    wide = np.pad(np.asarray(trace, dtype=bool), ((0, 0), (1, 1)))
    return wide[:, 1:-1] & ~(wide[:, :-2] & wide[:, 2:])


def interpolate_linearly(sinogram: NDArray[Any], trace: NDArray[Any]) -> NDArray[np.float32]:
    """Replace the bins of ``trace`` by the line between their neighbours in the same view.

    Args:
        sinogram: line integrals of shape (n_views, n_bins).
        trace: metal trace, same shape; at the ends of the detector the nearest value is kept.

    Returns:
        Sinogram of the same shape; bins outside the trace are unchanged.

    Raises:
        InputError: the shapes differ, or a whole view is metal.

    Examples:
        >>> interpolate_linearly(np.array([[1.0, 9.0, 9.0, 4.0]]), np.array([[0, 1, 1, 0]])).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    metal = np.asarray(trace, dtype=bool)
    if metal.shape != sinogram.shape:
        raise InputError(f"metal trace: expected the shape of the sinogram {sinogram.shape}, found {metal.shape}")
    covered = np.flatnonzero(metal.all(axis=1))
    if covered.size:
        raise InputError(f"metal trace: view {covered[0]} is covered whole: expected less metal, to interpolate")
    out = sinogram.astype(np.float32)
    _interpolate(out, metal)
    return out


def prior_image(image: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
    """Make the prior of NMAR from a first correction: air is empty, soft tissue is water, bone keeps its values.

    Args:
        image: a first correction such as LI, shape (size, size) [1/cm].
        mask: metal mask, same shape; metal becomes water.
    """
    air, bone = hu_to_attenuation(np.array([_AIR_BELOW_HU, BONE_FROM_HU]))
    smooth = ndimage.gaussian_filter(image, 1.0)  # noise must not decide between tissue classes
    prior = np.where(smooth < air, 0.0, np.where(smooth < bone, WATER_PER_CM, smooth))
    return np.where(np.asarray(mask, dtype=bool), WATER_PER_CM, prior).astype(np.float32)


def interpolate_normalised(
    geometry: FanBeam,
    sinogram: NDArray[Any],
    trace: NDArray[Any],
    prior: NDArray[Any],
    operators: Operators = NUMBA,
) -> NDArray[np.float32]:
    """Replace the bins of ``trace`` by interpolation of the sinogram divided by that of a prior image (NMAR).

    Args:
        geometry: the scan.
        sinogram: line integrals of shape (n_views, n_bins).
        trace: metal trace, same shape.
        prior: prior image from :func:`prior_image` [1/cm].
        operators: what projects the prior.

    Returns:
        Sinogram of the same shape; bins outside the trace are unchanged.

    Raises:
        InputError: shapes that do not fit, or a whole view is metal.
    """
    # half a millimetre of water: rays beside the body, where a ratio means nothing, are interpolated plainly
    expected = np.maximum(operators.project(geometry, prior), 0.05 * WATER_PER_CM)
    ratio = interpolate_linearly(sinogram / expected, trace)
    return np.where(np.asarray(trace, dtype=bool), ratio * expected, sinogram).astype(np.float32)


@compiled
def _interpolate(sinogram, metal):  # type: ignore[no-untyped-def]
    n_views, n_bins = metal.shape
    for view in range(n_views):
        left = -1
        for right in range(n_bins + 1):
            if right < n_bins and metal[view, right]:
                continue
            # bins left + 1 to right - 1 are metal; beyond the detector there is only one neighbour
            before = sinogram[view, left if left >= 0 else right]
            after = sinogram[view, right if right < n_bins else left]
            for k in range(left + 1, right):
                sinogram[view, k] = before + (after - before) * (k - left) / (right - left)
            left = right
