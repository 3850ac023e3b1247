"""Equivariant maps between representations, and the change of basis to irreps (section 2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from equiproj.groups import FiniteGroup, Group
from equiproj.groups.group import Element
from equiproj.representations.basis_change import BasisChangeSummand
from equiproj.representations.combining import StandardSummand, TensorSummand
from equiproj.representations.irreps import IrrepSummand, irreps
from equiproj.representations.permuting import TrivialSummand
from equiproj.representations.representation import Representation, Summand

_NULL_SPACE = 1e-9  # relative size of a singular value that counts as zero


def act(rho: Representation, g: Element, vectors: np.ndarray) -> np.ndarray:
    """ρ(g) applied to the first axis of an array.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> act(regular(CyclicGroup(3)), 1, np.array([5, 6, 7])).tolist()
        [7, 5, 6]
    """
    destination = rho.permutation(g)
    if destination is None:
        return np.tensordot(rho(g).numpy(), vectors, axes=1)
    moved = np.empty_like(vectors)
    moved[destination] = vectors
    return moved


def character(rho: Representation, g: Element) -> float:
    """Trace of ρ(g).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> [character(regular(CyclicGroup(3)), g) for g in range(3)]
        [3.0, 0.0, 0.0]
    """
    destination = rho.permutation(g)
    if destination is None:
        return float(rho(g).trace())
    return float((destination == np.arange(rho.dim)).sum())


@lru_cache(maxsize=512)
def equivariant_maps(rho_in: Representation, rho_out: Representation) -> np.ndarray:
    """Orthonormal basis (Frobenius) of all T with ρ_out(g) T = T ρ_in(g).

    Finite groups: averages of random matrices, as many as the characters say there are (equation 2.8).
    Continuous groups: the null space of that equation for generators of a dense subgroup.

    Returns:
        Array ``(n_maps, dim_out, dim_in)``.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> equivariant_maps(regular(CyclicGroup(3)), regular(CyclicGroup(3))).shape
        (3, 3, 3)
    """
    if isinstance(rho_in.group, FiniteGroup):
        maps = _averaged_maps(rho_in.group, rho_in, rho_out)
    else:
        maps = _null_space(rho_in, rho_out)
    maps.setflags(write=False)
    return maps


def _averaged_maps(group: FiniteGroup, rho_in: Representation, rho_out: Representation) -> np.ndarray:
    n_maps = round(sum(character(rho_in, g) * character(rho_out, g) for g in group.elements) / group.order)
    maps = np.random.default_rng(0).standard_normal((rho_out.dim, rho_in.dim, n_maps))
    if not n_maps:
        return maps.transpose(2, 0, 1)
    for _ in range(2):  # the second pass removes what the first magnified of rounding errors
        average = np.zeros_like(maps)
        for g in group.elements:
            average += act(rho_out, g, act(rho_in, g, maps.swapaxes(0, 1)).swapaxes(0, 1))
        maps = np.linalg.qr(average.reshape(-1, n_maps))[0].reshape(average.shape)
    return np.ascontiguousarray(maps.transpose(2, 0, 1))


def _null_space(rho_in: Representation, rho_out: Representation) -> np.ndarray:
    size = (rho_out.dim, rho_in.dim)
    rows = [
        np.kron(rho_out(g).numpy(), np.eye(size[1])) - np.kron(np.eye(size[0]), rho_in(g).numpy().T)
        for g in rho_in.group.generators
    ]
    _, singular, right = np.linalg.svd(np.concatenate(rows))
    n_maps = int((singular < _NULL_SPACE * max(singular[0], 1.0)).sum())
    return right[len(right) - n_maps :].reshape(n_maps, *size)


@lru_cache(maxsize=512)
def isotypic_basis(rho: Representation) -> Mapping[Representation, np.ndarray]:
    """Orthonormal bases in which ρ is a direct sum of irreps: ρ(g) T_p = T_p ψ(g), T_pᵀ T_q = δ_pq.

    Returns:
        For every irrep ψ in ρ an array ``(dim, multiplicity, d)`` whose ``[:, p, :]`` is T_p.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> {str(psi): basis.shape for psi, basis in isotypic_basis(2 * regular(CyclicGroup(3))).items()}
        {'trivial of CyclicGroup(3)': (6, 2, 1), 'irrep(1) of CyclicGroup(3)': (6, 2, 2)}
    """
    parts: dict[Representation, list[np.ndarray]] = {}
    offset = 0
    for summand in rho.summands:
        for psi, basis in _summand_basis(summand).items():
            embedded = np.zeros((rho.dim, *basis.shape[1:]))
            embedded[offset : offset + summand.dim] = basis
            parts.setdefault(psi, []).append(embedded)
        offset += summand.dim
    return MappingProxyType({psi: np.concatenate(bases, axis=1) for psi, bases in parts.items()})


@lru_cache(maxsize=512)
def _summand_basis(summand: Summand) -> dict[Representation, np.ndarray]:
    rho = Representation(((1, summand),))
    if isinstance(summand, IrrepSummand | TrivialSummand):
        return {rho: np.eye(rho.dim)[:, None, :]}
    if isinstance(summand, BasisChangeSummand):
        inner = isotypic_basis(summand.inner)
        return {psi: np.tensordot(summand.basis, basis, axes=1) for psi, basis in inner.items()}
    bases = {psi: _isometries(equivariant_maps(psi, rho), psi) for psi in _candidates(summand.group, summand)}
    found = {psi: basis for psi, basis in bases.items() if basis.shape[1]}
    dim = sum(basis.shape[1] * psi.dim for psi, basis in found.items())
    if dim != rho.dim:
        raise ValueError(f"expected irreps that fill all {rho.dim} dimensions of {rho}, found {dim}")
    return found


def _candidates(group: Group, summand: Summand) -> tuple[Representation, ...]:
    if isinstance(group, FiniteGroup):
        return irreps(group)
    return irreps(group, band_limit(Representation(((1, summand),))))


def _isometries(maps: np.ndarray, psi: Representation) -> np.ndarray:
    """Mutually orthogonal isometries that span the same copies of ψ as these orthonormal maps.

    T_pᵀ T_q commutes with ψ, so subtracting T_p (T_pᵀ B) removes from B all that the commutant of ψ makes of T_p:
    this is Gram–Schmidt over the real numbers, the complex ones or the quaternions, whichever ψ needs.
    """
    left = maps.copy()
    chosen: list[np.ndarray] = []
    copies = round(len(maps) / len(equivariant_maps(psi, psi)))
    for _ in range(copies):
        pivot = left[np.argmax(np.einsum("nij,nij->n", left, left))]
        for known in chosen:  # once more, against rounding
            pivot = pivot - known @ (known.T @ pivot)
        isometry = pivot * np.sqrt(psi.dim) / np.linalg.norm(pivot)
        left = left - isometry @ (isometry.T @ left)
        chosen.append(isometry)
    return np.stack(chosen, axis=1) if chosen else np.empty((maps.shape[1], 0, psi.dim))


def band_limit(rho: Representation) -> int:
    """Largest frequency or degree in a representation of a continuous group.

    Examples:
        >>> from equiproj.groups import SO3
        >>> from equiproj.representations import irrep, standard, tensor_product
        >>> band_limit(tensor_product(irrep(SO3(), 2), standard(SO3())))
        3
    """
    limits = [0]
    for _, summand in rho.terms:
        match summand:
            case IrrepSummand(_, label):
                limits.append(label[0] if isinstance(label, tuple) else int(str(label)))
            case StandardSummand():
                limits.append(1)
            case BasisChangeSummand(inner, _):
                limits.append(band_limit(inner))
            case TensorSummand(first, second):
                limits.append(band_limit(first) + band_limit(second))
    return max(limits)
