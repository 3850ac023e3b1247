"""Norms of convolution operators, where `matrix_norm` measures their kernels (equations 5.14 to 5.16)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from equiproj.norms.elementwise import norm_of_norms
from equiproj.norms.matrix import matrix_norm, norm_and_subgradient
from equiproj.norms.names import CustomNorm, ExactOrGram, Norm, NormName, parse_norm
from equiproj.norms.subgradient import attach_subgradient, widen


def operator_norm(
    kernel: Float[Tensor, "..."],
    norm: NormName | Norm | CustomNorm,
    image_shape: tuple[int, ...],
    method: ExactOrGram = "exact",
) -> Float[Tensor, "..."]:
    """Norm of x ↦ K ⋆ x on images with circular padding and stride 1, as a matrix of n·c_out rows, n·c_in columns.

    A circular convolution is block-diagonal in frequency, so its singular values are those of the blocks
    K̂(ξ) of shape (c_out, c_in). The other norms have closed forms, with n pixels and K arranged as rows
    (c_out) × (c_in·k) or columns (c_in) × (c_out·k): `induced:inf` row sums, `induced:1` column sums,
    `entrywise:p` n^(1/p) times that of the kernel, `mixed:p,q` n^(1/q) times that of the columns.

    With zero padding the operator on images of size m is a part of the circular one on m + k − 1, whose spectral,
    induced and entry-wise ∞-norms bound it; `map_spectral_norm` measures it directly.

    Args:
        kernel: (..., c_out, c_in, *k), one kernel axis for each axis of the image.
        norm: as for `matrix_norm`.
        image_shape: pixels along each axis.
        method: as for `matrix_norm`.

    Raises:
        ValueError: unknown norm or one of your own, or an image smaller than the kernel.

    References:
        Sedghi, Gupta, Long: The singular values of convolutional layers, ICLR 2019.

    Examples:
        >>> difference = torch.tensor([[[1.0, -1.0]]])
        >>> operator_norm(difference, "spectral", (8,))
        tensor(2.)
    """
    norm = parse_norm(norm)
    if isinstance(norm, CustomNorm):
        raise ValueError(
            f"norm {norm.name!r} is one of matrices; expected a norm by its name for a convolution operator"
        )
    kernel = widen(kernel)
    _check_fits(kernel, image_shape)
    n_pixels, n_axes = math.prod(image_shape), len(image_shape)
    if norm.schatten_order not in (None, 2):
        return _schatten_of_blocks(kernel, norm, norm.schatten_order, image_shape, method)
    if norm == Norm("induced", (math.inf,)):
        return matrix_norm(kernel.flatten(-n_axes - 1), norm)
    # The q-norm (or p-norm) over the n shifted copies of each column.
    order = math.inf if norm.kind == "induced" else (norm.orders or (2,))[-1]
    columns = kernel.movedim(-n_axes - 1, -1).flatten(-n_axes - 2, -2)
    return n_pixels ** (1 / order) * matrix_norm(columns, norm)


def kernel_spectrum(
    kernel: Float[Tensor, "..."], image_shape: tuple[int, ...]
) -> Complex[Tensor, "*batch frequencies c_out c_in"]:
    """Blocks K̂(ξ) of the circular convolution, for the half of the frequencies that the other half repeats.

    Examples:
        >>> kernel_spectrum(torch.ones(2, 3, 1, 1), (4, 4)).shape
        torch.Size([12, 2, 3])
    """
    n_axes = len(image_shape)
    spectrum = torch.fft.rfftn(kernel, s=image_shape, dim=tuple(range(-n_axes, 0)))
    return spectrum.flatten(-n_axes).movedim(-1, -3)


def operator_norm_bound(kernel: Float[Tensor, "..."], n_kernel_axes: int) -> Float[Tensor, "..."]:
    """Upper bound of the spectral norm of a convolution on images of every size, with zero or circular padding.

    sup over all ξ of σ₁(K̂(ξ)) ≤ Π_a 1 / cos(π (k_a − 1) / (2 N_a)) · max over a grid of N frequencies per axis, since
    u K̂ v is a trigonometric polynomial of degree (k − 1) / 2. N = 8k, which is at most 2 % per axis too much. A
    dilation does not change it.

    Args:
        kernel: (..., c_out, c_in, *k).
        n_kernel_axes: number of axes k.

    References:
        Ehlich and Zeller, Schwankung von Polynomen zwischen Gitterpunkten, Math. Z. 86, 1964. Equation 5.16.

    Examples:
        >>> operator_norm_bound(torch.tensor([[[1.0, 1.0]]]), 1) >= 2.0
        tensor(True)
    """
    sizes = tuple(kernel.shape[kernel.ndim - n_kernel_axes :])
    grid = tuple(8 * size for size in sizes)
    factor = math.prod(1 / math.cos(math.pi * (k - 1) / (2 * n)) for k, n in zip(sizes, grid, strict=True))
    return factor * operator_norm(kernel, "spectral", grid)


class MapIterate(NamedTuple):
    """Result of a power iteration through a map: the norm, and the input to start the next iteration from.

    Examples:
        >>> round(map_spectral_norm(lambda x: 2 * x, torch.ones(1, 3)).value.item(), 4)
        2.0
    """

    value: Tensor
    right: Tensor


def map_spectral_norm(
    affine_map: Callable[[Tensor], Tensor], right: Float[Tensor, "..."], n_iterations: int = 50
) -> MapIterate:
    """Spectral norm of the linear part of a map by power iteration with its vector–Jacobian products.

    Any layer will do: zero padding, stride, dilation, groups, transposed. The value approaches the norm from below,
    and is differentiable in the map's parameters.

    Args:
        affine_map: T(x) = Ax + b on one batch of inputs, for example a convolution layer.
        right: input to start from, of any size, not orthogonal to the solution (random numbers will do).
        n_iterations: products with AᵀA before the norm is read off.

    Examples:
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = torch.nn.init.eye_(layer.weight)
        >>> torch.testing.assert_close(map_spectral_norm(layer, torch.ones(1, 2)).value, torch.tensor(1.0))
    """
    offset = affine_map(torch.zeros_like(right))
    right = _unit(right.detach())
    for _ in range(n_iterations):
        with torch.no_grad():
            image, *_, pull_back = torch.func.vjp(affine_map, right)
            right = _unit(pull_back(image - offset)[0])
    image = affine_map(right) - offset
    return MapIterate((_unit(image.detach()) * image).sum(), right)


def _unit(vector: Tensor) -> Tensor:
    length = vector.square().sum().sqrt()
    return vector / torch.where(length > 0, length, 1)


def _check_fits(kernel: Tensor, image_shape: tuple[int, ...]) -> None:
    n_axes = len(image_shape)
    kernel_shape = tuple(kernel.shape[kernel.ndim - n_axes :])
    if n_axes == 0 or kernel.ndim < n_axes + 2 or any(k > m for k, m in zip(kernel_shape, image_shape, strict=False)):
        raise ValueError(
            f"expected a kernel (..., c_out, c_in, *k) no larger than the image {tuple(image_shape)}, "
            f"found shape {tuple(kernel.shape)}"
        )


def _multiplicity(kernel: Tensor, image_shape: tuple[int, ...]) -> Tensor:
    """How often each stored frequency occurs: twice, except 0 and the highest of an even last axis."""
    last = torch.full((image_shape[-1] // 2 + 1,), 2.0, dtype=kernel.dtype, device=kernel.device)
    last[0] = 1
    if image_shape[-1] % 2 == 0:
        last[-1] = 1
    return last.repeat(math.prod(image_shape[:-1]))


def _schatten_of_blocks(kernel: Tensor, norm: Norm, p: float, image_shape: tuple[int, ...], method: str) -> Tensor:
    blocks = kernel_spectrum(kernel, image_shape)
    copies = _multiplicity(kernel, image_shape) ** (1 / p)
    with torch.no_grad():
        lengths, inner = norm_and_subgradient(blocks.detach(), norm, method)
        inner = copies[:, None, None] * inner
        value, outer = norm_of_norms(copies * lengths, inner.abs().square().sum((-2, -1)), p)
        subgradient = outer[..., None, None] * inner
    return attach_subgradient(blocks.flatten(-3, -2), value[..., 0], subgradient.flatten(-3, -2))
