"""On which image sizes a convolution with an equivariant kernel is an equivariant layer."""

from __future__ import annotations


def samples_symmetrically(
    n_pixels: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> bool:
    """Whether the windows of a convolution lie symmetrically about the centre of the image (equation 3.8).

    That is (n + 2p − d(k − 1) − 1) mod s = 0: no padded pixel is left over at the far end. Only then does a layer
    with equivariant kernel commute with turns and mirror images, whatever the padding mode. Every axis that the
    group moves has to pass, and axes that it exchanges need equal settings. Transposed layers pass on every size
    unless they have output padding.

    Args:
        n_pixels: image size along one axis.
        kernel_size: kernel size in pixels.
        stride: step in pixels.
        padding: pixels added on each side.
        dilation: distance of kernel taps in pixels.

    Examples:
        >>> [samples_symmetrically(n, kernel_size=3, stride=2, padding=1) for n in (31, 32)]
        [True, False]
        >>> [samples_symmetrically(n, kernel_size=4, stride=2, padding=1) for n in (31, 32)]
        [False, True]
    """
    return (n_pixels + 2 * padding - dilation * (kernel_size - 1) - 1) % stride == 0
