"""Rules for what acts on each entry alone, and for sums (equation 7.3)."""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from equiproj.certificates.bounds import Affine, Features, added, constant_bounds, through_contraction
from equiproj.certificates.steps import LayerConstants, Step, rule
from equiproj.certificates.trace import Reference

_ATEN = torch.ops.aten
# of functions that are computed from others: the error is at most so many units of the argument
UNITS_OF_A_FUNCTION = 8


class Activation(NamedTuple):
    """A function of each entry alone that maps 0 to 0.

    Args:
        lipschitz: supremum of the derivative, rounded up.
        units: what rounding may change, in units of the argument.
        units_of_one: the same in units of 1, where small arguments cancel.

    Examples:
        >>> ACTIVATIONS[torch.ops.aten.elu.default](-5.0).lipschitz
        5.0
    """

    lipschitz: float
    units: int = 0
    units_of_one: int = 0


# Arguments are those of torch's operation after the first.
ACTIVATIONS: dict[Any, Callable[..., Activation]] = {
    _ATEN.relu.default: lambda: Activation(1.0),
    _ATEN.abs.default: lambda: Activation(1.0),
    _ATEN.hardtanh.default: lambda low=-1.0, high=1.0: Activation(1.0 if low <= 0 <= high else math.inf),
    _ATEN.leaky_relu.default: lambda slope=0.01: Activation(max(1.0, abs(slope)), 1),
    _ATEN.tanh.default: lambda: Activation(1.0, UNITS_OF_A_FUNCTION),
    _ATEN.elu.default: lambda alpha=1.0, scale=1.0, inner=1.0: Activation(
        abs(scale) * max(1.0, abs(alpha * inner)), UNITS_OF_A_FUNCTION, math.ceil(4 * abs(scale * alpha))
    ),
    _ATEN.selu.default: lambda: Activation(1.7581, UNITS_OF_A_FUNCTION, 8),
    _ATEN.celu.default: lambda alpha=1.0: Activation(
        1.0 if alpha > 0 else math.inf, UNITS_OF_A_FUNCTION, math.ceil(4 * abs(alpha))
    ),
    _ATEN.gelu.default: lambda: Activation(1.1290, UNITS_OF_A_FUNCTION),
    _ATEN.silu.default: lambda: Activation(1.0999, UNITS_OF_A_FUNCTION),
}


@rule(*ACTIVATIONS)
def activation(step: Step) -> Features:
    """A function of each entry."""
    if step.operation.options.get("approximate", "none") != "none":
        raise step.refusal("no rule for the approximate form")
    function = ACTIVATIONS[step.operation.target](*step.operation.arguments[1:])
    if math.isinf(function.lipschitz):
        raise step.refusal("expected a function with bounded derivative that maps 0 to 0")
    return _through(step, function)


@rule(_ATEN.alias.default, _ATEN.clone.default, _ATEN.contiguous.default, _ATEN.dropout.default, operator.getitem)
def as_it_is(step: Step) -> Features:
    """What changes no number; of several outputs the first."""
    if step.operation.target is operator.getitem and step.argument(1) != 0:
        raise step.refusal("expected its first output alone to be used")
    if step.operation.target is _ATEN.dropout.default and step.argument(2):
        raise step.refusal("expected no dropout in evaluation mode")
    return step.features()


def multiple(step: Step) -> Features:
    """A multiple by a number."""
    divides = step.operation.target is _ATEN.div.Tensor
    position = 0 if divides or isinstance(step.argument(0), Reference) else 1
    number = step.constant(1 - position)
    if number is None or number.numel() != 1:
        raise step.refusal("expected a product with a number")
    features, factor = step.features(position), abs(float(1 / number if divides else number))
    return through_contraction(features, factor, (2 * step.unit * factor) * features.size)


@rule(_ATEN.rsub.Scalar)
def rest(step: Step) -> Features:
    """A number less features."""
    return _shifted(step, step.features(), -float(step.argument(2, 1)), _image(step, 0, 1))


@rule(_ATEN.add.Tensor, _ATEN.sub.Tensor)
def total(step: Step) -> Features:
    """The sum of two features, or of features and a constant image."""
    factor = step.operation.options.get("alpha", 1) * (-1 if step.operation.target is _ATEN.sub.Tensor else 1)
    first, second = step.argument(0), step.argument(1)
    if isinstance(first, Reference) and isinstance(second, Reference):
        a, b = step.features(0), step.features(1)
        if (a.rho, a.image_shape, first.shape) != (b.rho, b.image_shape, second.shape):
            found = f"{a.rho} on {a.image_shape} and {b.rho} on {b.image_shape}"
            raise step.refusal(f"expected terms of one type and size, found {found}")
        return added(a, b, float(factor), step.unit)
    if isinstance(first, Reference):
        return _shifted(step, step.features(0), 1.0, factor * _image(step, 0, 1))
    return _shifted(step, step.features(1), float(factor), _image(step, 1, 0))


def _through(step: Step, function: Activation) -> Features:
    step.need_permuted()
    features = step.features()
    entries = math.sqrt(features.rho.dim * features.n_pixels)
    rounding = (function.units * step.unit) * features.size
    rounding += Affine(0.0, function.units_of_one * step.unit * entries)
    step.constants.append(LayerConstants(step.operation.place, function.lipschitz))
    return through_contraction(features, function.lipschitz, rounding)


def _shifted(step: Step, features: Features, scale: float, shift: Tensor) -> Features:
    size, defect = constant_bounds(shift, features.rho)
    whole = abs(scale) * features.size + Affine(0.0, size)
    rounding = (2 * step.unit) * whole
    moved = abs(scale) * features.defect + Affine(0.0, defect) + 2 * rounding
    deviation = abs(scale) * features.deviation + rounding
    return Features(features.rho, features.image_shape, whole + rounding, moved, deviation)


def _image(step: Step, position: int, constant: int) -> Tensor:
    """A constant as an image (1, channels, *pixels) that is added to features."""
    features, shape, value = step.features(position), step.shape(position), step.constant(constant)
    if value is None or (value.ndim == len(shape) and value.shape[0] != 1):
        raise step.refusal("expected features, or a constant for all images")
    return value.expand(1, *shape[1:]).reshape(1, features.rho.dim, *features.image_shape)
