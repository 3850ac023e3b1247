"""Attenuation of tissue and metals: mass fractions and densities here, cross-sections from xraydb.

Cross-sections: W. T. Elam, B. D. Ravel, J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121, total attenuation; they
agree with NIST's tables for water, cortical bone and titanium to 0.1 % from 20 to 150 keV.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Metal
from ctmar.errors import InputError


@dataclass(frozen=True)
class Material:
    """A mixture: density in g/cm³, elements with their mass fractions in percent, and where they are from."""

    density: float
    percent: tuple[tuple[str, float], ...]
    source: str


WATER = Material(1.0, (("H", 11.19), ("O", 88.81)), "H2O")
CORTICAL_BONE = Material(
    1.92,
    (
        ("H", 3.4),
        ("C", 15.5),
        ("N", 4.2),
        ("O", 43.5),
        ("Na", 0.1),
        ("Mg", 0.2),
        ("P", 10.3),
        ("S", 0.3),
        ("Ca", 22.5),
    ),
    "ICRU report 44 (1989), cortical bone",
)
METALS = {
    "titanium": Material(4.5, (("Ti", 100.0),), "pure titanium"),
    "ti6al4v": Material(4.43, (("Ti", 90.0), ("Al", 6.0), ("V", 4.0)), "ASTM F136, nominal"),
    "cobalt_chromium": Material(8.4, (("Co", 66.0), ("Cr", 28.0), ("Mo", 6.0)), "ASTM F75, nominal"),
    "steel": Material(
        8.0,
        (("Fe", 65.5), ("Cr", 17.0), ("Ni", 12.0), ("Mo", 2.5), ("Mn", 2.0), ("Si", 1.0)),
        "316L, ASTM F138, nominal",
    ),
    "amalgam": Material(
        11.6,
        (("Hg", 50.0), ("Ag", 30.0), ("Sn", 13.0), ("Cu", 7.0)),
        "dental amalgam, one part mercury on one part of a high-copper alloy (ISO 24234)",
    ),
}


def metal(name: str) -> Material:
    """Return a metal by its name in the configuration.

    Raises:
        InputError: no such metal.
    """
    if name not in METALS:
        raise InputError(f"unknown metal '{name}': expected one of {', '.join(METALS)}")
    return METALS[name]


def draw_metal(metals: Sequence[Metal], random: np.random.Generator) -> Metal:
    """Draw one of ``metals``, all equally often; a material named twice is drawn twice as often."""
    return metals[int(random.integers(len(metals)))]


def attenuation_per_cm(material: Material, energies_kev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the linear attenuation coefficient μ(E) = density · Σ_i w_i (μ/ρ)_i(E) in 1/cm.

    Examples:
        >>> round(float(attenuation_per_cm(WATER, np.array([70.0]))[0]), 3)
        0.193
    """
    return material.density * sum(
        (share / 100 * _mass_attenuation(element, tuple(energies_kev)) for element, share in material.percent),
        start=np.zeros(len(energies_kev)),
    )


@lru_cache(maxsize=64)
def _mass_attenuation(element: str, energies_kev: tuple[float, ...]) -> Any:
    # imported here: xraydb opens its database and takes half a second, which only a simulation should pay
    import xraydb

    return xraydb.mu_elam(element, 1000 * np.array(energies_kev))


def attenuation_source() -> dict[str, Any]:
    """Describe where the coefficients come from, for the provenance of a file."""
    return {"table": "Elam, Ravel, Sieber 2002, total attenuation", "xraydb": version("xraydb")}
