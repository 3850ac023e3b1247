"""Rules for products of features, as of networks that make filters from their input (equation 7.6).

They grow faster than ‖x‖, so that only a local certificate has a bound: there all bounds are numbers.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from equiproj.certificates.bounds import EXCESS, Affine, Features
from equiproj.certificates.entries import multiple
from equiproj.certificates.rows import quotient
from equiproj.certificates.steps import Step, rule
from equiproj.certificates.trace import Reference
from equiproj.certificates.two_axes import axes_of
from equiproj.norms import operator_norm_bound
from equiproj.representations import Representation, tensor_product, trivial

_ATEN = torch.ops.aten


class Factor(NamedTuple):
    """A factor a of a bilinear product B(a, b): its bounds, and those of the linear map B(a, ·).

    Args:
        features: bounds of a.
        at_centre: bound of ‖B(a₀, ·)‖.
        per_norm: bound of ‖B(a, ·)‖ / ‖a‖.
    """

    features: Features
    at_centre: float
    per_norm: float

    @property
    def norm(self) -> float:
        """Bound of ‖B(a, ·)‖."""
        return self.at_centre + self.per_norm * self.deviation

    @property
    def size(self) -> float:
        """Bound of ‖a‖."""
        return self.features.size.rest

    @property
    def deviation(self) -> float:
        """Bound of ‖a − a₀‖."""
        return self.features.deviation.rest

    @property
    def defect(self) -> float:
        """Bound of ‖a(gx) − g a(x)‖."""
        return self.features.defect.rest


def through_product(
    first: Factor, second: Factor, rho: Representation, image_shape: tuple[int, ...], units: float
) -> Features:
    """Bounds of B(a, b) where g B(a, b) = B(g a, g b); `units` of |B|(|a|, |b|) are what rounding may change.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> one, half = Affine(0.0, 1.0), Affine(0.0, 0.5)
        >>> near = Features(trivial(CyclicGroup(2)), (), size=one, defect=half, deviation=half)
        >>> factor = Factor(near, at_centre=0.5, per_norm=1.0)
        >>> round(through_product(factor, factor, near.rho, (), 0.0).deviation.rest, 6)
        0.75
    """
    rounding = units * max(first.per_norm, second.per_norm) * first.size * second.size
    size = min(first.norm * second.size, second.norm * first.size)
    # B(a, b) − B(a₀, b₀) = B(a, b − b₀) + B(a − a₀, b₀) = B(a − a₀, b) + B(a₀, b − b₀)
    deviation = min(
        first.norm * second.deviation + second.at_centre * first.deviation,
        second.norm * first.deviation + first.at_centre * second.deviation,
    )
    defect = first.norm * second.defect + second.norm * first.defect
    return Features(
        rho,
        image_shape,
        size=Affine(0.0, EXCESS * size + rounding),
        defect=Affine(0.0, EXCESS * defect + 2 * rounding),
        deviation=Affine(0.0, EXCESS * deviation + rounding),
    )


@rule(_ATEN.mul.Tensor, _ATEN.div.Tensor)
def product(step: Step) -> Features:
    """A multiple by a number, rows divided by their length, or the product of two features entry by entry."""
    if not (isinstance(step.argument(0), Reference) and isinstance(step.argument(1), Reference)):
        return multiple(step)
    if step.operation.target is _ATEN.div.Tensor:
        return quotient(step)
    a, b = step.features(0), step.features(1)
    if (a.rho, a.image_shape, step.shape(0)) != (b.rho, b.image_shape, step.shape(1)):
        raise step.refusal(f"expected factors of one type and size, found {a.rho} and {b.rho}")
    step.need_permuted()
    first, second = (_factor(step, position, lambda value: value.abs().amax(), 1.0) for position in (0, 1))
    return through_product(first, second, a.rho, a.image_shape, 2 * step.unit)


@rule(_ATEN.bmm.default)
def matrices(step: Step) -> Features:
    """Products of matrices, whose rows are of one type and columns of another."""
    (rows, inner), (same, columns) = (axes_of(step, position) for position in (0, 1))
    if inner != same:
        raise step.refusal(f"expected a sum over axes of one type, found {inner} and {same}")
    first, second = (_factor(step, position, _spectral, 1.0) for position in (0, 1))
    return through_product(first, second, tensor_product(rows, columns), (), step.units_of_sums(inner.dim))


def filtered(step: Step, *, padding: int, groups: int, transposed: bool) -> Features:
    """Images (1, n · channels, …) convolved with filters (n, channels, …), one set for each, or the adjoint of that.

    Stride and dilation are 1.
    """
    filters, images = step.features(1), step.unchecked()
    shape, image = step.shape(), trivial(step.network.group)
    n_pixels, rho_in, rho_out = filters.n_pixels, filters.rho, image
    if transposed:
        rho_in, rho_out = image, filters.rho
    expected = (1, step.n_inputs * rho_in.dim, *images.image_shape)
    symmetric = all(size == 2 * padding + 1 for size in filters.image_shape)
    if images.rho != rho_in or shape != expected or groups != step.n_inputs or not symmetric:
        raise step.refusal("expected filters for every image, of the type of its channels, around their middle")
    if step.argument(2) is not None:
        raise step.refusal("expected no bias beside filters that depend on the input")
    n_axes, per_norm = step.n_axes, math.sqrt(n_pixels)  # a pixel lies in that many windows
    first = _factor(step, 1, lambda value: operator_norm_bound(value[:, None], n_axes).amax(), per_norm)
    second = _factor(step, 0, lambda value: per_norm * value.reshape(step.n_inputs, -1).norm(dim=1).amax(), per_norm)
    return through_product(first, second, rho_out, images.image_shape, step.units_of_sums(n_pixels * rho_in.dim))


def _factor(step: Step, position: int, norm: Callable[[Tensor], Tensor], per_norm: float) -> Factor:
    features, value = step.local(position), step.centres.value(step.argument(position))
    return Factor(features, EXCESS * float(norm(value)), per_norm)


def _spectral(value: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(value, 2).amax()
