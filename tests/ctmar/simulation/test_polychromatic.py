"""Beer's law, beam hardening, its correction, and photon noise."""

from dataclasses import replace

import numpy as np
import pytest

from ctmar.simulation.noise import random_stream
from ctmar.simulation.polychromatic import beam_through, measure, split_tissue, transmission
from ctmar.simulation.spectrum import Tube

BEAM = beam_through(Tube(), "titanium", 1.0)


def test_one_energy_is_beers_law():
    k = 40
    single = replace(
        BEAM, **{name: getattr(BEAM, name)[k : k + 1] for name in ("energies_kev", "water", "bone", "metal")}
    )
    single = replace(single, share=np.ones(1))
    water, bone, metal_cm = np.random.default_rng(0).random((3, 50))
    exponent = water * BEAM.water[k] + bone * BEAM.bone[k] + metal_cm * BEAM.metal[k]
    np.testing.assert_allclose(transmission(single, water, bone, metal_cm), np.exp(-exponent), rtol=1e-12)


def test_transmission_is_the_sum_over_the_spectrum():
    water, bone, metal_cm = np.random.default_rng(1).random((3, 4, 5)) * 3
    exponent = np.multiply.outer(water, BEAM.water) + np.multiply.outer(bone, BEAM.bone)
    expected = np.exp(-exponent - np.multiply.outer(metal_cm, BEAM.metal)) @ BEAM.share
    np.testing.assert_allclose(transmission(BEAM, water, bone, metal_cm), expected, rtol=1e-10)
    assert transmission(BEAM, np.zeros(2), np.zeros(2)).tolist() == [1.0, 1.0]


def test_metal_hardens_the_beam():
    thickness_cm = np.array([0.1, 2.0])
    passed = transmission(BEAM, np.zeros(2), np.zeros(2), thickness_cm)
    first, second = -np.log(passed) / thickness_cm
    assert second < 0.7 * first


def test_corrected_water_is_linear_in_its_thickness():
    wanted = np.linspace(0.5, 9, 30)
    beam_line = measure(BEAM, transmission(BEAM, wanted, 0 * wanted), 1e14, 0, random_stream(0))
    # a cubic cannot follow the first centimetres exactly: 0.013 where uncorrected values are 0.09 off
    np.testing.assert_allclose(beam_line, wanted, rtol=0, atol=0.014)


def test_tissue_is_split_and_sums_to_the_image():
    image = np.linspace(0, 0.8, 200)
    water, bone = split_tissue(image)
    np.testing.assert_allclose(water + bone, image)
    assert not bone[image <= 0.192 * 1.1].any()
    assert not water[image >= 0.192 * 2.5].any()
    middle = 0.192 * 1.8  # half way between 100 and 1500 HU
    assert split_tissue(np.array([middle]))[1][0] == pytest.approx(middle / 2)


def test_noise_is_that_of_the_photons():
    photons, passed = 1e4, np.full(200_000, 0.5)
    values = measure(BEAM, passed, photons, 0.0, random_stream(3)).astype(float)
    p, (a, b, c) = -np.log(0.5), BEAM.correction
    slope = a + 2 * b * p + 3 * c * p**2
    assert values.std() == pytest.approx(slope / np.sqrt(photons * 0.5), rel=0.01)


def test_starved_rays_stay_finite():
    values = measure(BEAM, np.full(100, 1e-12), 1e3, 0.0, random_stream(4))
    assert np.isfinite(values).all()
    assert len(np.unique(values)) == 1


def test_scatter_lowers_line_integrals():
    passed = np.full(10, 1e-4)
    clean, scattered = (measure(BEAM, passed, 1e9, s, random_stream(5)).mean() for s in (0.0, 1e5))
    assert scattered < clean
