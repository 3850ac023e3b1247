"""From paths through water, bone and metal to the line integrals that a scanner reports.

T = Σ_E s(E) exp(-W μ_w(E)/μ_w(70) - B μ_b(E)/μ_b(70) - M μ_m(E)), where s is the share of photons at energy E, W and
B are line integrals of the attenuation at 70 keV of water and bone (no unit) and M is the path in metal (cm).
The detector counts n ~ Poisson(n_0 T + n_scatter), at least 1; p = -ln(n/n_0) is then mapped to line integrals at
70 keV by the cubic polynomial without constant that is right for 0 to 50 cm of water (beam-hardening correction).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.simulation.materials import CORTICAL_BONE, WATER, attenuation_per_cm, metal
from ctmar.simulation.noise import photon_counts
from ctmar.simulation.projector import compiled
from ctmar.simulation.spectrum import Tube, photon_spectrum
from ctmar.units import WATER_PER_CM, hu_to_attenuation

_REFERENCE_KEV = 70.0
_WATER_UP_TO_HU = 100.0
BONE_FROM_HU = 1500.0
_CORRECTED_WATER_CM = 50.0


@dataclass(frozen=True, eq=False)
class Beam:
    """Tables of a tube and a metal, one value per energy bin, and the beam-hardening correction.

    Attributes:
        energies_kev: mid-points of the energy bins.
        share: share of the photons in each bin.
        water, bone: attenuation relative to 70 keV.
        metal: attenuation in 1/cm.
        correction: coefficients of p, p², p³.
    """

    energies_kev: NDArray[np.float64]
    share: NDArray[np.float64]
    water: NDArray[np.float64]
    bone: NDArray[np.float64]
    metal: NDArray[np.float64]
    correction: NDArray[np.float64]


@lru_cache(maxsize=8)
def beam_through(tube: Tube, metal_name: str, metal_factor: float) -> Beam:
    """Compute the tables of a tube and a metal; ``metal_factor`` scales the attenuation of the metal.

    Raises:
        InputError: unknown metal.
    """
    material = metal(metal_name)
    energies_kev, share = photon_spectrum(tube)
    reference = np.array([_REFERENCE_KEV])
    water = attenuation_per_cm(WATER, energies_kev) / attenuation_per_cm(WATER, reference)
    return Beam(
        energies_kev=energies_kev,
        share=share,
        water=water,
        bone=attenuation_per_cm(CORTICAL_BONE, energies_kev) / attenuation_per_cm(CORTICAL_BONE, reference),
        metal=attenuation_per_cm(material, energies_kev) * metal_factor,
        correction=_water_correction(share, water),
    )


def _water_correction(share: NDArray[np.float64], water: NDArray[np.float64]) -> NDArray[np.float64]:
    wanted = np.arange(0.05, _CORRECTED_WATER_CM + 0.025, 0.05) * WATER_PER_CM
    measured = -np.log(np.exp(-np.outer(wanted, water)) @ share)
    return np.linalg.lstsq(np.stack([measured, measured**2, measured**3], axis=1), wanted, rcond=None)[0]


def split_tissue(image: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split attenuation into water and bone: all water up to 100 HU, all bone from 1500 HU, a linear mix between.

    Args:
        image: linear attenuation at 70 keV, any shape [1/cm].

    Returns:
        Two images of the same shape that sum to ``image`` [1/cm].

    Examples:
        >>> water, bone = split_tissue(np.array([0.192, 0.5]))
        >>> water.tolist(), bone.tolist()
        ([0.192, 0.0], [0.0, 0.5])
    """
    low, high = hu_to_attenuation(np.array([_WATER_UP_TO_HU, BONE_FROM_HU])).astype(np.float64)
    attenuation = np.asarray(image, dtype=np.float64)
    bone = np.clip((attenuation - low) / (high - low), 0, 1) * attenuation
    return attenuation - bone, bone


def transmission(
    beam: Beam, water: NDArray[Any], bone: NDArray[Any], metal_cm: NDArray[Any] | float = 0.0
) -> NDArray[np.float64]:
    """Return the share T of the photons that pass each ray.

    Args:
        beam: tables.
        water: line integrals of water at 70 keV, any shape [no unit].
        bone: line integrals of bone at 70 keV, same shape [no unit].
        metal_cm: paths in metal, same shape or one number [cm].

    Returns:
        Shares in (0, 1], same shape.
    """
    paths = [np.ascontiguousarray(path, dtype=np.float64).ravel() for path in (water, bone)]
    metal_paths = np.ascontiguousarray(np.broadcast_to(metal_cm, water.shape), dtype=np.float64).ravel()
    out = np.ones(metal_paths.shape)
    _transmit(*paths, metal_paths, beam.share, beam.water, beam.bone, beam.metal, out)
    return out.reshape(water.shape)


@compiled
def _transmit(water, bone, metal_cm, share, mu_water, mu_bone, mu_metal, out):  # type: ignore[no-untyped-def]
    for ray in range(out.size):
        w, b, m = water[ray], bone[ray], metal_cm[ray]
        if w + b + m > 0:  # rays through air keep T = 1
            total = 0.0
            for k in range(share.size):
                total += share[k] * math.exp(-(w * mu_water[k] + b * mu_bone[k] + m * mu_metal[k]))
            out[ray] = total


def measure(
    beam: Beam, passed: NDArray[np.float64], photons: float, scatter: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Count photons and return the line integrals at 70 keV, corrected for beam hardening in water.

    Args:
        beam: tables.
        passed: share of the photons that pass each ray, any shape.
        photons: photons per ray without an object.
        scatter: mean scatter counts added to every ray.
        random: source of the photon noise.

    Returns:
        Line integrals, same shape [no unit].
    """
    # no signal at all counts as one photon, as in the benchmark: the logarithm stays finite
    counts = np.maximum(photon_counts(photons * passed + scatter, random), 1)
    p = -np.log(counts / photons)
    first, second, third = beam.correction
    return (((third * p + second) * p + first) * p).astype(np.float32)
