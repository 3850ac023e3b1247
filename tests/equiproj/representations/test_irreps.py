import numpy as np
import pytest
import torch

from equiproj.groups import (
    O2,
    O3,
    SO2,
    SO3,
    CubeGroup,
    CyclicGroup,
    DihedralGroup,
    DirectProduct,
    QuaternionGroup,
    SquarePrismGroup,
    SymmetricGroup,
    TranslationGroup,
)
from equiproj.representations import (
    character,
    equivariant_maps,
    irrep,
    irreps,
    isotypic_basis,
    regular,
    standard,
    tensor_product,
    trivial,
)
from equiproj.representations.splitting import split_regular
from equiproj.testing import haar_quadrature

GROUPS = [
    CyclicGroup(1), CyclicGroup(2), CyclicGroup(5), CyclicGroup(8), DihedralGroup(1), DihedralGroup(2),
    DihedralGroup(5), DihedralGroup(6), SymmetricGroup(4), CubeGroup(), TranslationGroup((4, 3)), QuaternionGroup(),
    SquarePrismGroup(),
    DirectProduct(CyclicGroup(3), CyclicGroup(3)), DirectProduct(CyclicGroup(4), DihedralGroup(3)),
]  # fmt: skip
every_group = pytest.mark.parametrize("group", GROUPS, ids=str)


def characters(group):
    return np.array([[character(psi, g) for g in group.elements] for psi in irreps(group)])


@every_group
def test_characters_are_orthogonal_and_complete(group):
    table = characters(group)
    products = table @ table.T / group.order
    types = np.diag(products)
    np.testing.assert_allclose(products, np.diag(types), atol=1e-9)
    assert set(types.round(9)) <= {1.0, 2.0, 4.0}
    # the regular representation holds ψ dim(ψ) / type times
    assert (table[:, 0] ** 2 / types).sum() == pytest.approx(group.order)


@every_group
def test_schur(group):
    # the maps that commute with a real irrep are the real numbers, the complex ones or the quaternions
    types = (characters(group) ** 2).mean(axis=1).round()
    found = irreps(group)
    for psi, size in zip(found, types, strict=True):
        maps = equivariant_maps(psi, psi)
        assert len(maps) == size
        for m in maps:  # a division algebra: every element is a multiple of an orthogonal matrix
            np.testing.assert_allclose(m.T @ m, np.eye(psi.dim) / psi.dim, atol=1e-12)
    for one in found[:3]:
        assert all(len(equivariant_maps(one, other)) == 0 for other in found if other != one)


def test_types():
    def sizes(group):
        return [(psi.dim, len(equivariant_maps(psi, psi))) for psi in irreps(group)]

    assert sizes(CyclicGroup(4)) == [(1, 1), (2, 2), (1, 1)]
    assert sizes(DihedralGroup(4)) == [(1, 1), (1, 1), (2, 1), (1, 1), (1, 1)]
    assert sizes(QuaternionGroup()) == [(1, 1)] * 4 + [(4, 4)]
    assert sizes(SymmetricGroup(4)) == sizes(CubeGroup()) == [(1, 1), (1, 1), (2, 1), (3, 1), (3, 1)]


def test_frozen_character_table_of_s4():
    # classes: identity, swap, two swaps, 3-cycle, 4-cycle (James & Liebeck, section 18.1)
    classes = [(0, 1, 2, 3), (1, 0, 2, 3), (1, 0, 3, 2), (1, 2, 0, 3), (1, 2, 3, 0)]
    table = {tuple(round(character(psi, s)) for s in classes) for psi in irreps(SymmetricGroup(4))}
    known = {(1, 1, 1, 1, 1), (1, -1, 1, 1, -1), (2, 0, 2, -1, 0), (3, 1, -1, 0, -1), (3, -1, -1, 0, 1)}
    assert table == known


