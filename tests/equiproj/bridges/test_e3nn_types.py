"""Our representation of irreps is e3nn's, matrix by matrix."""

import numpy as np
import pytest
import torch

from equiproj.bridges import from_e3nn
from equiproj.groups import O2, O3, SO3
from equiproj.representations import irrep, trivial

o3 = pytest.importorskip("e3nn.o3")
IRREPS = ["0e", "1o", "5x0e + 0o + 2x1e + 3x1o + 2e + 2o", "3o + 4e + 0x1o + 2x5o"]


@pytest.fixture
def double():
    """e3nn computes in the default precision; its tables hold single precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("text", IRREPS)
def test_matrices_are_those_of_e3nn(double, text):
    theirs = o3.Irreps(text)
    rho = from_e3nn(theirs)
    assert rho.group == O3()
    assert rho.dim == theirs.dim
    elements = O3().sample(8, torch.Generator().manual_seed(1))
    assert {np.linalg.det(g) > 0 for g in elements} == {True, False}
    for g in elements:
        torch.testing.assert_close(rho(g), theirs.D_from_matrix(torch.from_numpy(g)).double(), atol=3e-6, rtol=0)


@pytest.mark.parametrize("text", IRREPS)
def test_rotations_alone(double, text):
    theirs = o3.Irreps(text)
    rho = from_e3nn(theirs, SO3())
    assert rho.group == SO3()
    for g in SO3().sample(4, torch.Generator().manual_seed(1)):
        torch.testing.assert_close(rho(g), theirs.D_from_matrix(torch.from_numpy(g)).double(), atol=3e-6, rtol=0)


def test_components_of_degree_one_are_x_y_z():
    (g,) = SO3().sample(1, torch.Generator().manual_seed(2))
    np.testing.assert_allclose(from_e3nn(o3.Irreps("1o"))(g).numpy(), g, atol=1e-12)
    # ours are (y, z, x)
    np.testing.assert_allclose(irrep(SO3(), 1)(g).numpy(), g[np.ix_([1, 2, 0], [1, 2, 0])], atol=1e-12)


def test_scalars_have_their_names():
    assert from_e3nn(o3.Irreps("3x0e")) == 3 * trivial(O3())
    assert from_e3nn(o3.Irreps("0o")) == irrep(O3(), (0, -1))
    assert from_e3nn(o3.Irreps("0o"), SO3()) == trivial(SO3())


def test_no_irreps_and_other_groups_are_refused():
    with pytest.raises(ValueError, match="expected irreps with at least one component"):
        from_e3nn(o3.Irreps("0x1o"))
    with pytest.raises(ValueError, match=r"expected SO3\(\) or O3\(\)"):
        from_e3nn(o3.Irreps("1o"), O2())
