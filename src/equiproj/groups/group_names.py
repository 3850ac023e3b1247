"""Groups as they are given: themselves, or finite ones of turns and mirror images of the plane by their names."""

from __future__ import annotations

import re
from functools import reduce

from equiproj.groups.discrete import DirectProduct
from equiproj.groups.group import FiniteGroup, Group
from equiproj.groups.planar import CyclicGroup, DihedralGroup

_FACTOR = re.compile(r"([CD])([1-9]\d*)")


def given_group(group: Group | str) -> Group:
    """The group that a caller gave, by itself or by its name.

    Raises:
        ValueError: it is neither, such as the class of a group.

    Example:
        >>> given_group("C4"), given_group(CyclicGroup(4))
        (CyclicGroup(4), CyclicGroup(4))
    """
    if isinstance(group, str):
        return parse_group(group)
    if not isinstance(group, Group):
        raise ValueError(f"expected a group, such as CyclicGroup(4), or its name, such as 'C4'; found {group!r}")
    return group


def parse_group(name: str) -> FiniteGroup:
    """Read the name of a group: `C<n>` (n turns), `D<n>` (and as many mirror images), or a product such as `C2 x D1`.

    Raises:
        ValueError: it is not such a name.

    Example:
        >>> parse_group("D4"), parse_group("C2 x D1")
        (DihedralGroup(4), DirectProduct(CyclicGroup(2), DihedralGroup(1)))
    """
    factors = [_FACTOR.fullmatch(factor.strip()) for factor in name.split("x")]
    if None in factors:
        raise ValueError(f"expected a group C<n>, D<n> or a product of such as 'C2 x D1', found {name!r}")
    named = {"C": CyclicGroup, "D": DihedralGroup}
    groups: list[FiniteGroup] = [named[found[1]](int(found[2])) for found in factors if found]
    return reduce(DirectProduct, groups)
