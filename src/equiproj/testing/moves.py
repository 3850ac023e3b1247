"""How group elements move fields and weights, written densely and independently of the projections."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from equiproj.groups import O2, O3, SO2, SO3, CubeGroup, FiniteGroup, Group
from equiproj.groups.grids import moved_pixels
from equiproj.groups.group import Element
from equiproj.representations import Representation


def move_field(field: Tensor, rho: Representation, g: Element) -> Tensor:
    """(g·f)(x) = ρ(g) f(g⁻¹x) on ``(batch, channels, *image)``; ρ(g) f on ``(batch, channels)`` (equation 1.2).

    Raises:
        ValueError: if ``g`` does not map the pixels onto each other.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> bool((move_field(image, trivial(CyclicGroup(4)), 1) == torch.rot90(image, dims=(-2, -1))).all())
        True
    """
    mixed = torch.einsum("ij,bj...->bi...", rho(g).to(field), field)
    return _move_pixels(mixed, rho.group, g, 2)


def move_weight(weight: Tensor, rho_rows: Representation, rho_columns: Representation, g: Element) -> Tensor:
    """(g·W)(x) = ρ_rows(g) W(g⁻¹x) ρ_columns(g)⁻¹ on ``(rows, columns, *kernel)`` (equation 1.4).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> rho = regular(CyclicGroup(2))
        >>> move_weight(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), rho, rho, 1).tolist()
        [[4.0, 3.0], [2.0, 1.0]]
    """
    rows, columns = rho_rows(g).to(weight), rho_columns(g).to(weight)
    return _move_pixels(torch.einsum("ij,jk...,lk->il...", rows, weight, columns), rho_rows.group, g, 2)


def full_weight(weight: Tensor, n_blocks: int) -> Tensor:
    """Write the blocks of a grouped convolution ``(rows, columns / n_blocks, *kernel)`` into a full weight.

    Examples:
        >>> full_weight(torch.tensor([[1.0], [2.0]]), 2).tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """
    blocks = weight.chunk(n_blocks)
    n_columns = weight.shape[1]
    full = weight.new_zeros((weight.shape[0], n_blocks * n_columns, *weight.shape[2:]))
    for position, block in enumerate(blocks):
        rows = slice(position * len(block), (position + 1) * len(block))
        full[rows, position * n_columns : (position + 1) * n_columns] = block
    return full


def grid_elements(group: Group) -> list[Element]:
    """The elements that map every square (or cubic) grid onto itself.

    Raises:
        ValueError: if the group does not turn grids.

    Examples:
        >>> [round(angle, 2) for angle in grid_elements(SO2())]
        [0.0, 1.57, 3.14, 4.71]
    """
    quarters = (np.pi / 2 * np.arange(4)).tolist()
    match group:
        case SO2():
            return quarters
        case O2():
            return [(angle, mirrored) for angle in quarters for mirrored in (False, True)]
        case SO3():
            return [np.array(g, dtype=np.float64) for g in CubeGroup().elements]
        case O3():
            return [sign * np.array(g, dtype=np.float64) for g in CubeGroup().elements for sign in (1, -1)]
        case FiniteGroup():
            square = (3,) * (group.standard_axes or 2)
            matrices = {g: group.spatial_matrix(g, len(square)) for g in group.elements}
            return [g for g, matrix in matrices.items() if moved_pixels(matrix, square) is not None]
    raise ValueError(f"expected a group that turns grids, found {group}")


def _move_pixels(tensor: Tensor, group: Group, g: Element, first_axis: int) -> Tensor:
    """T(g⁻¹x) on the axes from ``first_axis`` on."""
    shape = tuple(tensor.shape[first_axis:])
    if not shape:
        return tensor
    if isinstance(group, FiniteGroup):
        destination = group.grid_permutation(g, shape)
    else:
        found = moved_pixels(group.spatial_matrix(g, len(shape)), shape)
        if found is None:
            raise ValueError(f"expected an element of {group} that maps a {shape} grid onto itself, found {g}")
        destination = found
    moved = torch.empty_like(tensor.flatten(first_axis))
    moved[..., torch.from_numpy(destination)] = tensor.flatten(first_axis)
    return moved.reshape(tensor.shape)
