"""Facts about groups: elements, products, generators, their action on space and on grids."""

from equiproj.groups.group import FiniteGroup, Group
from equiproj.groups.planar import CyclicGroup, DihedralGroup

__all__ = ["CyclicGroup", "DihedralGroup", "FiniteGroup", "Group"]
