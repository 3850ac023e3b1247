import pytest

from equiproj.groups import (
    O2,
    SO2,
    SO3,
    CubeGroup,
    CyclicGroup,
    DihedralGroup,
    DirectProduct,
    FiniteGroup,
    SymmetricGroup,
    TranslationGroup,
    is_subgroup,
)

PLANAR = [*(CyclicGroup(n) for n in (1, 2, 3, 4, 8)), *(DihedralGroup(n) for n in (1, 2, 3, 4, 8)), SO2(), O2()]


def by_formula(small, large):
    """C_m and D_m lie in D_n, C_m in C_n, if m divides n; all in O(2), turns in SO(2)."""
    if isinstance(large, O2):
        return True
    if isinstance(large, SO2) or isinstance(small, O2 | SO2):
        return isinstance(large, SO2) and isinstance(small, SO2 | CyclicGroup)
    turns_in_turns = isinstance(small, CyclicGroup) or isinstance(large, DihedralGroup)
    return turns_in_turns and large.n_turns % small.n_turns == 0


@pytest.mark.parametrize("large", PLANAR, ids=str)
@pytest.mark.parametrize("small", PLANAR, ids=str)
def test_groups_of_the_plane(small, large):
    assert is_subgroup(small, large) == by_formula(small, large)
    if isinstance(small, FiniteGroup) and isinstance(large, FiniteGroup) and by_formula(small, large):
        assert large.order % small.order == 0  # Lagrange


def test_groups_of_space_and_of_nothing():
    assert is_subgroup(CyclicGroup(4), CubeGroup())
    assert is_subgroup(CubeGroup(), SO3())
    assert is_subgroup(SO2(), SO3())
    assert not is_subgroup(CyclicGroup(8), CubeGroup())
    assert not is_subgroup(SO3(), SO2())
    assert not is_subgroup(DihedralGroup(1), SO3())  # a mirror image of space is no turn
    product = DirectProduct(CyclicGroup(2), DihedralGroup(1))
    assert is_subgroup(product, DihedralGroup(2))
    assert is_subgroup(DihedralGroup(2), product)
    assert is_subgroup(SymmetricGroup(3), SymmetricGroup(3))
    assert not is_subgroup(SymmetricGroup(3), SymmetricGroup(4))
    assert not is_subgroup(TranslationGroup((3, 3)), CyclicGroup(4))
    # on a line C_2 is the reflection, as D_1 is; in the plane it is not
    assert is_subgroup(CyclicGroup(2), DihedralGroup(1), n_axes=1)
    assert not is_subgroup(CyclicGroup(2), DihedralGroup(1))
