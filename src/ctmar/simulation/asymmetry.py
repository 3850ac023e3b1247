"""What makes a scan see one direction otherwise than another: motion along one axis, or views of part of a turn.

A full-turn scan of a square image commutes with its quarter turns, so that a strictly equivariant network loses nothing
on its images. Here it departs from that by a strength ε, from 0 (it does not) to 1.

* ``motion``: the patient breathes while every view is taken, and the front of the body moves up along the columns of
  the image. The truth is the rest at the end of expiration, where a breath spends most of its time: the displacement is
  ``cos⁶`` of its phase times the excursion (Lujan, Larsen, Balter & Ten Haken, Med. Phys. 26 (1999) 715). A view at
  angle a sees ``sin a`` of it, so to first order the image is the mean of copies displaced along its columns: blurred
  along one axis, and displaced by 5/16 of the excursion. It is the direction of that displacement which no equivariant
  network can know; a blur that is even along one axis it can read off the edges (docs/decisions, 27). The detector
  sees the mean *intensity*: what passes the object is smeared, and then photons are counted, so their noise is not.
* ``limited_angle``: above 0 the views are those of a short scan (half a turn and the fan), and ε takes of it until
  `SHORTEST_ARC_DEG` are left. A ray that was measured from both of its ends counts half from each, with smooth weights
  (Noo, Defrise, Clackdoyle & Kudo, Phys. Med. Biol. 47 (2002) 2525).

The slice and the mask stay as they are. The metal trace follows the shadow of the metal, as a correction would find it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Asymmetry
from ctmar.simulation.geometry import FanBeam

# 3 mm on the grid of the default study, what the chest wall moves in quiet breathing; in pixels, so that ε means the
# same to a network on every grid
EXCURSION_PIXELS = 1.0
SHORTEST_ARC_DEG = 120.0  # of C-arms that the table stops
_PHASES = 64  # of a breath, at which its displacement is taken
_FEATHER = math.radians(10.0)  # over which the weight of the first and the last views rises
_SHADOW = 0.001  # share of the light of a bin that met metal; with less it is not of the trace: below the noise


def motion_kernels(geometry: FanBeam, asymmetry: Asymmetry) -> NDArray[np.float64] | None:
    """Kernel of each view at the lags -n to n bins, shape (n_views, 2n + 1); None where nothing moves.

    A displacement d along the columns moves the shadow by d sin a; between two bins it is shared as their overlap with
    it, so that the kernel is not negative, sums to 1 and has the exact mean.
    """
    if asymmetry.kind != "motion" or not asymmetry.strength:
        return None
    excursion = asymmetry.strength * EXCURSION_PIXELS * geometry.pixel_cm / geometry.virtual_bin_cm
    shifts = np.outer(np.sin(geometry.angles), excursion * displacements())
    farthest = math.ceil(excursion)
    lags = np.arange(-farthest, farthest + 1)
    overlap = np.maximum(0, 1 - np.abs(lags[:, None, None] - shifts))
    return np.asarray(overlap.mean(axis=2).T)


def displacements() -> NDArray[np.float64]:
    """Displacements from the rest at the end of expiration at equal steps of a breath, as shares of the excursion."""
    phases = (np.arange(_PHASES) + 0.5) * (np.pi / _PHASES)
    return np.cos(phases) ** 6


def smear(kernels: NDArray[np.float64], views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve each view (n_views, n_bins) with its kernel; beyond the detector there is nothing (0)."""
    n_bins, reach = views.shape[1], kernels.shape[1] // 2
    padded = np.pad(views, ((0, 0), (reach, reach)))
    # lag k takes its value from k bins to the left
    return np.asarray(
        sum(kernels[:, [k]] * padded[:, 2 * reach - k : 2 * reach - k + n_bins] for k in range(kernels.shape[1]))
    )


def detected(geometry: FanBeam, asymmetry: Asymmetry, passed: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the photons that reaches each bin, of the share ``passed`` along each ray, both (n_views, n_bins).

    Where nothing moves it is the same array.
    """
    kernels = motion_kernels(geometry, asymmetry)
    return passed if kernels is None else 1 - smear(kernels, 1 - passed)


def shadow(geometry: FanBeam, asymmetry: Asymmetry, trace: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bins in whose light the metal of the rays ``trace`` is seen, both (n_views, n_bins)."""
    kernels = motion_kernels(geometry, asymmetry)
    return trace if kernels is None else smear(kernels, trace.astype(np.float64)) > _SHADOW


def view_weights(geometry: FanBeam, asymmetry: Asymmetry) -> NDArray[np.float32] | None:
    """Weight of each ray in the reconstruction, shape (n_views, n_bins); None where all are 1.

    The weights of a ray from its two ends sum to 2, or are 0 where neither end was measured.
    """
    if asymmetry.kind != "limited_angle" or not asymmetry.strength:
        return None
    offset = (np.arange(geometry.n_bins) - (geometry.n_bins - 1) / 2) * geometry.bin_cm
    fan = np.arctan(offset / (geometry.source_cm + geometry.detector_cm))
    angles = geometry.angles[:, None]
    arc = arc_radian(geometry, asymmetry.strength)
    here, there = _share(angles, arc), _share(angles + math.pi - 2 * fan, arc)
    return (2 * here / np.maximum(here + there, np.finfo(float).tiny)).astype(np.float32)


def arc_radian(geometry: FanBeam, strength: float) -> float:
    """Angle that the views cover at a strength above 0."""
    half_detector = geometry.n_bins / 2 * geometry.bin_cm
    short_scan = math.pi + 2 * math.atan(half_detector / (geometry.source_cm + geometry.detector_cm))
    return short_scan - strength * (short_scan - math.radians(SHORTEST_ARC_DEG))


def _share(angles: NDArray[np.float64], arc: float) -> NDArray[np.float64]:
    """1 in an arc centred at angle 0, falling to 0 at its ends, periodic."""
    distance = np.abs((angles + math.pi) % (2 * math.pi) - math.pi)
    return np.sin(np.pi / 2 * np.clip((arc / 2 - distance) / _FEATHER, 0, 1)) ** 2
