"""How continuous kernels are put on a pixel grid: rings, the frequencies they carry, and a circular mask."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ring:
    """One radial profile exp(−(|x| − radius)² / (2 width²)) and the frequencies it carries.

    Args:
        radius: in pixels, at least 0.
        width: standard deviation in pixels, above 0.
        max_frequency: it carries the harmonics of frequency (or degree) 0, …, this one.

    Raises:
        ValueError: a number out of its range.

    Examples:
        >>> Ring(radius=0.0, width=0.6, max_frequency=0).profile(np.array([0.0])).tolist()
        [1.0]
    """

    radius: float
    width: float
    max_frequency: int

    def __post_init__(self) -> None:
        if not (self.radius >= 0 and self.width > 0 and self.max_frequency >= 0):
            raise ValueError(f"expected radius ≥ 0, width > 0 and max_frequency ≥ 0, found {self}")

    def profile(self, radius: np.ndarray) -> np.ndarray:
        """The profile at distances from the centre."""
        return np.exp(-((radius - self.radius) ** 2) / (2 * self.width**2))


@dataclass(frozen=True)
class Sampling:
    """How kernels that are equivariant to turns off the pixel grid are sampled on it (section 4.3).

    Args:
        ring_width: standard deviation of the rings in pixels; at 0.6 neighbours one pixel apart overlap without gaps.
        frequencies_per_radius: a ring of radius r carries frequencies up to this times r; at 2 about one period per
            two of the 2πr pixels on the ring.
        edge_margin: the outermost ring lies this far inside the outermost pixels of an axis. At 0 the square cuts
            its tail, which is most of the error of turning (section 4.4); at 1 it does not, and there is a ring less.
        circular_mask: whether pixels are zero that the disc of radius (k − 1)/2 does not reach, by half a pixel's
            diagonal.
        rings: a function of a module, from the kernel size to its rings, in place of the first three.

    Raises:
        ValueError: a number out of its range.

    Examples:
        >>> from equiproj.projections import Sampling
        >>> Sampling().rings_of(3)
        (Ring(radius=0.0, width=0.6, max_frequency=0), Ring(radius=1.0, width=0.6, max_frequency=2))
    """

    ring_width: float = 0.6
    frequencies_per_radius: float = 2.0
    edge_margin: float = 0.0
    circular_mask: bool = False
    rings: Callable[[int], tuple[Ring, ...]] | None = None

    def __post_init__(self) -> None:
        if not (self.ring_width > 0 and self.frequencies_per_radius >= 0 and self.edge_margin >= 0):
            raise ValueError(f"expected ring_width > 0, frequencies_per_radius ≥ 0 and edge_margin ≥ 0, found {self}")

    def rings_of(self, kernel_size: int) -> tuple[Ring, ...]:
        """The rings of a kernel: by default at the radii of the pixels along an axis, one pixel apart."""
        if self.rings is not None:
            return self.rings(kernel_size)
        largest = (kernel_size - 1) / 2
        innermost = largest % 1
        # a kernel that has no ring so far inside keeps its innermost one
        radii = np.arange(innermost, max(innermost, largest - self.edge_margin) + 0.5).tolist()
        return tuple(Ring(r, self.ring_width, int(self.frequencies_per_radius * r)) for r in radii)

    def profiles(self, kernel_size: int, radius: np.ndarray) -> list[tuple[Ring, np.ndarray]]:
        """Every ring with its values at these distances from the centre, masked."""
        seen = np.ones_like(radius)
        if self.circular_mask:
            seen = radius <= (kernel_size - 1) / 2 + math.sqrt(0.5)
        return [(ring, ring.profile(radius) * seen) for ring in self.rings_of(kernel_size)]


def escnn_rings(kernel_size: int) -> tuple[Ring, ...]:
    """The rings that escnn 1.0.11 chooses for an `R2Conv`: `Sampling(rings=escnn_rings)`.

    The centre pixel alone, rings of width 0.6 one pixel apart, and a last one of width 0.4; even kernels have the
    radii of the next smaller odd one. Frequencies: up to 2 on the last ring, 2r − 1 or 2r, whichever is odd for even r
    and even for odd r, on the others.

    Examples:
        >>> from equiproj.projections import escnn_rings
        >>> escnn_rings(3)
        (Ring(radius=0.0, width=0.005, max_frequency=0), Ring(radius=1.0, width=0.4, max_frequency=2))
    """
    last = kernel_size // 2
    radii = np.linspace(0, (kernel_size - 1) // 2, (kernel_size + 1) // 2)
    widths = [0.005 if r == 0 else 0.6 if r < radii[-1] else 0.4 for r in radii]
    frequencies = [0 if r == 0 else 2 if r == last else int(2 * r - (r + 1) % 2) for r in radii]
    return tuple(Ring(float(r), w, m) for r, w, m in zip(radii, widths, frequencies, strict=True))
