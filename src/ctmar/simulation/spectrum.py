"""The X-ray tube: a 120 kVp spectrum from spekpy.

Reference: G. Poludniowski, A. Omar, R. Bujila, P. Andreo, Med. Phys. 48 (2021) 3630.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tube:
    """Settings of the tube; of those tried, the defaults come nearest to the stored sinograms of SynDeepLesion."""

    voltage_kv: float = 120.0
    anode_angle_degrees: float = 14.0
    aluminium_mm: float = 3.0
    lowest_energy_kev: float = 20.0
    bin_kev: float = 1.0


@lru_cache(maxsize=8)
def photon_spectrum(tube: Tube) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mid-points of the energy bins [keV] and the share of the photons in each (sums to 1)."""
    # imported here: spekpy reads its tables on import, about a second
    import spekpy

    beam = spekpy.Spek(kvp=tube.voltage_kv, th=tube.anode_angle_degrees, dk=tube.bin_kev)
    beam.filter("Al", tube.aluminium_mm)
    energies_kev, fluence = beam.get_spectrum()
    used = energies_kev > tube.lowest_energy_kev
    share = fluence[used] / fluence[used].sum()
    for table in (energies_kev, share):
        table.setflags(write=False)
    return energies_kev[used], share


def spectrum_source(tube: Tube) -> dict[str, Any]:
    """Describe where the spectrum comes from, for the provenance of a file."""
    return {"model": "spekpy", "spekpy": version("spekpy"), **asdict(tube)}
