"""Attenuation against NIST's tables (X-ray mass attenuation coefficients, NISTIR 5632) and known densities."""

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.simulation.materials import CORTICAL_BONE, METALS, WATER, attenuation_per_cm, metal

ENERGIES_KEV = np.array([20.0, 40.0, 60.0, 80.0, 100.0])
NIST_CM2_PER_G = {
    "water": (WATER, [0.8096, 0.2683, 0.2059, 0.1837, 0.1707]),
    "bone": (CORTICAL_BONE, [4.001, 0.6655, 0.3148, 0.2229, 0.1855]),
    "titanium": (METALS["titanium"], [15.85, 2.214, 0.7661, 0.4052, 0.2721]),
}


@pytest.mark.parametrize("name", NIST_CM2_PER_G)
def test_tables_of_nist(name: str):
    material, expected = NIST_CM2_PER_G[name]
    np.testing.assert_allclose(attenuation_per_cm(material, ENERGIES_KEV) / material.density, expected, rtol=2e-3)


@pytest.mark.parametrize("material", [WATER, CORTICAL_BONE, *METALS.values()])
def test_mass_fractions_sum_to_one(material):
    assert sum(share for _, share in material.percent) == pytest.approx(100)


def test_heavier_metals_attenuate_more():
    at_70_kev = {name: attenuation_per_cm(material, np.array([70.0]))[0] for name, material in METALS.items()}
    order = ["ti6al4v", "titanium", "steel", "cobalt_chromium", "amalgam"]
    assert sorted(at_70_kev, key=lambda name: at_70_kev[name]) == order


def test_unknown_metal_is_named():
    with pytest.raises(InputError, match="unknown metal 'gold': expected one of titanium, ti6al4v"):
        metal("gold")
