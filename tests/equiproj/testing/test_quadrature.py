import numpy as np
import pytest

from equiproj.groups import O2, O3, SO2, SO3, CyclicGroup
from equiproj.representations import irreps
from equiproj.testing import haar_quadrature


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
@pytest.mark.parametrize("band_limit", [0, 1, 4, 5])
def test_only_the_trivial_irrep_has_a_mean(group, band_limit):
    nodes = haar_quadrature(group, band_limit)
    assert sum(w for w, _ in nodes) == pytest.approx(1.0)
    for psi in irreps(group, band_limit):
        mean = sum(w * psi(g).numpy() for w, g in nodes)
        np.testing.assert_allclose(mean, 1.0 if psi == irreps(group, 0)[0] else 0.0, atol=1e-12)


def test_the_limit_is_sharp():
    # one frequency more is aliased to a constant
    nodes = haar_quadrature(SO2(), 4)
    assert sum(w * np.cos(5 * angle) for w, angle in nodes) == pytest.approx(1.0)


def test_finite_groups_are_sums():
    assert haar_quadrature(CyclicGroup(4), 0) == [(0.25, g) for g in range(4)]
