"""The Reynolds projection as a plain mean over a finite group, for representations that do more than permute."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.representations import Representation, act


class GroupAverage:
    """Mean over g of ρ_rows(g) (g·W) ρ_columns(g)ᵀ (equation 3.5), computed in float64.

    Holds both matrices of every group element, |G| (rows² + columns²) numbers.

    Args:
        group: the group that is averaged over.
        rho_rows: representation on the first weight axis.
        rho_columns: representation on the second weight axis.
        rho_pixels: permutation representation on the kernel pixels, trivial for a matrix.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import standard, trivial
        >>> group = CyclicGroup(4)
        >>> average = GroupAverage(group, standard(group), standard(group), trivial(group))
        >>> average(torch.tensor([1.0, 2.0, 4.0, 3.0])).tolist()
        [2.0, -1.0, 1.0, 2.0]
    """

    def __init__(
        self,
        group: FiniteGroup,
        rho_rows: Representation,
        rho_columns: Representation,
        rho_pixels: Representation,
    ) -> None:
        self.shape = (rho_rows.dim, rho_columns.dim, rho_pixels.dim)
        # Moving the pixel numbers themselves tells which pixel g⁻¹p to take for every p.
        pixels = np.stack([act(rho_pixels, g, np.arange(rho_pixels.dim)) for g in group.elements])
        cpu = torch.device("cpu")
        rows = torch.stack([rho_rows(g) for g in group.elements])
        columns = torch.stack([rho_columns(g) for g in group.elements])
        self._tables = {cpu: (rows, columns, torch.from_numpy(pixels))}

    def __call__(self, flat: Tensor) -> Tensor:
        """Average ``(..., rows * columns * pixels)``."""
        rows, columns, pixels = self._on(flat.device)
        weight = flat.double().unflatten(-1, self.shape)
        total = torch.zeros_like(weight)
        for row, column, pixel in zip(rows, columns, pixels, strict=True):
            total = total + torch.einsum("ij,...jkp,lk->...ilp", row, weight[..., pixel], column)
        return (total / len(rows)).flatten(-3).to(flat.dtype)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        if device not in self._tables:
            rows, columns, pixels = self._tables[torch.device("cpu")]
            self._tables[device] = (rows.to(device), columns.to(device), pixels.to(device))
        return self._tables[device]
