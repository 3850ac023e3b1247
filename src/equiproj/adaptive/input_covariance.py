"""The second moments of what goes into a layer, averaged over the group."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from equiproj.adaptive.linearised import called
from equiproj.groups import Group
from equiproj.layers import Declaration, TypedParameter, typed_parameters
from equiproj.layers.evaluating import evaluating
from equiproj.projections import LinearProjector
from equiproj.representations import grid, tensor_product


def input_covariances(
    module: nn.Module,
    group: Group | str | None = None,
    *,
    batches: Iterable[Any],
    shrinkage: float = 0.1,
    **declaration: Unpack[Declaration],
) -> dict[str, Float[Tensor, "columns columns"]]:
    """Σ = mean of x xᵀ over what each layer is given, averaged over the group and shrunk, by the name of the weight.

    For a convolution x is a patch, one row of the kernel as a matrix (c_out, c_in·k·…); patches of all places count
    alike, padding included. Σ ← (1 − a) Σ + a tr(Σ)/n with the shrinkage a. Averaged over the group, Σ commutes with
    it, so that ‖W Σ^½‖_F is the same for every g·W, and P(W) is the nearest equivariant weight in this norm too
    (equation 9.11).

    Args:
        module: any module with linear layers or convolutions; other weights are left out.
        group: the group, where `layers=` does not give representations.
        batches: inputs: a tensor, or a tuple or dictionary of what the module is called with.
        shrinkage: a, from 0 to 1.
        declaration: as for `typed_parameters`.

    Raises:
        ValueError: a shrinkage out of range, a convolution that is transposed or has groups, a layer that no batch
            reaches, inputs of it that are not finite, or a group that does not permute the kernel's pixels.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> layer, inputs = nn.Linear(2, 1), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
        >>> input_covariances(layer, CyclicGroup(2), batches=[inputs], shrinkage=0.0, input_type="regular")["weight"]
        tensor([[2.5000, 0.0000],
                [0.0000, 2.5000]])
    """
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"expected shrinkage from 0 to 1, found {shrinkage}")
    entries = [
        entry
        for entry in typed_parameters(module, group, **declaration)
        if entry.attribute == "weight" and isinstance(entry.layer, nn.Linear | _ConvNd)
    ]
    for entry in entries:
        if isinstance(entry.layer, _ConvTransposeNd) or getattr(entry.layer, "groups", 1) != 1:
            raise ValueError(f"{entry.name}: expected a convolution with groups=1 that is not transposed")
    sums = {entry.name: _Moments() for entry in entries}
    handles = [
        entry.layer.register_forward_pre_hook(partial(_record, sums[entry.name]), with_kwargs=True) for entry in entries
    ]
    try:
        with torch.no_grad(), evaluating(module):
            for inputs in batches:
                called(module, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {entry.name: _averaged(entry, sums[entry.name], shrinkage) for entry in entries}


class _Moments:
    """Σ x xᵀ and the number of x."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.n = 0

    def add(self, rows: Tensor) -> None:
        product = rows.mT @ rows
        self.total = product if self.total is None else self.total + product
        self.n += len(rows)


def _record(moments: _Moments, layer: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
    (value,) = (*inputs, *named.values())
    wide = value.to(torch.promote_types(value.dtype, torch.float32))
    moments.add(patches(wide, layer) if isinstance(layer, _ConvNd) else wide.reshape(-1, wide.shape[-1]))


def patches(images: Float[Tensor, "..."], layer: _ConvNd) -> Float[Tensor, "places columns"]:
    """What a convolution multiplies its kernel with, one row (c_in·k·…) for each place of each image.

    Examples:
        >>> layer = nn.Conv1d(1, 1, 2)
        >>> patches(torch.tensor([[[1.0, 2.0, 3.0]]]), layer)
        tensor([[1., 2.],
                [2., 3.]])
    """
    n_axes = len(layer.kernel_size)
    images = images if images.ndim == n_axes + 2 else images.unsqueeze(0)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    images = pad(images, layer._reversed_padding_repeated_twice, mode=mode)
    for axis in range(n_axes):
        dilation = layer.dilation[axis]
        reach = dilation * (layer.kernel_size[axis] - 1) + 1
        images = images.unfold(2 + axis, reach, layer.stride[axis])[..., ::dilation]
    # (batch, channels, *places, *kernel)
    return images.movedim(1, 1 + n_axes).flatten(1 + n_axes).flatten(0, n_axes)


def power_of(covariance: Float[Tensor, "n n"], exponent: float) -> Float[Tensor, "n n"]:
    """Σ^exponent, symmetric, in double precision; eigenvalues below rounding count as rounding.

    Examples:
        >>> power_of(4 * torch.eye(1), -0.5).item()
        0.5
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    floor = torch.finfo(covariance.dtype).eps * values[-1]
    return (vectors * values.clamp_min(floor) ** exponent) @ vectors.mT


def _averaged(entry: TypedParameter, moments: _Moments, shrinkage: float) -> Tensor:
    if moments.total is None:
        raise ValueError(f"{entry.name}: expected a batch that reaches its layer, found none")
    if not moments.total.isfinite().all():
        raise ValueError(f"{entry.name}: expected finite inputs, found NaN or infinity, or squares too large to add up")
    rho, kernel = entry.projector.rho_in, entry.projector.weight_shape[2:]
    if kernel:
        rho = tensor_product(rho, grid(rho.group, kernel))
    mean = LinearProjector(rho, rho)(moments.total / moments.n)
    mean = 0.5 * (mean + mean.mT)
    size = mean.diagonal().mean()
    return (1 - shrinkage) * mean + shrinkage * size * torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