@pytest.mark.parametrize("group", [CyclicGroup(6), DihedralGroup(6), TranslationGroup((2, 4))], ids=str)
def test_formulas_against_the_numerical_splitting(group):
    numerical = np.array([np.trace(m, axis1=1, axis2=2) for m in split_regular(group)])
    formula = characters(group)
    assert len(numerical) == len(formula)
    for row in formula:
        assert np.abs(numerical - row).max(axis=1).min() < 1e-9


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_irreps_of_planar_groups_against_escnn(escnn, n):
    for theirs, ours in (
        (escnn.group.cyclic_group(n), CyclicGroup(n)),
        (escnn.group.dihedral_group(n), DihedralGroup(n)),
    ):
        known = {(psi.size, psi.sum_of_squares_constituents, psi.irreducible) for psi in theirs.irreps()}
        assert known == {(psi.dim, len(equivariant_maps(psi, psi)), True) for psi in irreps(ours)}
        assert len(theirs.irreps()) == len(irreps(ours))


@every_group
def test_isotypic_basis_of_the_regular_representation(group):
    assert_isotypic_basis(2 * regular(group) + trivial(group))


@pytest.mark.parametrize(
    "rho",
    [
        tensor_product(standard(SO3()), irrep(SO3(), 2)),
        tensor_product(irrep(SO2(), 2), irrep(SO2(), 3)) + standard(SO2()),
        tensor_product(standard(O2()), standard(O2())),
        standard(SO3()) + trivial(SO3()),
    ],
    ids=str,
)
def test_isotypic_basis_of_continuous_groups(rho):
    assert_isotypic_basis(rho)


def assert_isotypic_basis(rho):
    bases = isotypic_basis(rho)
    columns = np.concatenate([basis.reshape(rho.dim, -1) for basis in bases.values()], axis=1)
    np.testing.assert_allclose(columns.T @ columns, np.eye(rho.dim), atol=1e-12)
    for g in rho.group.sample(3, torch.Generator().manual_seed(0)):
        for psi, basis in bases.items():
            for copy in basis.swapaxes(0, 1):
                np.testing.assert_allclose(rho(g).numpy() @ copy, copy @ psi(g).numpy(), atol=1e-11)


def test_clebsch_gordan_series():
    def content(rho):
        return {str(psi).split(" of ")[0]: basis.shape[1] for psi, basis in isotypic_basis(rho).items()}

    assert content(tensor_product(irrep(SO3(), 1), irrep(SO3(), 2))) == {"irrep(1)": 1, "irrep(2)": 1, "irrep(3)": 1}
    assert content(tensor_product(irrep(SO2(), 2), irrep(SO2(), 2))) == {"trivial": 2, "irrep(4)": 1}
    assert content(tensor_product(standard(O2()), standard(O2()))) == {
        "trivial": 1, "irrep((0, -1))": 1, "irrep((2, 0))": 1,
    }  # fmt: skip


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
def test_characters_of_continuous_groups_are_orthogonal(group):
    found = irreps(group, 3)
    nodes = haar_quadrature(group, 6)
    table = np.array([[character(psi, g) for _, g in nodes] for psi in found])
    products = table * np.array([w for w, _ in nodes]) @ table.T
    types = [len(equivariant_maps(psi, psi)) for psi in found]
    np.testing.assert_allclose(products, np.diag(types), atol=1e-10)
    assert types == ([1, 2, 2, 2] if group == SO2() else [1] * len(found))


@pytest.mark.parametrize("group", [DihedralGroup(3), QuaternionGroup(), SymmetricGroup(4)], ids=str)
def test_equivariant_maps_against_a_null_space(group):
    rho_in, rho_out = regular(group) + trivial(group), regular(group)
    eye_in, eye_out = torch.eye(rho_in.dim).double(), torch.eye(rho_out.dim).double()
    rows = [torch.kron(rho_out(g), eye_in) - torch.kron(eye_out, rho_in(g).T.contiguous()) for g in group.generators]
    equations = torch.cat(rows)
    n_null = int((torch.linalg.eigvalsh(equations.T @ equations) < 1e-9).sum())
    maps = equivariant_maps(rho_in, rho_out)
    assert len(maps) == n_null == group.order + 1
    flat = torch.from_numpy(maps.copy()).flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(n_null).double())
    assert float((equations @ flat.T).abs().max()) < 1e-12
