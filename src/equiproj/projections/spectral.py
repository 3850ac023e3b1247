"""The Reynolds projection in a basis of irreps: blocks between irreps, averaged inside (section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.projections.sampling import Sampling
from equiproj.projections.steerable import sampled_kernels
from equiproj.representations import Representation, equivariant_maps, grid, isotypic_basis, tensor_product


@dataclass(frozen=True)
class _IrrepPair:
    """One pair of irreps: isometries onto their copies, and the kernels that intertwine them.

    Shapes: rows ``(c_out, m_out, d_out)``, columns ``(c_in, m_in, d_in)``, kernels ``(n, d_out, d_in, pixels)``.
    """

    rows: Tensor
    columns: Tensor
    kernels: Tensor

    def to(self, device: torch.device) -> _IrrepPair:
        """The same pair on a device."""
        return _IrrepPair(self.rows.to(device), self.columns.to(device), self.kernels.to(device))


def _irrep_pairs(
    rho_rows: Representation, rho_columns: Representation, kernel_shape: tuple[int, ...], sampling: Sampling | None
) -> Iterator[_IrrepPair]:
    """All pairs of irreps between which an equivariant map exists (equations 4.2 and 4.5).

    Args:
        rho_rows: representation on the first weight axis.
        rho_columns: representation on the second weight axis.
        kernel_shape: kernel sizes in pixels; empty for a matrix.
        sampling: of kernels that are sampled; None for those that the group moves pixel by pixel.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = 5 * regular(CyclicGroup(4))
        >>> [tuple(pair.kernels.shape) for pair in _irrep_pairs(rho, rho, (), None)]
        [(1, 1, 1, 1), (2, 2, 2, 1), (1, 1, 1, 1)]
    """
    for psi_rows, rows in isotypic_basis(rho_rows).items():
        for psi_columns, columns in isotypic_basis(rho_columns).items():
            kernels = _kernels(psi_columns, psi_rows, kernel_shape, sampling)
            if len(kernels):
                yield _IrrepPair(*(torch.from_numpy(np.array(a)) for a in (rows, columns, kernels)))


def _kernels(
    psi_in: Representation, psi_out: Representation, kernel_shape: tuple[int, ...], sampling: Sampling | None
) -> np.ndarray:
    """Orthonormal kernels ``(n, d_out, d_in, pixels)`` that intertwine two irreps."""
    if not kernel_shape:
        # Schur's lemma: different irreps have nothing in common.
        return equivariant_maps(psi_in, psi_out)[..., None] if psi_in == psi_out else np.empty((0, 0, 0, 1))
    if sampling is not None:
        return sampled_kernels(psi_in, psi_out, kernel_shape, sampling)
    pixels = grid(psi_in.group, kernel_shape)
    maps = equivariant_maps(tensor_product(psi_in, pixels), psi_out)
    return maps.reshape(len(maps), psi_out.dim, psi_in.dim, pixels.dim)


class SpectralProjection:
    """Coordinates in the orthonormal basis of equivariant maps, and back: P = Q Qᵀ (equations 4.3, 4.6).

    Computed in float64. The basis is never formed: it is the product of isometries and small kernels.

    Args:
        rho_rows: representation on the first weight axis.
        rho_columns: representation on the second weight axis.
        kernel_shape: kernel sizes in pixels; empty for a matrix.
        sampling: of kernels that are sampled.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> SpectralProjection(rho, rho, ())(torch.tensor([1.0, 2.0, 4.0, 5.0])).tolist()
        [3.0, 3.0, 3.0, 3.0]
    """

    def __init__(
        self,
        rho_rows: Representation,
        rho_columns: Representation,
        kernel_shape: tuple[int, ...],
        sampling: Sampling | None = None,
    ) -> None:
        self.shape = (rho_rows.dim, rho_columns.dim, int(np.prod(kernel_shape)))
        self._pairs = {torch.device("cpu"): tuple(_irrep_pairs(rho_rows, rho_columns, kernel_shape, sampling))}

    @property
    def dimension(self) -> int:
        """Number of basis kernels."""
        pairs = self._pairs[torch.device("cpu")]
        return sum(pair.rows.shape[1] * pair.columns.shape[1] * len(pair.kernels) for pair in pairs)

    def __call__(self, flat: Tensor) -> Tensor:
        """Project ``(..., rows * columns * pixels)``."""
        weight = flat.double().unflatten(-1, self.shape)
        total = torch.zeros_like(weight)
        for pair in self._on(flat.device):
            # Two factors at a time: with three, torch looks for the best order at every call, which costs as much.
            block = torch.einsum("...rcp,rxa->...xacp", weight, pair.rows)
            block = torch.einsum("...xacp,cyb->...xaybp", block, pair.columns)
            coordinates = torch.einsum("...xaybp,nabp->...nxy", block, pair.kernels)
            block = torch.einsum("...nxy,nabp->...xaybp", coordinates, pair.kernels)
            block = torch.einsum("...xaybp,cyb->...xacp", block, pair.columns)
            total = total + torch.einsum("...xacp,rxa->...rcp", block, pair.rows)
        return total.flatten(-3).to(flat.dtype)

    def _on(self, device: torch.device) -> tuple[_IrrepPair, ...]:
        if device not in self._pairs:
            self._pairs[device] = tuple(pair.to(device) for pair in self._pairs[torch.device("cpu")])
        return self._pairs[device]


def steerable_basis(
    rho_in: Representation,
    rho_out: Representation,
    kernel_shape: tuple[int, ...],
    sampling: Sampling | None = None,
) -> Float64[Tensor, "n_kernels c_out c_in ..."]:
    """Orthonormal basis Q of the equivariant kernels, P(w) = Q Qᵀ w (equations 4.6 and 4.10).

    For finite groups that map the pixels onto each other: all equivariant kernels. For others, for continuous groups,
    and wherever a sampling is given: circular or spherical harmonics times rings, sampled on the pixels, and
    equivariant up to that sampling (:func:`~equiproj.projections.turning_error`).

    Args:
        rho_in: representation on the input channels.
        rho_out: representation on the output channels.
        kernel_shape: kernel sizes in pixels.
        sampling: rings, frequencies and mask.

    Raises:
        ValueError: if the groups differ, or the kernel does not suit the group.

    Examples:
        >>> from equiproj.groups import SO2
        >>> from equiproj.representations import irrep, trivial
        >>> steerable_basis(trivial(SO2()), irrep(SO2(), 1), (5, 5)).shape
        torch.Size([4, 2, 1, 5, 5])
    """
    group = rho_in.group
    if group != rho_out.group:
        raise ValueError(f"expected representations of one group, found {group} and {rho_out.group}")
    if sampling is None and not (isinstance(group, FiniteGroup) and group.keeps_grid(kernel_shape)):
        sampling = Sampling()
    bases = [
        torch.einsum("rxa,cyb,nabp->xynrcp", pair.rows, pair.columns, pair.kernels).flatten(0, 2)
        for pair in _irrep_pairs(rho_out, rho_in, kernel_shape, sampling)
    ]
    empty = torch.empty((0, rho_out.dim, rho_in.dim, int(np.prod(kernel_shape))), dtype=torch.float64)
    return torch.cat([empty, *bases]).unflatten(-1, kernel_shape)
