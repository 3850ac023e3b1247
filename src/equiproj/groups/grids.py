"""How orthogonal matrices move the pixels of a grid (equation 2.5)."""

from __future__ import annotations

import numpy as np

# Distance from a pixel centre, in pixels, within which a moved pixel counts as landing on it: far above the
# rounding of cos and sin, far below the smallest true miss on any grid that fits in memory.
_LANDING_TOLERANCE = 1e-6


def pixel_coordinates(shape: tuple[int, ...]) -> np.ndarray:
    """Coordinates (x, y, z) of every pixel centre about the centre of the grid, in pixels.

    x grows along the last axis, y against the last but one (upwards in an image), z along the one before.
    Even sizes have their centre between pixels, so that coordinates are half-integers.

    Args:
        shape: pixels per array axis, at most three.

    Returns:
        Array ``(n_axes, n_pixels)``, pixels in row-major order.

    Examples:
        >>> pixel_coordinates((1, 2)).tolist()
        [[-0.5, 0.5], [-0.0, -0.0]]
    """
    axes = [np.arange(n) - (n - 1) / 2 for n in shape]
    coordinates = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])[::-1].copy()
    if len(shape) >= 2:
        coordinates[1] *= -1
    return coordinates


def moved_pixels(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Row-major index on which each pixel lands when ``matrix`` moves the grid, or None if one misses.

    Args:
        matrix: orthogonal ``(n_axes, n_axes)``, acting on the coordinates of :func:`pixel_coordinates`.
        shape: pixels per array axis.

    Examples:
        >>> quarter_turn = np.array([[0.0, -1.0], [1.0, 0.0]])
        >>> moved_pixels(quarter_turn, (2, 2)).tolist()
        [2, 0, 3, 1]
    """
    moved = matrix @ pixel_coordinates(shape)
    if len(shape) >= 2:
        moved[1] *= -1
    positions = moved[::-1] + (np.array(shape)[:, None] - 1) / 2
    nearest = np.rint(positions).astype(np.int64)
    inside = (nearest >= 0).all() and (nearest < np.array(shape)[:, None]).all()
    if not inside or np.abs(positions - nearest).max() > _LANDING_TOLERANCE:
        return None
    return np.ravel_multi_index(tuple(nearest), shape)
