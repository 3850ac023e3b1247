"""Groups by their names, products that act on images, and what is no group."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from equiproj.groups import CubeGroup, CyclicGroup, DihedralGroup, DirectProduct, FiniteGroup, parse_group
from equiproj.representations.action import act
from equiproj.testing import assert_group


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("C4", CyclicGroup(4)),
        ("D1", DihedralGroup(1)),
        ("C2 x D1", DirectProduct(CyclicGroup(2), DihedralGroup(1))),
        ("C2xC2xD1", DirectProduct(DirectProduct(CyclicGroup(2), CyclicGroup(2)), DihedralGroup(1))),
    ],
)
def test_names(name, group):
    assert parse_group(name) == group


@pytest.mark.parametrize("name", ["", "C0", "E4", "C", "c4", "C4 x", "C04", "C4 + C2"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=r"expected a group C<n>, D<n> or a product"):
        parse_group(name)


def test_a_product_moves_images_by_both_factors():
    """C_2 × D_1 is the dihedral group of two turns, in the same order of elements but for the factors."""
    image = torch.arange(24.0).reshape(1, 1, 4, 6)
    group = parse_group("C2 x D1")
    for turns, mirrored in group.elements:
        expected = torch.rot90(image.flip(-1) if mirrored else image, 2 * turns, (-2, -1))
        assert torch.equal(act(image, (turns, mirrored), group), expected)
    assert_group(group, n_axes=2)


def test_factors_that_do_not_commute_do_not_act():
    with pytest.raises(ValueError, match="expected factors whose movements of space commute"):
        parse_group("C4 x D1").spatial_matrix((0, 0), 2)


@pytest.mark.parametrize("group", [CyclicGroup(6), DihedralGroup(3), parse_group("D4 x C2")], ids=str)
def test_planar_groups_are_groups_that_act(group):
    assert_group(group, n_axes=2)


def test_spatial_groups():
    assert_group(CubeGroup(), n_axes=3)


@dataclass(frozen=True)
class Broken(CyclicGroup):
    """C_4 with one law broken."""

    law: str = ""

    def multiply(self, a, b):
        if self.law == "closed" and a and b:
            return 7
        return (a - b) % 4 if self.law == "associative" and a and b and a != b else super().multiply(a, b)

    def inverse(self, a):
        return a if self.law == "inverse" else super().inverse(a)

    def spatial_matrix(self, g, n_axes):
        return np.eye(2) * (2.0 if self.law == "orthogonal" else -1.0)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("inverse", "g⁻¹g = 1"),
        ("closed", "is an element|g⁻¹g = 1"),
        ("associative", r"\(sg\)k = s\(gk\)|g⁻¹g = 1"),
        ("orthogonal", r"M\(g\) is orthogonal"),
        ("homomorphism", r"M\(sg\) = M\(s\)M\(g\)"),
    ],
)
def test_a_broken_law_is_named(law, message):
    broken: FiniteGroup = Broken(4, law)
    with pytest.raises(AssertionError, match=message):
        assert_group(broken, n_axes=2)
