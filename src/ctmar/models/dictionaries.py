"""Convolutional dictionaries: artefact images as sums of sparse maps convolved with filters.

Filters are (1, N, s, s), shared by the batch, or (n, N, s, s), one set per image. Per-image filters run as one grouped
convolution over the batch instead of a loop. All functions may be differentiated in every argument.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, unfold

FILTER_SIZE = 9  # side of every dictionary filter of the published networks, pixels


def synthesise(maps: Tensor, filters: Tensor) -> Tensor:
    r"""Artefact image :math:`A = \sum_n C_n * M_n`.

    Args:
        maps: M, shape (n, N, h, w).
        filters: C, shape (1 or n, N, s, s), s odd.

    Returns:
        Shape (n, 1, h, w).

    Examples:
        >>> synthesise(torch.ones(2, 3, 4, 4), torch.ones(2, 3, 1, 1)).mean().item()
        3.0
    """
    n_images, padding = len(maps), filters.shape[-1] // 2
    if len(filters) == 1:
        return conv2d(maps, filters, padding=padding)
    together = maps.reshape(1, -1, *maps.shape[2:])
    return conv2d(together, filters, padding=padding, groups=n_images).transpose(0, 1)


def analyse(image: Tensor, filters: Tensor) -> Tensor:
    r"""Adjoint of `synthesise`, :math:`M_n = C_n ⋆ A` (correlation with each filter): (n, 1, h, w) to (n, N, h, w)."""
    n_images, padding = len(image), filters.shape[-1] // 2
    if len(filters) == 1:
        return conv_transpose2d(image, filters, padding=padding)
    maps = conv_transpose2d(image.transpose(0, 1), filters, padding=padding, groups=n_images)
    return maps.reshape(n_images, -1, *maps.shape[2:])


def correlate(maps: Tensor, image: Tensor, atoms: Tensor) -> Tensor:
    r"""Inner products :math:`G_{ne} = ⟨D_e * M_n, R⟩`, the gradient with respect to the weights of the atoms.

    Convolving all N maps with all d atoms is never needed: R and M_n are correlated at the s² lags of an atom, and D
    is applied to that small table, G = H Dᵀ with :math:`H_{nl} = \sum_x M_n(x + l) R(x)`. Sums over a whole image
    leave the range of half precision, so this runs in float32 under autocast.

    Args:
        maps: M, shape (n, N, h, w).
        image: R, shape (n, 1, h, w).
        atoms: D, shape (1, d, s, s).

    Returns:
        Shape (n, N, d).
    """
    with torch.autocast(maps.device.type, enabled=False):
        dtype = torch.promote_types(atoms.dtype, image.dtype)
        size = atoms.shape[-1]
        # column l of `shifted` is R moved by lag l; unfolding R instead of M is N times less memory
        shifted = unfold(image.to(dtype), size, padding=size // 2)
        lags = torch.bmm(maps.flatten(2).to(dtype), shifted.transpose(1, 2))
        return lags @ atoms[0].flatten(1).flip(1).T.to(dtype)


def gaussian_filters(count: int, size: int = FILTER_SIZE) -> Tensor:
    """First filters of a dictionary: Gaussians of unit sum, widths 0.5 to 2 pixels in equal ratios.

    The published networks start from filters in a data file of their authors; these stand in for it and are chosen
    here. They are round: no orientation is preferred before training.

    Returns:
        Shape (1, count, size, size).

    Examples:
        >>> gaussian_filters(4).sum(dim=(2, 3)).round(decimals=4)
        tensor([[1., 1., 1., 1.]])
    """
    x = torch.arange(size) - (size - 1) / 2
    widths = torch.logspace(-1, 1, count, base=2)
    profiles = torch.exp(-(x**2) / (2 * widths[:, None] ** 2))
    filters = profiles[:, :, None] * profiles[:, None, :]
    return (filters / filters.sum(dim=(1, 2), keepdim=True))[None]


def filter_layer(weight: Tensor) -> nn.Conv2d:
    """A convolution without bias that holds ``weight`` (c_out, c_in, s, s), so that penalties find it by name."""
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=weight.shape[2] // 2, bias=False)
    layer.weight = nn.Parameter(weight)
    return layer


def mean_filters(count: int) -> nn.Conv2d:
    """From the LI image to ``count`` extra channels; every 3 × 3 filter starts as the mean, as published."""
    return filter_layer(torch.full((count, 1, 3, 3), 1 / 9))
