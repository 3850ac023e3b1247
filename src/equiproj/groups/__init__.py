"""Facts about groups: elements, products, generators, their action on space and on grids."""

from equiproj.groups.continuous import O2, O3, SO2, SO3
from equiproj.groups.discrete import CubeGroup, DirectProduct, QuaternionGroup, SquarePrismGroup
from equiproj.groups.group import FiniteGroup, Group
from equiproj.groups.group_names import given_group, parse_group
from equiproj.groups.permutations import SymmetricGroup, TranslationGroup
from equiproj.groups.planar import CyclicGroup, DihedralGroup
from equiproj.groups.subgroups import is_subgroup

__all__ = [
    "O2",
    "O3",
    "SO2",
    "SO3",
    "CubeGroup",
    "CyclicGroup",
    "DihedralGroup",
    "DirectProduct",
    "FiniteGroup",
    "Group",
    "QuaternionGroup",
    "SquarePrismGroup",
    "SymmetricGroup",
    "TranslationGroup",
    "given_group",
    "is_subgroup",
    "parse_group",
]
