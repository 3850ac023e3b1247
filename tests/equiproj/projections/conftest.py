import numpy as np
import pytest
import torch

from equiproj.groups import CubeGroup, CyclicGroup, DihedralGroup

# From (x, y, z) to array axes (depth, row, column): x runs along columns, y against rows, z along depth.
TO_ARRAY = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]])


def turn_kernel(group, g, kernel):
    """g·W with torch.rot90, flip and permute alone: nothing of the library's own grids."""
    match group:
        case CyclicGroup(1):
            return kernel
        case CyclicGroup(2) if kernel.ndim == 3:
            return kernel.flip(-1) if g else kernel
        case CyclicGroup(2):
            return torch.rot90(kernel, 2 * g, dims=(-2, -1))
        case CyclicGroup(4):
            return torch.rot90(kernel, g, dims=(-2, -1))
        case DihedralGroup(1):
            return kernel.flip(-1) if g else kernel
        case DihedralGroup(4):
            return torch.rot90(kernel.flip(-1) if g >= 4 else kernel, g % 4, dims=(-2, -1))
        case CubeGroup():
            inverse = TO_ARRAY @ np.array(g).T @ TO_ARRAY
            targets = np.abs(inverse).argmax(axis=1)
            flips = [2 + a for a in range(3) if inverse[a].sum() < 0]
            return kernel.flip(flips).permute(0, 1, *(2 + int(a) for a in np.argsort(targets)))
    raise AssertionError(f"no independent action written for {group}")


@pytest.fixture(scope="session")
def brute_force():
    """The Reynolds average written out as a sum over the group, with dense matrices in float64."""

    def average(weight, rho_in, rho_out):
        group, total = rho_in.group, torch.zeros_like(weight, dtype=torch.float64)
        for g in group.elements:
            moved = weight.double() if weight.ndim == 2 else turn_kernel(group, g, weight.double())
            total += torch.einsum("ij,jk...,lk->il...", rho_out(g), moved, rho_in(g))
        return total / group.order

    return average
