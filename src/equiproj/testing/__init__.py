"""Theorems as public asserts, dense oracles, and the comparison of the two routes."""

from equiproj.testing.asserts import (
    assert_equivariant,
    assert_is_projection,
    assert_is_representation,
    assert_orthogonal,
)
from equiproj.testing.axioms import assert_group, assert_norm
from equiproj.testing.moves import full_weight, move_field, move_weight
from equiproj.testing.quadrature import haar_quadrature

__all__ = [
    "assert_equivariant",
    "assert_group",
    "assert_is_projection",
    "assert_is_representation",
    "assert_norm",
    "assert_orthogonal",
    "full_weight",
    "haar_quadrature",
    "move_field",
    "move_weight",
]
