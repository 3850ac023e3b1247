import math

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
from equiproj.groups.continuous import GOLDEN_ANGLE
from equiproj.groups.group import generated_elements

FINITE = {
    CyclicGroup(1): 1,
    CyclicGroup(4): 4,
    CyclicGroup(7): 7,
    DihedralGroup(1): 2,
    DihedralGroup(4): 8,
    DihedralGroup(5): 10,
    SymmetricGroup(1): 1,
    SymmetricGroup(4): 24,
    CubeGroup(): 24,
    SquarePrismGroup(): 8,
    TranslationGroup((3, 4)): 12,
    QuaternionGroup(): 8,
    DirectProduct(CyclicGroup(2), DihedralGroup(3)): 12,
}
finite = pytest.mark.parametrize("group", FINITE, ids=str)


@finite
def test_order(group):
    assert group.order == len(group.elements) == len(set(group.elements)) == FINITE[group]


@finite
def test_axioms(group):
    table, n = group.table, group.order
    assert group.elements[0] == group.identity
    np.testing.assert_array_equal(table[0], np.arange(n))
    np.testing.assert_array_equal(table[:, 0], np.arange(n))
    # every row and column holds every element once, and (ab)c = a(bc)
    np.testing.assert_array_equal(np.sort(table, axis=0), np.arange(n)[:, None].repeat(n, 1))
    np.testing.assert_array_equal(table[table], table[:, table])


@finite
def test_table_against_the_products(group):
    for i, a in enumerate(group.elements):
        for j, b in enumerate(group.elements):
            assert group.elements[group.table[i, j]] == group.multiply(a, b)


@finite
def test_inverse(group):
    for position, g in enumerate(group.elements):
        assert group.multiply(g, group.inverse(g)) == group.identity
        assert group.elements[group.inverses[position]] == group.inverse(g)


@finite
def test_generators_reach_every_element(group):
    assert set(generated_elements(group, group.generators)) == set(group.elements)


@finite
def test_sample_is_seeded_and_inside(group):
    draws = [group.sample(20, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert draws[0] == draws[1]
    assert set(draws[0]) <= set(group.elements)


@pytest.mark.parametrize("group", [CyclicGroup(8), DihedralGroup(6), CubeGroup(), SquarePrismGroup()], ids=str)
def test_spatial_matrices_multiply_like_the_group(group):
    matrix = {g: group.spatial_matrix(g, 3) for g in group.elements}
    for a in group.elements:
        for b in group.elements:
            np.testing.assert_allclose(matrix[group.multiply(a, b)], matrix[a] @ matrix[b], atol=1e-12)


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
def test_continuous_groups_multiply_like_their_matrices(group):
    matrix = lambda g: group.spatial_matrix(g, group.standard_axes)  # noqa: E731
    a, b = group.sample(2, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(matrix(group.multiply(a, b)), matrix(a) @ matrix(b), atol=1e-12)
    np.testing.assert_allclose(matrix(group.inverse(a)), matrix(a).T, atol=1e-12)
    np.testing.assert_allclose(matrix(group.identity), np.eye(group.standard_axes))


def test_haar_samples_have_the_moments_of_the_haar_measure():
    rotations = np.stack(SO3().sample(20_000, torch.Generator().manual_seed(0)))
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-12)
    np.testing.assert_allclose(rotations.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose((rotations**2).mean(axis=0), 1 / 3, atol=0.02)
    angles = np.array(SO2().sample(20_000, torch.Generator().manual_seed(0)))
    assert abs(np.exp(1j * angles).mean()) < 0.02
    mirrored = [m for _, m in O2().sample(20_000, torch.Generator().manual_seed(0))]
    assert abs(np.mean(mirrored) - 0.5) < 0.02


def test_frozen_values():
    assert CyclicGroup(4).table.tolist() == [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]
    # quarter turn after mirror image is element 1 + 4, mirror image after quarter turn is element 3 + 4
    assert DihedralGroup(4).multiply(1, 4) == 5
    assert DihedralGroup(4).multiply(4, 1) == 7
    assert SymmetricGroup(3).elements[3] == (1, 2, 0)
    assert pytest.approx(2.399963229728653) == GOLDEN_ANGLE


def test_large_permutation_groups_need_no_list():
    group = SymmetricGroup(30)
    (s,) = group.sample(1, torch.Generator().manual_seed(0))
    assert group.multiply(s, group.inverse(s)) == group.identity
    assert group.order == math.factorial(30)
    with pytest.raises(ValueError, match=r"expected n ≤ 6 to list the elements of S_n, found SymmetricGroup\(30\)"):
        _ = group.elements


def test_equal_groups_are_one_value():
    assert CyclicGroup(4) == CyclicGroup(4) != CyclicGroup(5)
    assert CyclicGroup(4) != DihedralGroup(4)
    assert len({SO2(), SO2(), O2()}) == 2
    assert repr(DirectProduct(CyclicGroup(2), CyclicGroup(3))) == "DirectProduct(CyclicGroup(2), CyclicGroup(3))"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CyclicGroup(0), "at least 1 turn, found 0"),
        (lambda: DihedralGroup(-1), "at least 1 turn, found -1"),
        (lambda: SymmetricGroup(0), "at least 1 point, found 0"),
        (lambda: TranslationGroup(()), "at least 1 pixel per axis"),
        (lambda: CyclicGroup(4).index(4), r"expected an element of CyclicGroup\(4\), found 4"),
        (lambda: CyclicGroup(4).spatial_matrix(1, 1), r"expected 2 or 3 axes for CyclicGroup\(4\)"),
        (lambda: CubeGroup().spatial_matrix(CubeGroup().identity, 2), "expected 3 axes"),
        (lambda: SO2().spatial_matrix(1.0, 1), "expected 2 or 3 axes"),
        (lambda: SymmetricGroup(3).spatial_matrix((0, 1, 2), 2), "acts on space"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_square_prism_has_the_turns_of_the_cube_that_keep_its_axis():
    kept = {g for g in CubeGroup().elements if abs(g[2][2]) == 1}
    assert set(SquarePrismGroup().elements) == kept
