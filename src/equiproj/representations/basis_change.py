"""A representation written in another orthonormal basis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from equiproj.groups import Group
from equiproj.groups.group import Element
from equiproj.representations.representation import Representation, Summand, check_orthogonal

_SAME = 1e-12


@dataclass(frozen=True)
class BasisChangeSummand(Summand):
    """Q ρ(g) Qᵀ; Q is kept as bytes so that equal ones compare equal."""

    inner: Representation
    data: bytes

    @property
    def group(self) -> Group:  # type: ignore[override]
        """The group that is represented."""
        return self.inner.group

    @property
    def dim(self) -> int:
        """Dimension of the space it acts on."""
        return self.inner.dim

    @property
    def basis(self) -> np.ndarray:
        """Q; its columns are the basis vectors of the inner representation."""
        return np.frombuffer(self.data).reshape(self.dim, self.dim)

    def __str__(self) -> str:
        return f"({self.inner.summary} in another basis)"

    def matrix(self, g: Element) -> np.ndarray:
        """Orthogonal matrix of ``g``."""
        return self.basis @ self.inner(g).numpy() @ self.basis.T


def in_basis(rho: Representation, basis: Float[np.ndarray, "dim dim"]) -> Representation:
    """The same representation on other coordinates, Q ρ(g) Qᵀ; ρ itself where Q is the unit matrix.

    Args:
        rho: any representation.
        basis: Q, orthogonal: column j holds the new coordinates of the old basis vector j.

    Raises:
        ValueError: Q has another size, or is not orthogonal.

    Examples:
        >>> from equiproj.groups import SO2
        >>> from equiproj.representations import irrep
        >>> swapped = in_basis(irrep(SO2(), 1), np.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> swapped, bool((swapped(0.5) == irrep(SO2(), 1)(-0.5)).all())
        ((irrep(1) in another basis) of SO2(), True)
    """
    matrix = np.ascontiguousarray(basis, dtype=np.float64)
    if matrix.shape != (rho.dim, rho.dim):
        raise ValueError(f"expected a basis of shape {(rho.dim, rho.dim)} for {rho}, found {matrix.shape}")
    check_orthogonal(matrix, "Q")
    if np.abs(matrix - np.eye(rho.dim)).max() < _SAME:
        return rho
    return Representation(((1, BasisChangeSummand(rho, matrix.tobytes())),))
