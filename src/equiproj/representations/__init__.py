"""Representations of groups as values: they add, multiply, print and evaluate to orthogonal matrices."""

from equiproj.representations.basis_change import in_basis
from equiproj.representations.combining import direct_sum, from_matrices, standard, tensor_product
from equiproj.representations.decomposition import (
    act,
    band_limit,
    character,
    equivariant_maps,
    isotypic_basis,
)
from equiproj.representations.harmonics import circular_harmonics, spherical_harmonics, wigner_matrix
from equiproj.representations.irreps import irrep, irreps
from equiproj.representations.permuting import grid, quotient, regular, trivial
from equiproj.representations.representation import Representation

__all__ = [
    "Representation",
    "act",
    "band_limit",
    "character",
    "circular_harmonics",
    "direct_sum",
    "equivariant_maps",
    "from_matrices",
    "grid",
    "in_basis",
    "irrep",
    "irreps",
    "isotypic_basis",
    "quotient",
    "regular",
    "spherical_harmonics",
    "standard",
    "tensor_product",
    "trivial",
    "wigner_matrix",
]
