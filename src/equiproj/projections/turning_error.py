"""How far a kernel is from turning with images of limited bandwidth, in closed form (equation 4.11)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.groups.grids import pixel_coordinates
from equiproj.representations import Representation

_N_RADII, _N_ANGLES = 8, 32  # of the wave vectors; twice as many change the third digit
_N_TURNS = 16  # drawn from a continuous group


def turning_error(
    kernel: Tensor, rho_in: Representation, rho_out: Representation, max_frequency: float = math.pi / 2
) -> float:
    """Relative error of a planar convolution on turned images, in the root mean square over the group.

    On a plane wave exp(i q·x) the output at the origin is κ̂(q), so that a kernel turns with every image made of waves
    up to a frequency if κ̂(gq) = ρ_out(g) κ̂(q) ρ_in(g)⁻¹ there. No image has to be interpolated to tell.

    Args:
        kernel: ``(c_out, c_in, height, width)``.
        rho_in: representation on the input channels.
        rho_out: representation on the output channels.
        max_frequency: largest |q| in radians per pixel; π is the finest wave that the pixels hold along an axis.

    Returns:
        (Σ ‖κ̂(gq) − ρ_out(g) κ̂(q) ρ_in(g)⁻¹‖² / Σ ‖κ̂(q)‖²)^½ over group elements and wave vectors of the disc; 0 for a
        kernel of zeros, about √2 for one that has nothing to do with the group.

    Raises:
        ValueError: if the kernel has not two pixel axes, or the channels do not fit.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> image = trivial(CyclicGroup(4))
        >>> turning_error(torch.ones(1, 1, 3, 3), image, image) < 1e-12
        True
    """
    if kernel.ndim != 4 or tuple(kernel.shape[:2]) != (rho_out.dim, rho_in.dim):
        expected = f"({rho_out.dim}, {rho_in.dim}, height, width)"
        raise ValueError(f"expected a kernel of shape {expected} for {rho_in} → {rho_out}, found {tuple(kernel.shape)}")
    group = rho_in.group
    elements = group.elements if isinstance(group, FiniteGroup) else group.sample(_N_TURNS, _seeded())
    waves, weights = _disc(max_frequency)
    values = kernel.detach().double().cpu().flatten(2).numpy()
    points = pixel_coordinates(tuple(kernel.shape[2:]))
    upright = _spectrum(values, points, waves)
    size = float((np.abs(upright) ** 2 @ weights).sum())
    total = 0.0
    for g in elements:
        turned = _spectrum(values, points, group.spatial_matrix(g, 2) @ waves)
        expected = np.einsum("ij,jkq,lk->ilq", rho_out(g).numpy(), upright, rho_in(g).numpy())
        total += float((np.abs(turned - expected) ** 2 @ weights).sum()) / len(elements)
    return 0.0 if size == 0 else math.sqrt(total / size)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _disc(largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Wave vectors ``(2, n)`` on circles in the disc, with the area that each stands for."""
    radii = (np.arange(_N_RADII) + 0.5) / _N_RADII * largest
    angles = 2 * np.pi * np.arange(_N_ANGLES) / _N_ANGLES
    radius, angle = (grid.ravel() for grid in np.meshgrid(radii, angles))
    return radius * np.stack([np.cos(angle), np.sin(angle)]), radius


def _spectrum(kernel: np.ndarray, points: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """κ̂(q) = Σ_x κ(x) exp(−i q·x) for each wave vector."""
    return kernel @ np.exp(-1j * points.T @ waves)
