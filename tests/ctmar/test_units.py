import numpy as np

from ctmar.units import attenuation_to_hu, hu_to_attenuation


def test_water_air_and_bone_in_closed_form():
    hu = np.array([-2000.0, -1000.0, -500.0, 0.0, 1500.0])
    np.testing.assert_allclose(hu_to_attenuation(hu), [0, 0, 0.096, 0.192, 0.48], rtol=1e-6)


def test_the_two_directions_are_inverse_above_air():
    hu = np.linspace(-1000, 3000, 101)
    np.testing.assert_allclose(attenuation_to_hu(hu_to_attenuation(hu)), hu, atol=2e-4)


def test_attenuation_is_single_precision():
    assert hu_to_attenuation(np.zeros((2, 2), dtype=np.int16)).dtype == np.float32
