"""How escnn's kernels and e3nn's maps lie to ours is what docs/bridges.md says."""

from pathlib import Path

import pytest
import torch
from benchmarks.subspaces import (
    compare_kernels,
    of_continuous_groups,
    of_e3nn,
    of_finite_groups,
    of_the_same_rings,
    relation,
)

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "bridges.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finite(escnn):
    return list(of_finite_groups(escnn))


@pytest.fixture(scope="module")
def continuous(escnn):
    return list(of_continuous_groups(escnn))


@pytest.fixture(scope="module")
def same_rings(escnn):
    return list(of_the_same_rings(escnn))


def test_the_page_shows_what_is_printed(finite, continuous, same_rings):
    printed = [str(found) for found in (*finite, *continuous, *same_rings, *of_e3nn())]
    assert [row for row in PAGE.splitlines() if row.startswith(("| escnn,", "| e3nn Linear"))] == printed


def test_kernels_of_finite_groups_are_a_strict_subspace(finite):
    assert len(finite) == 12
    for found in finite:
        assert found.n_shared == found.n_theirs < found.n_ours
        assert found.outside < 1e-5


def test_kernels_of_continuous_groups_are_neither_inside_nor_far(continuous):
    for found in continuous:
        assert 0 < found.n_shared < found.n_theirs <= found.n_ours
        assert 0.1 < found.outside < 0.2


def test_with_the_same_rings_the_spaces_are_one(same_rings):
    for found in same_rings:
        assert found.n_shared == found.n_theirs == found.n_ours
        assert found.outside < 1e-5


def test_maps_of_e3nn_are_all_of_ours_unless_parities_are_left_aside():
    with_parity, without = of_e3nn()
    assert with_parity.n_shared == with_parity.n_theirs == with_parity.n_ours
    assert without.n_shared == without.n_theirs < without.n_ours


def test_relation_of_two_planes():
    """Closed form: planes that share a line and are turned about it by 30°."""
    ours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    theirs = torch.tensor([[2.0, 0, 0], [0, 3**0.5, 1]])
    found = relation("planes", ours, theirs)
    assert (found.n_ours, found.n_theirs, found.n_shared) == (2, 2, 1)
    assert found.outside == pytest.approx((0.25 / 2) ** 0.5)
    assert found.largest == pytest.approx(30)


def test_a_turned_field_type_is_not_in_ours(escnn):
    """The order of channels is part of what is compared."""
    space = escnn.gspaces.rot2dOnR2(4)
    image, field = (escnn.nn.FieldType(space, [rho]) for rho in (space.trivial_repr, space.regular_repr))
    right = compare_kernels(escnn, "", image, field, 3)
    turned = escnn.group.change_basis(space.regular_repr, torch.eye(4)[[1, 0, 2, 3]].double().numpy(), "swapped")
    swapped = compare_kernels(escnn, "", image, escnn.nn.FieldType(space, [turned]), 3)
    assert (right.n_shared, right.outside < 1e-6) == (swapped.n_shared, swapped.outside < 1e-6) == (6, True)
