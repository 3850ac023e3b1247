"""How many free numbers an equivariant weight has."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from equiproj.projections.orbits import OrbitAverage
from equiproj.projections.projectors import ConvProjector, LinearProjector
from equiproj.projections.row_blocks import RowBlocks
from equiproj.projections.scales import ScaleProjector
from equiproj.projections.spectral import SpectralProjection

_N_AT_ONCE = 2**22  # entries of the unit vectors that are projected together


def equivariant_dimension(projector: LinearProjector | ConvProjector | ScaleProjector) -> int:
    """Dimension of the equivariant weights, the trace of P.

    The number of orbits where entries are permuted, of basis kernels on the spectral route; elsewhere the trace itself,
    one projection for each entry of a weight.

    Args:
        projector: any.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(4))
        >>> equivariant_dimension(LinearProjector(rho, rho)), equivariant_dimension(ConvProjector(rho, rho, (3, 3)))
        (4, 36)
    """
    return _dimension(projector.flat_map, math.prod(projector.weight_shape))


def _dimension(project: Callable[[Tensor], Tensor], n_entries: int) -> int:
    if isinstance(project, OrbitAverage):
        return project.n_orbits
    if isinstance(project, SpectralProjection):
        return project.dimension
    if isinstance(project, RowBlocks):
        n_columns = n_entries // sum(count * n_rows for count, n_rows, _ in project.terms)
        return sum(count * _dimension(inner, n_rows * n_columns) for count, n_rows, inner in project.terms)
    trace = 0.0
    for rows in torch.arange(n_entries).split(max(1, _N_AT_ONCE // n_entries)):
        units = torch.zeros(len(rows), n_entries, dtype=torch.float64)
        units[torch.arange(len(rows)), rows] = 1.0
        trace += float(project(units)[torch.arange(len(rows)), rows].sum())
    return round(trace)
