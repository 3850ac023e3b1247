"""Filters as Fourier series, so that they can be turned by any angle before they meet the pixel grid."""

import math

import torch
from torch import Tensor

from ctmar.errors import InputError

_SMALLEST_EIGENVALUE = 1e-4  # directions below it are rounding error: the published cut
_LARGEST_EMPHASIS = 25.0  # so that 1/variation is at most 1 after division by it


def turned_fourier_basis(size: int, n_frequencies: int, n_rotations: int) -> tuple[Tensor, Tensor]:
    r"""Basis functions on the pixel grid for every orientation, and the emphasis of each.

    A filter is :math:`φ(x) = Ω(x) \sum_{kl} a_{kl} \cos(v(k x_1 + l x_2)) + b_{kl} \sin(v(k x_1 + l x_2))` with
    :math:`v = π (p - 1) / p` for p frequencies per axis, symmetric about 0, pixels from −1 to 1 and a window Ω that is
    1 on the unit disc and falls off as :math:`e^{-5(|x|^2 - 1)}`. Orientation r samples :math:`φ(R_{2πr/n} x)`; the
    coefficients are shared. Sampled for all orientations the 2p² functions are dependent, so they are replaced by the
    principal components of their Gram matrix, of unit norm. Component j is then scaled by
    :math:`1 / (25 \max(0.04, v_j))`, where v_j is the relative variation over orientations of its squared sum and its
    energy: what the grid cannot turn well counts less. Quarter turns are exact on the grid.

    Args:
        size: side of a filter, pixels.
        n_frequencies: p.
        n_rotations: orientations n.

    Returns:
        Basis (size, size, n_rotations, n_functions), and emphasis (n_functions), float32.

    Raises:
        InputError: no frequencies.

    References:
        Xie et al., Fourier series expansion based filter parametrization for equivariant convolutions, TPAMI 2022.
        Wang et al., Orientation-shared convolution representation for CT metal artifact learning, MICCAI 2022.

    Examples:
        >>> turned_fourier_basis(9, 5, 8)[0].shape
        torch.Size([9, 9, 8, 25])
    """
    if n_frequencies < 1:
        raise InputError(f"network with Fourier filters: expected n_frequencies of at least 1, found {n_frequencies}")
    samples = _turned_samples(size, n_frequencies, n_rotations)
    gram = samples.flatten(0, 2).T @ samples.flatten(0, 2)
    eigenvalues, directions = torch.linalg.eigh(gram)
    kept = eigenvalues > _SMALLEST_EIGENVALUE
    components = (samples @ directions[:, kept] / eigenvalues[kept].sqrt()).flip(-1)
    emphasis = 1 / _variation(components).clamp(min=1 / _LARGEST_EMPHASIS) / _LARGEST_EMPHASIS
    return (components * emphasis).float(), emphasis.float()


def _turned_samples(size: int, n_frequencies: int, n_rotations: int) -> Tensor:
    """Cosines and sines at turned pixel positions, windowed, (size, size, n_rotations, 2 p²)."""
    line = torch.linspace(-1, 1, size, dtype=torch.float64)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    window = torch.exp(-5 * (rows**2 + columns**2 - 1).clamp(min=0))
    angles = 2 * math.pi / n_rotations * torch.arange(n_rotations, dtype=torch.float64)
    first = angles.cos() * columns[..., None] - angles.sin() * rows[..., None]
    second = angles.cos() * rows[..., None] + angles.sin() * columns[..., None]
    indices = torch.arange(n_frequencies, dtype=torch.float64)
    indices = indices - n_frequencies * (indices > n_frequencies / 2)
    frequencies = torch.cartesian_prod(indices, indices) * math.pi * (n_frequencies - 1) / n_frequencies
    phases = first[..., None] * frequencies[:, 0] + second[..., None] * frequencies[:, 1]
    return torch.cat((phases.cos(), phases.sin()), dim=-1) * window[:, :, None, None]


def _variation(components: Tensor) -> Tensor:
    """Standard deviation over orientations of squared sum and of energy, relative to their mean, per component."""
    squared_sum = components.sum(dim=(0, 1)) ** 2
    energy = (components**2).sum(dim=(0, 1)) * components.shape[0] ** 2
    spread = squared_sum.std(dim=0, correction=0) + energy.std(dim=0, correction=0)
    return spread / (squared_sum + energy).mean(dim=0)
