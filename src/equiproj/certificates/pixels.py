"""Rules for what pools, resamples, frames and cuts images, and for parts of the channels."""

import math
from dataclasses import replace
from typing import Any

import torch

from equiproj.certificates.bounds import Features, through_contraction
from equiproj.certificates.steps import Step, each, rule
from equiproj.certificates.trace import Reference
from equiproj.projections import samples_symmetrically
from equiproj.representations import Representation, direct_sum, grid, tensor_product

_ATEN = torch.ops.aten
_UPSAMPLINGS = (
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"),
)


@rule(_ATEN.avg_pool1d.default, _ATEN.avg_pool2d.default, _ATEN.avg_pool3d.default)
def mean_of_windows(step: Step) -> Features:
    """Row sums of the matrix are at most 1, column sums the share of a pixel in its windows."""
    if step.argument(4) or step.argument(5, True) is not True or step.argument(6) is not None:
        raise step.refusal("expected whole windows, divided by their size")
    size, overlap = _windows(step)
    n_pixels = size**step.n_axes
    return _of_pixels(step, math.sqrt(overlap / n_pixels), n_pixels + 2)


@rule(_ATEN.max_pool1d.default, _ATEN.max_pool2d.default, _ATEN.max_pool3d.default)
def maximum_of_windows(step: Step) -> Features:
    """A maximum moves by at most the largest change in its window."""
    if any(gap != 1 for gap in each(step.argument(4, 1), step.n_axes)) or step.argument(5):
        raise step.refusal("expected whole windows without dilation")
    step.need_permuted()
    _, overlap = _windows(step)
    return _of_pixels(step, math.sqrt(overlap), 0)


@rule(*(getattr(_ATEN, f"adaptive_avg_pool{n}d").default for n in (1, 2, 3)))
def mean_of_image(step: Step) -> Features:
    """The mean of all pixels."""
    if any(size != 1 for size in each(step.argument(1), step.n_axes)):
        raise step.refusal("expected one pixel")
    n_pixels = step.features().n_pixels
    return _of_pixels(step, 1 / math.sqrt(n_pixels), n_pixels + 2)


@rule(*(getattr(_ATEN, name).vec for name in _UPSAMPLINGS))
def upsampling(step: Step) -> Features:
    """Acts on each axis by itself; the norm is that on one, to the power of their number."""
    size, n_axes = step.shape()[2:], step.n_axes
    if len(set(size)) > 1 or len(set(step.image_shape)) > 1:
        raise step.refusal("expected square images")
    n_pixels = size[0]
    lines = torch.eye(n_pixels, dtype=torch.float64).reshape(n_pixels, 1, *[1] * (n_axes - 1), n_pixels)
    images = lines.expand(n_pixels, 1, *size).contiguous()  # constant along all axes but the last
    answers = step.operation.target(images, *step.operation.arguments[1:])
    matrix = answers[(slice(None), 0, *[0] * (n_axes - 1))]
    if not torch.allclose(matrix, matrix.flip(0, 1), rtol=0, atol=1e-12):
        raise step.refusal("expected pixels that are placed symmetrically")
    norm = float(torch.linalg.matrix_norm(matrix, 2)) * (1 + 1e-9)
    return _of_pixels(step, norm**n_axes, 0 if "nearest" in str(step.operation.target) else 8 * n_axes)


@rule(_ATEN.pad.default)
def padding(step: Step) -> Features:
    """Zeros around an image; a circular frame stays with the features until a convolution has used it up."""
    widths, mode, value = step.argument(1), step.argument(2, "constant"), step.argument(3)
    if len(set(widths)) > 1 or len(widths) != 2 * step.n_axes or value not in (None, 0, 0.0):
        raise step.refusal("expected the same padding on every side, with zeros or circular")
    if mode == "circular":
        return step.features()
    if mode != "constant":
        raise step.refusal(f"no rule for padding {mode!r}")
    return replace(step.features(), image_shape=step.image_shape, linear=None)


