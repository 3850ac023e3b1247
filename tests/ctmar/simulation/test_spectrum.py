"""The tube spectrum: shape, tungsten lines, filter."""

import numpy as np
import pytest

from ctmar.simulation.spectrum import Tube, photon_spectrum


def test_shares_and_energies():
    energies_kev, share = photon_spectrum(Tube())
    assert share.sum() == pytest.approx(1)
    assert (share >= 0).all()
    assert energies_kev[0] == 20.5
    assert energies_kev[-1] == 119.5
    assert float(energies_kev @ share) == pytest.approx(FROZEN_MEAN_KEV, abs=0.01)


FROZEN_MEAN_KEV = 55.216


def test_the_strongest_bins_are_the_tungsten_lines():
    energies_kev, share = photon_spectrum(Tube())
    strongest = energies_kev[np.argsort(share)[-2:]]
    assert set(strongest) == {57.5, 59.5}  # K-alpha 2 and 1: 57.98 and 59.32 keV


def test_a_thicker_filter_hardens_the_beam():
    means = [float(e @ s) for e, s in (photon_spectrum(Tube(aluminium_mm=mm)) for mm in (2.0, 3.0, 10.0))]
    assert means == sorted(means)
