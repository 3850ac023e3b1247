"""Continuous rotation groups of the plane and of space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from equiproj.groups.group import Element, Group
from equiproj.groups.planar import MIRROR, in_space, turn_matrix

# Turns by multiples of the golden angle stay as far as possible from each other, so that one of them tells low
# frequencies apart well: it generates a dense subgroup of SO(2).
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class SO2(Group):
    """Rotations of the plane; an element is its anticlockwise angle in radians.

    Examples:
        >>> SO2(), SO2().multiply(1.0, 0.5)
        (SO2(), 1.5)
    """

    standard_axes: ClassVar[int] = 2

    @property
    def identity(self) -> float:
        """No turn."""
        return 0.0

    @property
    def generators(self) -> tuple[float, ...]:
        """The golden angle, whose multiples are dense."""
        return (GOLDEN_ANGLE,)

    def multiply(self, a: Element, b: Element) -> float:
        """Angles add."""
        return float(np.mod(a + b, 2 * np.pi))

    def inverse(self, a: Element) -> float:
        """The angle back."""
        return float(np.mod(-a, 2 * np.pi))

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[float]:
        """Draw independent uniform angles."""
        drawn = torch.rand(n_samples, generator=generator, dtype=torch.float64)
        return (2 * np.pi * drawn).tolist()

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """Turn of the (x, y) plane; on three axes about the depth axis."""
        _check_planar(self, n_axes)
        return in_space(turn_matrix(g), n_axes)


@dataclass(frozen=True)
class O2(Group):
    """Rotations and mirror images of the plane; element (angle, mirrored) mirrors x first, then turns.

    Examples:
        >>> O2().multiply((0.0, True), (1.0, False)) == O2().multiply((-1.0, False), (0.0, True))
        True
    """

    standard_axes: ClassVar[int] = 2

    @property
    def identity(self) -> tuple[float, bool]:
        """Neither turned nor mirrored."""
        return (0.0, False)

    @property
    def generators(self) -> tuple[tuple[float, bool], ...]:
        """The golden angle and the mirror image."""
        return (GOLDEN_ANGLE, False), (0.0, True)

    def multiply(self, a: Element, b: Element) -> tuple[float, bool]:
        """Mirroring before a turn reverses it."""
        angle = a[0] + (-b[0] if a[1] else b[0])
        return (float(np.mod(angle, 2 * np.pi)), a[1] != b[1])

    def inverse(self, a: Element) -> tuple[float, bool]:
        """Mirror images undo themselves."""
        return a if a[1] else (float(np.mod(-a[0], 2 * np.pi)), False)

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[tuple[float, bool]]:
        """Draw independent uniform angles, half of them mirrored."""
        drawn = torch.rand(n_samples, 2, generator=generator, dtype=torch.float64)
        return [(2 * np.pi * angle, coin < 0.5) for angle, coin in drawn.tolist()]

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """Mirror and turn of the (x, y) plane; three axes keep the depth axis."""
        _check_planar(self, n_axes)
        return in_space(turn_matrix(g[0]) @ MIRROR if g[1] else turn_matrix(g[0]), n_axes)


class _OrthogonalMatrices(Group):
    """Groups of space whose elements are 3 × 3 float64 matrices on (x, y, z)."""

    standard_axes: ClassVar[int] = 3

    @property
    def identity(self) -> np.ndarray:
        """The unit matrix."""
        return np.eye(3)

    def multiply(self, a: Element, b: Element) -> np.ndarray:
        """Matrix product."""
        return np.asarray(a) @ np.asarray(b)

    def inverse(self, a: Element) -> np.ndarray:
        """Matrix transpose."""
        return np.asarray(a).T

    def spatial_matrix(self, g: Element, n_axes: int) -> np.ndarray:
        """The element itself, on three axes."""
        if n_axes != 3:
            raise ValueError(f"expected 3 axes for {self}, found {n_axes}")
        return np.asarray(g, dtype=np.float64)


@dataclass(frozen=True)
class SO3(_OrthogonalMatrices):
    """Rotations of space; an element is its 3 × 3 float64 matrix on (x, y, z).

    Examples:
        >>> import torch
        >>> (g,) = SO3().sample(1, torch.Generator().manual_seed(0))
        >>> bool(np.allclose(SO3().multiply(g, SO3().inverse(g)), np.eye(3)))
        True
    """

    @property
    def generators(self) -> tuple[np.ndarray, ...]:
        """Turns by the golden angle about z and about x."""
        about_z = in_space(turn_matrix(GOLDEN_ANGLE), 3)
        return about_z, np.roll(about_z, (1, 1), (0, 1))

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[np.ndarray]:
        """Draw independent rotations: unit quaternions of Gaussian numbers are uniform on the 3-sphere."""
        drawn = torch.randn(n_samples, 4, generator=generator, dtype=torch.float64).numpy()
        return [_rotation_of_quaternion(q / np.linalg.norm(q)) for q in drawn]


@dataclass(frozen=True)
class O3(_OrthogonalMatrices):
    """Rotations of space and their products with the inversion x → −x; an element is its 3 × 3 float64 matrix.

    Examples:
        >>> O3().generators[2].tolist()
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    """

    @property
    def generators(self) -> tuple[np.ndarray, ...]:
        """Those of SO3, and the inversion."""
        return *SO3().generators, 0.0 - np.eye(3)

    def sample(self, n_samples: int, generator: torch.Generator | None = None) -> list[np.ndarray]:
        """Draw independent rotations, half of them times the inversion."""
        rotations = SO3().sample(n_samples, generator)
        coins = torch.rand(n_samples, generator=generator).tolist()
        return [-rotation if coin < 0.5 else rotation for rotation, coin in zip(rotations, coins, strict=True)]


def _rotation_of_quaternion(unit: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion (w, x, y, z).

    Examples:
        >>> _rotation_of_quaternion(np.array([0.0, 0.0, 0.0, 1.0])).tolist()
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w, axis = unit[0], unit[1:]
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return (w * w - axis @ axis) * np.eye(3) + 2 * np.outer(axis, axis) + 2 * w * cross


def _check_planar(group: Group, n_axes: int) -> None:
    if n_axes not in (2, 3):
        raise ValueError(f"expected 2 or 3 axes for {group}, found {n_axes}")
