"""The projection of a single weight or bias in one call."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from equiproj.projections.projectors import ConvProjector, LinearProjector, Route
from equiproj.representations import Representation, trivial


def project_linear(
    weight: Float[Tensor, "*batch c_out c_in"],
    rho_in: Representation,
    rho_out: Representation,
    route: Route | None = None,
) -> Float[Tensor, "*batch c_out c_in"]:
    """Nearest equivariant matrix, P(W) = mean over g of ρ_out(g)⁻¹ W ρ_in(g) (equation 3.1).

    Args:
        weight: ``(c_out, c_in)``, with any leading batch axes.
        rho_in: representation on the input features.
        rho_out: representation on the output features.
        route: "spatial" or "spectral"; by default spatial for finite and spectral for continuous groups.

    Raises:
        ValueError: if groups differ, channels do not fit, or the route is unknown or unavailable.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> project_linear(torch.tensor([[1.0, 2.0, 3.0, 6.0]]), regular(group), trivial(group)).tolist()
        [[3.0, 3.0, 3.0, 3.0]]
    """
    return LinearProjector(rho_in, rho_out, route)(weight)


def project_conv(
    weight: Tensor,
    rho_in: Representation,
    rho_out: Representation,
    route: Route | None = None,
    *,
    transposed: bool = False,
    groups: int = 1,
) -> Tensor:
    """Nearest equivariant kernel, P(W) = mean over g of ρ_out(g) (g·W) ρ_in(g)⁻¹ (equation 3.5).

    Stride, dilation and padding mode do not enter: they decide on which image sizes an equivariant kernel
    makes an equivariant layer (section 3.4 of ``docs/derivation.md``).

    Args:
        weight: ``(c_out, c_in / groups, *kernel)`` of a Conv1d, Conv2d or Conv3d, or
            ``(c_in, c_out / groups, *kernel)`` of a transposed one.
        rho_in: representation on the input channels.
        rho_out: representation on the output channels.
        route: as in :func:`project_linear`, or a :class:`~equiproj.projections.Sampling`.
        transposed: whether the weight belongs to a ``ConvTranspose`` layer.
        groups: ``groups`` of the torch layer.

    Raises:
        ValueError: if groups differ, channels do not fit, the group turns axes of different sizes, or the route is
            unknown or unavailable.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular, trivial
        >>> group = CyclicGroup(4)
        >>> kernel = project_conv(torch.randn(8, 1, 3, 3), trivial(group), 2 * regular(group))
        >>> bool(torch.allclose(kernel[1], torch.rot90(kernel[0], dims=(-2, -1))))
        True
    """
    if not 3 <= weight.ndim <= 5:
        raise ValueError(f"expected a convolution weight with 3 to 5 axes, found shape {tuple(weight.shape)}")
    kernel_shape = tuple(weight.shape[2:])
    return ConvProjector(rho_in, rho_out, kernel_shape, transposed, groups, route)(weight)


def project_bias(bias: Float[Tensor, "*batch c_out"], rho_out: Representation) -> Float[Tensor, "*batch c_out"]:
    """Nearest invariant bias, P(b) = mean over g of ρ_out(g) b; for regular channels the mean of each field.

    Args:
        bias: ``(c_out,)``, with any leading batch axes.
        rho_out: representation on the output channels.

    Raises:
        ValueError: if the channels do not fit.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> project_bias(torch.tensor([1.0, 3.0, 5.0, 5.0]), 2 * regular(CyclicGroup(2))).tolist()
        [2.0, 2.0, 5.0, 5.0]
    """
    return LinearProjector(trivial(rho_out.group), rho_out)(bias.unsqueeze(-1)).squeeze(-1)
