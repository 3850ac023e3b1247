"""Real spherical harmonics, and the Wigner matrices by which they turn."""

from __future__ import annotations

from functools import lru_cache
from math import factorial, pi, sqrt

import numpy as np
from jaxtyping import Float64

_GOLDEN_RATIO = (1 + sqrt(5)) / 2


def circular_harmonics(points: Float64[np.ndarray, "2 n"], frequency: int) -> Float64[np.ndarray, "d n"]:
    """(cos mφ, sin mφ) at the angle of each point (x, y); the constant 1 for m = 0 (equation 4.7).

    Args:
        points: any non-zero points of the plane.
        frequency: m ≥ 0.

    Examples:
        >>> circular_harmonics(np.array([[0.0], [2.0]]), 1).round(12).ravel().tolist()
        [0.0, 1.0]
    """
    angle = np.arctan2(points[1], points[0])
    if frequency == 0:
        return np.ones((1, angle.size))
    return np.stack([np.cos(frequency * angle), np.sin(frequency * angle)])


def spherical_harmonics(points: Float64[np.ndarray, "3 n"], degree: int) -> Float64[np.ndarray, "d n"]:
    """Orthonormal real spherical harmonics Y_lm of each direction, m = −l, …, l (equation 4.8).

    The polar axis is z and there is no Condon–Shortley phase: degree 1 is √(3/4π) (y, z, x).

    Args:
        points: any non-zero points (x, y, z); only their direction matters.
        degree: l ≥ 0.

    Examples:
        >>> spherical_harmonics(np.eye(3), 1).round(3).tolist()
        [[0.0, 0.489, 0.0], [0.0, 0.0, 0.489], [0.489, 0.0, 0.0]]
    """
    x, y, z = points / np.linalg.norm(points, axis=0)
    rows = np.empty((2 * degree + 1, x.size))
    for m in range(degree + 1):
        scale = sqrt((2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m))
        legendre = scale * _legendre_over_sine(z, degree, m)
        wave = (x + 1j * y) ** m
        rows[degree - m] = sqrt(2) * legendre * wave.imag
        rows[degree + m] = legendre * (sqrt(2) * wave.real if m else 1.0)
    return rows


def _legendre_over_sine(z: np.ndarray, degree: int, m: int) -> np.ndarray:
    """P_l^m(z) / (1 − z²)^(m/2), by upward recurrence in the degree."""
    before, now = np.zeros_like(z), np.full_like(z, float(np.prod(np.arange(2 * m - 1, 0, -2))))
    for ell in range(m + 1, degree + 1):
        before, now = now, ((2 * ell - 1) * z * now - (ell + m - 1) * before) / (ell - m)
    return now


@lru_cache(maxsize=64)
def _sphere(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Well-spread directions, four for each harmonic, and the pseudo-inverse of the harmonics there."""
    n_points = 4 * (2 * degree + 1)
    z = 1 - (2 * np.arange(n_points) + 1) / n_points
    angle = 2 * pi * np.arange(n_points) / _GOLDEN_RATIO
    points = np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z])
    return points, np.linalg.pinv(spherical_harmonics(points, degree))


def wigner_matrix(rotation: Float64[np.ndarray, "3 3"], degree: int) -> Float64[np.ndarray, "d d"]:
    """Matrix D with Y_l(R x) = D(R) Y_l(x), from harmonics sampled on the sphere (equation 4.9).

    Args:
        rotation: R, orthogonal with determinant 1.
        degree: l ≥ 0; D has 2l + 1 rows.

    Examples:
        >>> quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> (wigner_matrix(quarter_turn, 1).round(12) + 0.0).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    """
    points, inverse = _sphere(degree)
    return spherical_harmonics(np.asarray(rotation) @ points, degree) @ inverse
