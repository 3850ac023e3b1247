"""Rules for linear layers, convolutions and normalisations (equations 7.1 and 7.2)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from equiproj.certificates.bilinear import filtered
from equiproj.certificates.bounds import Affine, Features, LinearMap
from equiproj.certificates.entries import UNITS_OF_A_FUNCTION
from equiproj.certificates.steps import Step, each, rule
from equiproj.certificates.trace import Reference
from equiproj.projections import samples_symmetrically
from equiproj.representations import Representation

_ATEN = torch.ops.aten
_CONVOLUTIONS = (_ATEN.conv1d, _ATEN.conv2d, _ATEN.conv3d)


@rule(_ATEN.linear.default)
def linear(step: Step) -> Features:
    """Vectors x ↦ W x + b."""
    if step.features().image_shape or len(step.shape()) != 2:
        raise step.refusal("no rule for a linear layer on images or sequences")
    weight, rho_out = step.weight()
    return _layer(step, weight, rho_out, fan_in=weight.shape[1], image_shape=())


@dataclass(frozen=True)
class _Windows:
    """Settings of a convolution, the same on every axis."""

    size: int
    step: int
    padding: int
    gap: int

    @property
    def apart(self) -> bool:
        """Whether no pixel lies in two windows."""
        return self.size <= self.step and self.gap == 1


@rule(*(convolve.default for convolve in _CONVOLUTIONS), *(convolve.padding for convolve in _CONVOLUTIONS))
def convolution(step: Step) -> Features:
    """A convolution that samples the image symmetrically, with zeros around it or closed to a torus."""
    if isinstance(step.argument(1), Reference):
        windows = _windows(step, step.shape(1)[2:], step.argument(3, 1), step.argument(5, 1), step.argument(4, 0))
        return _filtered(step, windows, step.argument(6, 1), transposed=False)
    weight, rho_out = step.weight()
    windows = _windows(step, weight.shape[2:], step.argument(3, 1), step.argument(5, 1), step.argument(4, 0))
    size, features = step.shape()[2:], step.unchecked()
    if step.shape()[0] != step.n_inputs:
        raise step.refusal("expected each image of the batch by itself")
    if not all(samples_symmetrically(n, windows.size, windows.step, windows.padding, windows.gap) for n in size):
        raise step.refusal(f"stride {windows.step} samples an image of {size[0]} pixels unevenly (equation 3.8)")
    if len(set(size)) > 1:
        raise step.refusal(f"expected a square image, found {size}")
    # a circular frame, see `pixels.padding`
    if features.image_shape != size and (step.image_shape != features.image_shape or windows.padding):
        raise step.refusal("expected circular padding to the input's size")
    dense, fan_in = _without_blocks(weight, step.argument(6, 1)), math.prod(weight.shape[1:])
    return _layer(step, dense, rho_out, fan_in=fan_in, image_shape=step.image_shape, apart=windows.apart)


@rule(_ATEN.conv_transpose1d.default, _ATEN.conv_transpose2d.input, _ATEN.conv_transpose3d.input)
def transposed_convolution(step: Step) -> Features:
    """The adjoint of a convolution, without output padding."""
    if any(each(step.argument(5, 0), step.n_axes)):
        raise step.refusal("expected no output_padding: it is on one side")
    groups = step.argument(6, 1)
    if isinstance(step.argument(1), Reference):
        windows = _windows(step, step.shape(1)[2:], step.argument(3, 1), step.argument(7, 1), step.argument(4, 0))
        return _filtered(step, windows, groups, transposed=True)
    weight, rho_out = step.weight(transposed=True)
    windows = _windows(step, weight.shape[2:], step.argument(3, 1), step.argument(7, 1), step.argument(4, 0))
    step.features()
    dense, fan_in = _without_blocks(weight, groups), weight.shape[0] // groups * windows.size**step.n_axes
    return _layer(
        step,
        dense,
        rho_out,
        fan_in=fan_in,
        image_shape=step.image_shape,
        apart=windows.apart,
        transposed=True,
    )


@rule(_ATEN._native_batch_norm_legit_no_training.default)
def normalisation(step: Step) -> Features:
    """Channels x ↦ s x + t, by the statistics that training has left; joined to the layer before it."""
    features, statistics = step.features(), [step.constant(position) for position in (1, 2, 3, 4)]
    weight, bias, mean, variance = statistics
    if mean is None or variance is None:
        raise step.refusal("expected running statistics")
    deviation = (variance + step.argument(6)).sqrt()
    repeats = features.rho.dim // step.shape()[1]  # of channels that share theirs
    scale = (1 / deviation if weight is None else weight / deviation).repeat_interleave(repeats)
    centre = mean.repeat_interleave(repeats)
    shift = torch.zeros_like(centre) if bias is None else bias.repeat_interleave(repeats)
    entries = math.sqrt(features.n_pixels) * float((scale * centre).norm() + shift.norm())
    units = UNITS_OF_A_FUNCTION * step.unit
    rounding = units * (float(scale.abs().max()) * features.size + Affine(0.0, entries))
    part = features.linear or _identity(features)
    return step.record(part.scaled(scale, shift - scale * centre, rounding))


def _identity(features: Features) -> LinearMap:
    n_channels, nothing = features.rho.dim, torch.zeros(features.rho.dim, dtype=torch.float64)
    kernel = torch.eye(n_channels, dtype=torch.float64)
    kernel = kernel.reshape(n_channels, n_channels, *[1] * len(features.image_shape))
    return LinearMap(features, kernel, features.rho, features.image_shape, nothing, Affine(0.0, 0.0))


def _layer(
    step: Step,
    weight: Tensor,
    rho_out: Representation,
    *,
    fan_in: int,
    image_shape: tuple[int, ...],
    apart: bool = False,
    transposed: bool = False,
) -> Features:
    features, bias = step.unchecked(), step.constant(2)
    shift = torch.zeros(rho_out.dim, dtype=torch.float64) if bias is None else bias
    exact = LinearMap(features, weight, rho_out, image_shape, shift, Affine(0.0, 0.0), transposed, apart)
    # in whatever order it is summed, every entry is within γ (|T| |h| + |b|) of T h + b
    entries = math.sqrt(math.prod(image_shape)) * float(shift.norm())
    rounding = step.units_of_sums(fan_in) * (exact.magnitude() * features.size + Affine(0.0, entries))
    return step.record(replace(exact, rounding=rounding))


def _filtered(step: Step, windows: _Windows, groups: int, *, transposed: bool) -> Features:
    if (windows.step, windows.gap) != (1, 1):
        raise step.refusal("expected stride and dilation 1 of filters that depend on the input")
    return filtered(step, padding=windows.padding, groups=groups, transposed=transposed)


def _windows(step: Step, kernel: tuple[int, ...], stride: object, dilation: object, padding: object) -> _Windows:
    n_axes = step.n_axes
    if len(kernel) != n_axes:
        raise step.refusal(f"expected image_shape= of {len(kernel)} axes for a convolution, found {n_axes}")
    if isinstance(padding, str):
        reach = [gap * (size - 1) for gap, size in zip(each(dilation, n_axes), kernel, strict=True)]
        padding = [0 if padding == "valid" else total / 2 for total in reach]
    found = set(zip(kernel, *(each(values, n_axes) for values in (stride, padding, dilation)), strict=True))
    if len(found) > 1 or any(side != int(side) for _, _, side, _ in found):
        raise step.refusal("expected one kernel size, stride and symmetric padding for all axes")
    size, stride_, side, gap = next(iter(found))
    return _Windows(size, stride_, int(side), gap)


def _without_blocks(weight: Tensor, n_blocks: int) -> Tensor:
    """The kernel of a grouped layer, with zeros between its blocks."""
    if n_blocks == 1:
        return weight
    rows, columns = weight.shape[0] // n_blocks, weight.shape[1]
    dense = weight.new_zeros(weight.shape[0], n_blocks * columns, *weight.shape[2:])
    for block in range(n_blocks):
        own = slice(block * rows, (block + 1) * rows)
        dense[own, block * columns : (block + 1) * columns] = weight[own]
    return dense
