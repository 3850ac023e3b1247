"""Our representation of a field type is escnn's, matrix by matrix, whatever the field type."""

import numpy as np
import pytest
import torch

from equiproj.bridges import from_escnn
from equiproj.groups import O2, SO2, CyclicGroup, DihedralGroup
from equiproj.representations import irrep, isotypic_basis, regular, trivial

ANGLES = (0.0, 0.7, 2.4, 5.9)


def pairs(space, ours):
    """Elements of our group beside the elements of escnn's that move the plane in the same way."""
    theirs = space.fibergroup
    if theirs.order() > 0:
        candidates = theirs.elements
    elif isinstance(ours, SO2):
        candidates = [theirs.element(angle, "radians") for angle in ANGLES]
    else:
        candidates = [theirs.element((flip, angle), "radians") for flip in (0, 1) for angle in ANGLES]
    for g in candidates:
        move = np.asarray(space.basespace_action(g))
        mirrored = np.linalg.det(move) < 0
        turn = move @ np.diag([-1.0, 1.0]) if mirrored else move
        angle = float(np.arctan2(turn[1, 0], turn[0, 0])) % (2 * np.pi)
        if isinstance(ours, SO2):
            yield angle, g
        elif isinstance(ours, O2):
            yield (angle, bool(mirrored)), g
        else:
            k = round(angle * ours.n_turns / (2 * np.pi)) % ours.n_turns
            yield k + ours.n_turns * int(mirrored), g


def assert_same_matrices(field_type, group):
    rho = from_escnn(field_type)
    assert rho.group == group
    assert rho.dim == field_type.size
    found = list(pairs(field_type.gspace, group))
    assert len({str(ours) for ours, _ in found}) == len(found)
    for ours, theirs in found:
        wanted = field_type.fiber_representation(theirs).double()
        torch.testing.assert_close(rho(ours), wanted, atol=1e-7, rtol=0)
    return rho


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 8])
def test_cyclic_groups(escnn, n):
    space = escnn.gspaces.rot2dOnR2(n)
    fields = [space.trivial_repr, space.regular_repr, space.regular_repr, *space.irreps, space.regular_repr]
    rho = assert_same_matrices(escnn.nn.FieldType(space, fields), CyclicGroup(n))
    # what has a name here gets it, so that pointwise functions and the fast route know it
    assert rho.terms[0][1] == trivial(CyclicGroup(n)).terms[0][1]
    if n > 1:
        assert rho.terms[1] == (2, regular(CyclicGroup(n)).terms[0][1])
    assert "matrices" not in str(rho)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_dihedral_groups(escnn, n):
    space = escnn.gspaces.flipRot2dOnR2(n)
    fields = [space.regular_repr, *space.irreps, space.trivial_repr, space.regular_repr]
    assert_same_matrices(escnn.nn.FieldType(space, fields), DihedralGroup(n))


@pytest.mark.parametrize("subgroup", [(None, 2), (0, 1), (1, 1), (0, 2), (None, 4)])
def test_quotients_permute(escnn, subgroup):
    space = escnn.gspaces.flipRot2dOnR2(4)
    quotient = space.quotient_repr(subgroup)
    rho = assert_same_matrices(escnn.nn.FieldType(space, [quotient, quotient]), DihedralGroup(4))
    assert all(rho.permutation(g) is not None for g in rho.group.elements)


def test_a_quotient_of_a_cyclic_group_has_its_name(escnn):
    space = escnn.gspaces.rot2dOnR2(8)
    rho = assert_same_matrices(escnn.nn.FieldType(space, [space.quotient_repr(2)]), CyclicGroup(8))
    assert str(rho) == "quotient by 2 elements of CyclicGroup(8)"


def test_induced_and_restricted_representations_and_tensor_products(escnn):
    space = escnn.gspaces.flipRot2dOnR2(4)
    turns, _, _ = space.fibergroup.subgroup((None, 4))
    induced = space.induced_repr((None, 4), turns.irrep(1))
    product = space.irrep(1, 1).tensor(space.irrep(1, 1))
    assert_same_matrices(escnn.nn.FieldType(space, [induced, product]), DihedralGroup(4))
    restricted = escnn.nn.FieldType(space, [space.regular_repr, induced]).restrict((None, 2))
    assert_same_matrices(restricted, CyclicGroup(2))


def rotated(escnn, representation, name, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((representation.size, representation.size)))[0]
    return escnn.group.change_basis(representation, basis, name)


