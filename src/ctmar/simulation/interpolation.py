"""Baselines without learning: replace the metal trace of a sinogram by interpolation along the detector.

LI: W. A. Kalender, R. Hebel, J. Ebersberger, Radiology 164 (1987) 576.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError


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
    out = sinogram.astype(np.float32)
    bins = np.arange(out.shape[1])
    for view in np.flatnonzero(metal.any(axis=1)):
        known = ~metal[view]
        if not known.any():
            raise InputError(f"metal trace: view {view} is covered whole, nothing to interpolate from")
        out[view, ~known] = np.interp(bins[~known], bins[known], out[view, known])
    return out
