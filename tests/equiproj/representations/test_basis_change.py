"""A representation in another basis, and matrices that only permute."""

import numpy as np
import pytest
import torch

from equiproj.groups import O3, SO2, SO3, CyclicGroup, DihedralGroup
from equiproj.projections import project_linear
from equiproj.representations import (
    band_limit,
    from_matrices,
    in_basis,
    irrep,
    isotypic_basis,
    regular,
    standard,
    trivial,
)


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


INNER = [
    regular(CyclicGroup(4)) + trivial(CyclicGroup(4)),
    regular(DihedralGroup(3)),
    irrep(SO2(), 3) + 2 * irrep(SO2(), 1) + trivial(SO2()),
    irrep(SO3(), 2) + standard(SO3()),
    irrep(O3(), (1, 1)) + irrep(O3(), (1, -1)),
]


@pytest.mark.parametrize("inner", INNER, ids=str)
def test_matrices_irreps_and_projections_move_with_the_basis(inner):
    basis = orthogonal(inner.dim)
    rho = in_basis(inner, basis)
    for g in inner.group.sample(3, torch.Generator().manual_seed(0)):
        np.testing.assert_allclose(rho(g).numpy(), basis @ inner(g).numpy() @ basis.T, atol=1e-12)
        for psi, copies in isotypic_basis(rho).items():
            for copy in copies.swapaxes(0, 1):
                np.testing.assert_allclose(rho(g).numpy() @ copy, copy @ psi(g).numpy(), atol=1e-9)
    weight = torch.randn(inner.dim, inner.dim, dtype=torch.float64)
    turn = torch.from_numpy(basis)
    expected = turn @ project_linear(turn.T @ weight @ turn, inner, inner) @ turn.T
    torch.testing.assert_close(project_linear(weight, rho, rho), expected)


def test_values():
    inner, basis = irrep(SO2(), 2), orthogonal(2)
    assert in_basis(inner, np.eye(2)) is inner
    assert in_basis(inner, basis) == in_basis(inner, basis) != in_basis(inner, orthogonal(2, seed=1))
    assert 2 * in_basis(inner, basis) == in_basis(inner, basis) + in_basis(inner, basis)
    assert band_limit(in_basis(inner, basis)) == 2
    assert str(in_basis(inner, basis)) == "(irrep(2) in another basis) of SO2()"


def test_other_shapes_and_skew_bases_are_refused():
    with pytest.raises(ValueError, match=r"expected a basis of shape \(2, 2\)"):
        in_basis(irrep(SO2(), 2), np.eye(3))
    for entry in (1.0, np.nan):
        with pytest.raises(ValueError, match="expected Q to be orthogonal"):
            in_basis(irrep(SO2(), 2), np.array([[1.0, entry], [0.0, 1.0]]))


def test_matrices_that_permute_are_known_to():
    group = DihedralGroup(3)
    rho = regular(group)
    given = from_matrices(group, {g: rho(g) for g in group.elements})
    for g in group.elements:
        np.testing.assert_array_equal(given.permutation(g), rho.permutation(g))
    weight = torch.randn(6, 6, dtype=torch.float64)
    torch.testing.assert_close(project_linear(weight, given, given), project_linear(weight, rho, rho))
    sign = from_matrices(CyclicGroup(2), {0: torch.eye(2), 1: torch.tensor([[0.0, -1.0], [-1.0, 0.0]])})
    assert sign.permutation(0) is not None
    assert sign.permutation(1) is None
