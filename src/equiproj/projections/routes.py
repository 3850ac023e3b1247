"""Which computation serves which representations: orbits, plain averages, irreps, or sampled kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from equiproj.groups import FiniteGroup, Group, TranslationGroup
from equiproj.projections.averaging import GroupAverage
from equiproj.projections.orbits import OrbitAverage, orbit_labels
from equiproj.projections.row_blocks import RowBlocks
from equiproj.projections.sampling import Sampling
from equiproj.projections.spectral import SpectralProjection
from equiproj.representations import Representation, grid, trivial

Route = Literal["spatial", "spectral"] | Sampling
# A larger weight is projected field by field: one table of indices for all of it would take four times its memory.
N_ENTRIES_INDEXED = 2**16


@lru_cache(maxsize=128)
def weight_map(
    rho_rows: Representation,
    rho_columns: Representation,
    kernel_shape: tuple[int, ...],
    n_blocks: int,
    route: Route | None,
) -> Callable[[Tensor], Tensor]:
    """The projection as a map of flattened weights ``(..., rows * columns / n_blocks * pixels)``; cached.

    Args:
        rho_rows: representation on the first weight axis.
        rho_columns: representation on the second weight axis, all blocks together.
        kernel_shape: kernel sizes in pixels; empty for a matrix.
        n_blocks: number of equal diagonal blocks outside which the weight is zero.
        route: "spatial", "spectral", how to sample kernels, or None for the natural one of the group: sampled kernels
            where it does not map the pixels onto each other, "spatial" otherwise.

    Raises:
        ValueError: if groups differ, or the route is unknown or unavailable.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> weight_map(rho, rho, (), 1, "spectral")(torch.tensor([1.0, 2.0, 4.0, 5.0])).tolist()
        [3.0, 3.0, 3.0, 3.0]
    """
    group = rho_rows.group
    if rho_columns.group != group:
        raise ValueError(f"expected representations of one group, found {group} and {rho_columns.group}")
    if route not in (None, "spatial", "spectral") and not (kernel_shape and isinstance(route, Sampling)):
        raise ValueError(f"expected route 'spatial' or 'spectral', or for a kernel a Sampling, found {route!r}")
    if kernel_shape and isinstance(group, TranslationGroup):
        raise ValueError(
            f"expected a group of turns or mirrors for a kernel, found {group}: every convolution commutes with shifts"
        )
    if not isinstance(group, FiniteGroup) and route == "spatial":
        raise ValueError(f"expected a finite group on the spatial route, found {group}: take 'spectral'")
    sampled = bool(kernel_shape) and is_sampled(group, kernel_shape, route)
    if not isinstance(group, FiniteGroup) or route == "spectral" or sampled:
        sampling = (route if isinstance(route, Sampling) else Sampling()) if sampled else None
        spectral = SpectralProjection(rho_rows, rho_columns, kernel_shape, sampling)
        return _in_blocks(spectral, rho_rows, rho_columns, n_blocks)
    n_entries = rho_rows.dim * rho_columns.dim * math.prod(kernel_shape)
    if n_blocks == 1 and n_entries > N_ENTRIES_INDEXED and rho_rows.dim > rho_rows.terms[0][1].dim:
        fields = [(count, Representation(((1, summand),))) for count, summand in rho_rows.terms]
        return RowBlocks([(n, rho.dim, weight_map(rho, rho_columns, kernel_shape, 1, route)) for n, rho in fields])
    rho_pixels = grid(group, kernel_shape) if kernel_shape else trivial(group)
    orbits = _orbit_average(rho_rows, rho_columns, rho_pixels, n_blocks)
    if orbits is not None:
        return orbits
    average = GroupAverage(group, rho_rows, rho_columns, rho_pixels)
    return _in_blocks(average, rho_rows, rho_columns, n_blocks)


def is_sampled(group: Group, kernel_shape: tuple[int, ...], route: Route | None) -> bool:
    """Whether kernels are equivariant up to sampling alone, and not to rounding.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> [is_sampled(CyclicGroup(n), (3, 3), None) for n in (2, 4, 8)]
        [False, False, True]
    """
    if isinstance(route, Sampling) or not isinstance(group, FiniteGroup):
        return True
    return route is None and not group.keeps_grid(kernel_shape)


def _orbit_average(
    rho_rows: Representation, rho_columns: Representation, rho_pixels: Representation, n_blocks: int
) -> OrbitAverage | None:
    """Mean over the orbits of (row, column, pixel) inside the blocks; None unless all are permuted."""
    moves = []
    for g in rho_rows.group.generators:
        row_move, column_move, pixel_move = (r.permutation(g) for r in (rho_rows, rho_columns, rho_pixels))
        if row_move is None or column_move is None or pixel_move is None:
            return None
        moves.append((row_move, column_move, pixel_move))
    shape = (rho_rows.dim, rho_columns.dim, rho_pixels.dim)
    row, column, pixel = np.indices((shape[0], shape[1] // n_blocks, shape[2])).reshape(3, -1)
    column = column + row // (shape[0] // n_blocks) * (shape[1] // n_blocks)
    entry_of = np.full(shape, -1)
    entry_of[row, column, pixel] = np.arange(row.size)
    edges, leaving = [], []
    for row_move, column_move, pixel_move in moves:
        destination = entry_of[row_move[row], column_move[column], pixel_move[pixel]]
        stays = np.flatnonzero(destination >= 0)
        edges.append((stays, destination[stays]))
        leaving.append(np.flatnonzero(destination < 0))
    return OrbitAverage(orbit_labels(row.size, edges), np.concatenate(leaving))


class _BlockDiagonal:
    """Restricts a projection of full weights to block-diagonal ones, where the group keeps the blocks.

    Raises:
        ValueError: if a group element moves a diagonal block elsewhere.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> project = _BlockDiagonal(SpectralProjection(rho, rho, ()), rho, rho, 2)
        >>> project(torch.tensor([1.0, 3.0])).tolist()
        [2.0, 2.0]
    """

    def __init__(
        self,
        project: GroupAverage | SpectralProjection,
        rho_rows: Representation,
        rho_columns: Representation,
        n_blocks: int,
    ) -> None:
        for g in rho_rows.group.generators:
            rows, columns = _block_pattern(rho_rows(g), n_blocks), _block_pattern(rho_columns(g), n_blocks)
            # Block (i, i) reaches block (j, k) if row block i reaches j and column block i reaches k.
            reached = (rows.double() @ columns.double().T) > 0
            if bool(reached.fill_diagonal_(False).any()):
                raise ValueError(
                    f"expected representations that keep the {n_blocks} channel groups, "
                    f"found {rho_rows} and {rho_columns}"
                )
        self._project = project
        self._n_blocks = n_blocks

    def __call__(self, flat: Tensor) -> Tensor:
        """Project ``(..., rows * columns / n_blocks * pixels)``."""
        rows, columns, pixels = self._project.shape
        n = self._n_blocks
        blocks = flat.unflatten(-1, (n, rows // n, columns // n, pixels))
        full = torch.diag_embed(blocks.movedim(-4, -1), dim1=-5, dim2=-3)
        projected = self._project(full.flatten(-5)).reshape(full.shape)
        return torch.diagonal(projected, dim1=-5, dim2=-3).movedim(-1, -4).flatten(-4)


def _in_blocks(
    project: GroupAverage | SpectralProjection,
    rho_rows: Representation,
    rho_columns: Representation,
    n_blocks: int,
) -> Callable[[Tensor], Tensor]:
    return project if n_blocks == 1 else _BlockDiagonal(project, rho_rows, rho_columns, n_blocks)


def _block_pattern(matrix: Tensor, n_blocks: int) -> Tensor:
    """Which of the blocks of a matrix are not zero."""
    size = len(matrix) // n_blocks
    return matrix.reshape(n_blocks, size, n_blocks, size).abs().amax(dim=(1, 3)) > 1e-9