@rule(_ATEN.slice.Tensor)
def part(step: Step) -> Features:
    """Some channels, or the middle of an image."""
    features, shape = step.unchecked(), step.shape()
    if features.image_shape != shape[len(shape) - len(features.image_shape) :]:
        raise step.refusal("expected a convolution behind circular padding")
    axis, stride = step.argument(1, 0) % len(shape), step.argument(4, 1)
    start, end, _ = slice(step.argument(2), step.argument(3), stride).indices(shape[axis])
    if (start, end, stride) == (0, shape[axis], 1):
        return features
    if axis == 1 and stride == 1 and shape[1] == features.rho.dim:
        return replace(features, rho=_channels(step, features.rho, start, end), linear=None)
    if axis >= 2 and stride == 1 and start == shape[axis] - end and len(shape) == 2 + step.n_axes:
        return replace(features, image_shape=step.image_shape, linear=None)
    raise step.refusal("expected whole fields of channels, or the middle of an image")


@rule(_ATEN.cat.default)
def concatenation(step: Step) -> Features:
    """Features side by side."""
    parts: list[Any] = step.argument(0)
    if step.argument(1, 0) % len(step.operation.shape) != 1 or not all(isinstance(one, Reference) for one in parts):
        raise step.refusal("expected features joined along the channels")
    features = [step.checked(step.known[one.name], one) for one in parts]
    if any(one.shape[1] != known.rho.dim for one, known in zip(parts, features, strict=True)):
        raise step.refusal("expected whole channels")
    size, defect, deviation = features[0].size, features[0].defect, features[0].deviation
    for other in features[1:]:
        size, defect = size.beside(other.size), defect.beside(other.defect)
        deviation = deviation.beside(other.deviation)
    return Features(direct_sum([one.rho for one in features]), features[0].image_shape, size, defect, deviation)


@rule(_ATEN.view.default)
def view(step: Step) -> Features:
    """The channels in another shape, all pixels on one axis, or all images of the batch side by side and back."""
    features, old, new = step.unchecked(), step.shape(), step.operation.shape
    rho, pixels = features.rho, features.image_shape
    apart, joined = (step.n_inputs, rho.dim, *pixels), (1, step.n_inputs * rho.dim, *pixels)
    if (old, new) in ((apart, joined), (joined, apart)):
        return replace(features, linear=None)
    step.features()
    if pixels and old == apart and new == (*apart[:2], features.n_pixels):
        return replace(features, rho=tensor_product(rho, grid(step.network.group, pixels)), image_shape=(), linear=None)
    image = len(features.image_shape)
    if (
        new[0] == step.n_inputs == old[0]
        and new[len(new) - image :] == old[len(old) - image :]
        and len(new) >= 2 + image
    ):
        return features
    if new[0] == step.n_inputs and len(new) == 2 and features.n_pixels == 1:
        return replace(features, image_shape=(), linear=None)
    raise step.refusal("expected the channels alone in another shape")


def _windows(step: Step) -> tuple[int, int]:
    """Size of the windows, and how many of them a pixel can lie in."""
    n_axes, steps = step.n_axes, step.argument(2) or step.argument(1)
    found = set(zip(*(each(values, n_axes) for values in (step.argument(1), steps, step.argument(3, 0))), strict=True))
    image_shape = step.features().image_shape
    if len(found) > 1 or not all(samples_symmetrically(n, *next(iter(found))) for n in image_shape):
        raise step.refusal("expected windows that lie symmetrically in the image (equation 3.8)")
    size, stride, _ = next(iter(found))
    return size, math.ceil(size / stride) ** n_axes


def _of_pixels(step: Step, norm: float, units: int) -> Features:
    features = step.features()
    rounding = (units * step.unit * norm) * features.size
    return through_contraction(features, norm, rounding, image_shape=step.image_shape)


def _channels(step: Step, rho: Representation, start: int, end: int) -> Representation:
    """The type of some channels, which have to be whole summands."""
    taken, offset = [], 0
    for summand in rho.summands:
        if start <= offset and offset + summand.dim <= end:
            taken.append(Representation(((1, summand),)))
        elif offset < end and offset + summand.dim > start:
            raise step.refusal(f"channels {start} to {end} cut a summand of {rho}")
        offset += summand.dim
    return direct_sum(taken)
