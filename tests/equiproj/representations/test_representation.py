import dataclasses

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
    SymmetricGroup,
    TranslationGroup,
)
from equiproj.representations import (
    direct_sum,
    from_matrices,
    grid,
    irrep,
    irreps,
    quotient,
    regular,
    standard,
    tensor_product,
    trivial,
)
from equiproj.testing import assert_is_representation, assert_orthogonal

C4, D4 = CyclicGroup(4), DihedralGroup(4)
FINITE = [
    CyclicGroup(1), C4, CyclicGroup(5), CyclicGroup(6), DihedralGroup(1), DihedralGroup(2), DihedralGroup(3), D4,
    SymmetricGroup(4), CubeGroup(), TranslationGroup((3, 4)), QuaternionGroup(),
    DirectProduct(CyclicGroup(3), CyclicGroup(4)),
]  # fmt: skip
SPECIAL = [
    standard(C4), standard(DihedralGroup(5)), standard(CubeGroup()), standard(SymmetricGroup(9)),
    quotient(D4, 4), quotient(SymmetricGroup(4), (1, 0, 2, 3)), quotient(C4), quotient(C4, 1),
    grid(D4, (3, 3)), grid(C4, (4, 4)), grid(CubeGroup(), (2, 2, 2)), grid(TranslationGroup((3, 4)), (3, 4)),
    tensor_product(standard(D4), regular(D4)), tensor_product(grid(C4, (2, 2)), regular(C4)),
    standard(SO2()), standard(O2()), standard(SO3()), tensor_product(standard(SO3()), irrep(SO3(), 2)),
]  # fmt: skip


@pytest.mark.parametrize("group", FINITE, ids=str)
def test_every_finite_group_has_representations(group):
    for rho in (trivial(group), regular(group), *irreps(group), 2 * regular(group) + trivial(group)):
        assert_is_representation(rho)
        assert_orthogonal(rho)


@pytest.mark.parametrize("rho", SPECIAL, ids=str)
def test_special_representations(rho):
    assert_is_representation(rho)
    assert_orthogonal(rho)


@pytest.mark.parametrize(("group", "limit"), [(SO2(), 6), (O2(), 6), (SO3(), 6), (O3(), 3)], ids=str)
def test_irreps_of_continuous_groups(group, limit):
    for rho in irreps(group, limit):
        assert_is_representation(rho)
        assert_orthogonal(rho)


@pytest.mark.parametrize("rho", [r for r in SPECIAL if r.permutation(r.group.identity) is not None], ids=str)
def test_permutations_agree_with_matrices(rho):
    for g in rho.group.sample(4, torch.Generator().manual_seed(0)):
        assert rho(g).argmax(dim=0).tolist() == rho.permutation(g).tolist()


def test_regular_channels_are_elements():
    # ρ(g) e_h = e_{gh}: a turn by one shifts the four channels by one
    shifted = regular(C4)(1) @ torch.arange(4.0).double()
    assert shifted.tolist() == torch.arange(4.0).roll(1).tolist()


def test_fields_come_one_after_the_other():
    rho = 2 * regular(C4)
    channels = torch.arange(8.0).double()
    assert (rho(1) @ channels).tolist() == [3, 0, 1, 2, 7, 4, 5, 6]


def test_values():
    a, b = trivial(C4), regular(C4)
    assert 2 * b == b + b == b * 2
    assert a + b != b + a
    assert 2 * (a + b) == a + b + a + b
    assert hash(3 * b) == hash(b + 2 * b)
    assert (a + 2 * b).dim == 9
    assert [str(s) for s in (a + 2 * b).summands] == ["trivial", "regular", "regular"]
    assert repr(a + 2 * b) == "trivial + 2*regular of CyclicGroup(4)"
    assert direct_sum([a, b, b]) == a + 2 * b
    assert irreps(C4)[0] == a
    assert quotient(D4, 4) == quotient(D4, 4) != quotient(D4, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.terms = ()


def test_matrices_are_float64_and_fresh():
    rho = regular(C4)
    rho(1).zero_()
    assert rho(1).dtype == torch.float64
    assert rho(1).sum() == 4


def test_tensor_product_is_kronecker():
    a, b = standard(C4) + trivial(C4), regular(C4)
    torch.testing.assert_close(tensor_product(a, b)(1), torch.kron(a(1), b(1)))


def test_own_matrices():
    turn = from_matrices(C4, {g: standard(C4)(g) for g in C4.elements})
    assert_is_representation(turn)
    assert turn == from_matrices(C4, {g: standard(C4)(g) for g in C4.elements})
    assert turn.dim == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: trivial(C4) + trivial(D4), r"found CyclicGroup\(4\) and DihedralGroup\(4\)"),
        (lambda: 0 * trivial(C4), "expected at least 1 copy of a representation, found 0"),
        (lambda: direct_sum([]), "at least one representation"),
        (lambda: tensor_product(trivial(C4), trivial(D4)), "of one group"),
        (lambda: standard(QuaternionGroup()), "group of turns or of permutations"),
        (lambda: quotient(C4, 7), "expected an element of"),
        (lambda: grid(C4, (3, 5)), "maps onto itself"),
        (lambda: irreps(SO2()), r"expected a band limit of at least 0 for SO2\(\), found None"),
        (lambda: irreps(C4, 3), "expected no band limit"),
        (lambda: irrep(C4, 3), r"expected a label of an irrep of CyclicGroup\(4\), found 3"),
        (lambda: irrep(SO2(), -1), "expected a label"),
        (lambda: from_matrices(CyclicGroup(2), {0: torch.eye(1)}), "found none for 1"),
        (lambda: from_matrices(CyclicGroup(2), {0: torch.eye(1), 1: torch.eye(2)}), "matrices of one size"),
        (lambda: from_matrices(CyclicGroup(2), {0: torch.eye(1), 1: 2 * torch.eye(1)}), r"ρ\(g\) to be orthogonal"),
        (lambda: from_matrices(CyclicGroup(2), {0: torch.eye(1), 1: torch.nan * torch.eye(1)}), "from the unit by nan"),
        (
            lambda: from_matrices(CyclicGroup(3), {0: torch.eye(1), 1: -torch.eye(1), 2: torch.eye(1)}),
            r"expected ρ\(g\)ρ\(h\) = ρ\(gh\), found a deviation of 2",
        ),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [regular, quotient, lambda group: grid(group, (3, 3))])
def test_permutations_of_a_continuous_group(make):
    with pytest.raises(ValueError, match=r"expected a finite group for the \w+ representation, found SO2"):
        make(SO2())