@pytest.mark.parametrize("frequencies", [(0,), (1,), (3, 0, 1, 1), (2, 5)])
def test_turns_of_the_plane(escnn, frequencies):
    space = escnn.gspaces.rot2dOnR2(-1, maximum_frequency=6)
    fields = [space.irrep(m) for m in frequencies]
    rho = assert_same_matrices(escnn.nn.FieldType(space, fields), SO2())
    assert rho == sum((irrep(SO2(), m) for m in frequencies[1:]), irrep(SO2(), frequencies[0]))
    mixed = rotated(escnn, space.irrep(1) + space.irrep(2) + space.trivial_repr, f"mixed {frequencies}")
    assert_isotypic(assert_same_matrices(escnn.nn.FieldType(space, [*fields, mixed, mixed]), SO2()))


@pytest.mark.parametrize("axis", [np.pi / 2, 0.0, 0.3])
def test_turns_and_mirror_images_of_the_plane(escnn, axis):
    space = escnn.gspaces.flipRot2dOnR2(-1, maximum_frequency=4, axis=axis)
    fields = [space.trivial_repr, space.irrep(1, 0), space.irrep(1, 1), space.irrep(1, 2), space.irrep(1, 3)]
    assert_same_matrices(escnn.nn.FieldType(space, fields), O2())
    mixed = rotated(escnn, space.irrep(1, 1) + space.irrep(1, 0) + space.irrep(1, 2), f"mixed {axis}")
    assert_isotypic(assert_same_matrices(escnn.nn.FieldType(space, [mixed]), O2()))


def assert_isotypic(rho):
    """The bases in which it falls into irreps are those of the field type's coordinates."""
    for g in rho.group.sample(2, torch.Generator().manual_seed(0)):
        for psi, basis in isotypic_basis(rho).items():
            for copy in basis.swapaxes(0, 1):
                np.testing.assert_allclose(rho(g).numpy() @ copy, copy @ psi(g).numpy(), atol=1e-9)


@pytest.mark.parametrize("axis", [np.pi / 2, 0.0, np.pi / 4])
def test_mirror_axes_that_the_group_turns_into_each_other(escnn, axis):
    space = escnn.gspaces.flipRot2dOnR2(4, axis=axis)
    assert_same_matrices(escnn.nn.FieldType(space, [space.regular_repr, *space.irreps]), DihedralGroup(4))


def test_mirror_images_alone(escnn):
    space = escnn.gspaces.flip2dOnR2()
    assert_same_matrices(escnn.nn.FieldType(space, [space.regular_repr, *space.irreps]), DihedralGroup(1))
    assert_same_matrices(
        escnn.nn.FieldType(escnn.gspaces.trivialOnR2(), 3 * [escnn.gspaces.trivialOnR2().trivial_repr]), CyclicGroup(1)
    )


@pytest.mark.parametrize("name", ["cyclic_group", "dihedral_group"])
def test_features_without_a_plane(escnn, name):
    theirs = getattr(escnn.group, name)(4)
    space = escnn.gspaces.no_base_space(theirs)
    rho = from_escnn(escnn.nn.FieldType(space, [space.regular_repr, *space.irreps]))
    for g, matrix in zip(rho.group.elements, [theirs.regular_representation(e) for e in theirs.elements], strict=True):
        np.testing.assert_allclose(rho(g).numpy()[: theirs.order(), : theirs.order()], matrix, atol=1e-9)


def test_other_axes_other_spaces_and_skew_bases_are_refused(escnn):
    tilted = escnn.gspaces.flipRot2dOnR2(4, axis=0.3)
    with pytest.raises(ValueError, match="expected mirror axes at multiples of 45° from the y axis"):
        from_escnn(escnn.nn.FieldType(tilted, [tilted.trivial_repr]))
    product = escnn.group.direct_product(escnn.group.cyclic_group(2), escnn.group.cyclic_group(3))
    space = escnn.gspaces.no_base_space(product)
    with pytest.raises(ValueError, match=r"expected a field type on rot2dOnR2.*found"):
        from_escnn(escnn.nn.FieldType(space, [space.trivial_repr]))
    for space in (escnn.gspaces.rot2dOnR2(3), escnn.gspaces.rot2dOnR2(-1)):
        skew = escnn.group.change_basis(space.irrep(1), np.array([[1.0, 0.5], [0.0, 1.0]]), "skew")
        with pytest.raises(ValueError, match=r"escnn representation 'skew': expected .*orthogonal"):
            from_escnn(escnn.nn.FieldType(space, [skew]))
