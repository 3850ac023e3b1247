"""How bounds of features pass through the parts of a network (docs/derivation.md, section 7)."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from equiproj.groups import FiniteGroup
from equiproj.norms import matrix_norm, operator_norm_bound
from equiproj.projections import LinearProjector
from equiproj.representations import Representation
from equiproj.representations.action import act, move_channels

_MOST_ELEMENTS = 48  # of a group whose every element is tried on matrices; beyond, ‖g⁻¹Tg − T‖ ≤ 2 ‖T − PT‖
EXCESS = 1 + 1e-9  # what the float64 arithmetic of the bound itself may lack


class Affine(NamedTuple):
    """A bound that grows with the norm r of the input: rate · r + rest, both at least 0.

    Examples:
        >>> Affine(1.0, 2.0) + 3 * Affine(1.0, 0.0)
        Affine(rate=4.0, rest=2.0)
    """

    rate: float
    rest: float

    def __add__(self, other: object) -> "Affine":
        if not isinstance(other, Affine):
            return NotImplemented
        return Affine(self.rate + other.rate, self.rest + other.rest)

    def __rmul__(self, factor: object) -> "Affine":
        if not isinstance(factor, float | int):
            return NotImplemented
        return Affine(factor * self.rate, factor * self.rest)

    def beside(self, other: "Affine") -> "Affine":
        """Bound of ‖(a, b)‖ from those of ‖a‖ and ‖b‖.

        Examples:
            >>> Affine(3.0, 0.0).beside(Affine(4.0, 1.0))
            Affine(rate=5.0, rest=1.0)
        """
        return Affine(math.hypot(self.rate, other.rate), math.hypot(self.rest, other.rest))

    def least(self, other: "Affine") -> "Affine":
        """The other one where it is nowhere larger.

        Examples:
            >>> Affine(3.0, 1.0).least(Affine(2.0, 1.0)), Affine(3.0, 1.0).least(Affine(2.0, 5.0))
            (Affine(rate=2.0, rest=1.0), Affine(rate=3.0, rest=1.0))
        """
        return other if other.rate <= self.rate and other.rest <= self.rest else self


@dataclass(frozen=True)
class Features:
    """Of features h(x) as a computer finds them: bounds of ‖h(x)‖ and ‖h(gx) − g h(x)‖; their type and image size.

    Also how far h(x) can be from its value at the input that the certificate starts from, or at one of several.

    Args:
        rho: type of the channels.
        image_shape: pixels; () without any.
        size: bound of ‖h(x)‖.
        defect: bound of ‖h(gx) − g h(x)‖ for every g.
        deviation: bound of ‖h(x) − h(x₀)‖ for that input x₀, with h(x₀) as float64 finds it.
        linear: the layer that they come from, so that an affine map of channels behind it can be joined to it.
    """

    rho: Representation
    image_shape: tuple[int, ...]
    size: Affine
    defect: Affine
    deviation: Affine
    linear: "LinearMap | None" = None

    @property
    def permuted(self) -> bool:
        """Whether the group permutes the channels, so that what acts on each entry alone commutes with it."""
        return all(self.rho.permutation(g) is not None for g in _finite(self.rho).generators)

    @property
    def n_pixels(self) -> int:
        """Entries of a channel."""
        return math.prod(self.image_shape)

    def within_size(self) -> "Features":
        """The same; two features of one size are never farther apart than twice that."""
        return replace(self, defect=self.defect.least(2 * self.size))


@dataclass(frozen=True)
class LinearMap:
    """T h + b on features, and what rounding may change of it.

    Args:
        source: the features h.
        kernel: (rows, columns, *k) in float64, one row per output channel, of a layer without blocks; of a transposed
            layer one row per input channel.
        rho_out: type of the output channels.
        image_shape: pixels of the output.
        bias: (channels,) in float64.
        rounding: bound of how far the computed features are from T h + b.
        transposed: whether T is the adjoint of the convolution with this kernel.
        whole_windows: whether no input pixel of a convolution lies in two windows, so that ‖T‖ is that of its matrix.
    """

    source: Features
    kernel: Tensor
    rho_out: Representation
    image_shape: tuple[int, ...]
    bias: Tensor
    rounding: Affine
    transposed: bool = False
    whole_windows: bool = False

    def scaled(self, scale: Tensor, shift: Tensor, rounding: Affine) -> "LinearMap":
        """The same followed by c ↦ scale c + shift in each channel, which adds a rounding of its own."""
        across = scale[None, :] if self.transposed else scale[:, None]
        kernel = across.reshape(*across.shape, *[1] * (self.kernel.ndim - 2)) * self.kernel
        largest = float(scale.abs().max())
        return LinearMap(
            self.source,
            kernel,
            self.rho_out,
            self.image_shape,
            scale * self.bias + shift,
            largest * self.rounding + rounding,
            self.transposed,
            self.whole_windows,
        )

    def norms(self) -> tuple[float, float, float]:
        """Bounds of ‖T‖, of ‖T − PT‖, and of the largest ‖g⁻¹Tg − T‖ over the group, which is at most twice that."""
        group = _finite(self.rho_out)
        rows, columns = (self.source.rho, self.rho_out) if self.transposed else (self.rho_out, self.source.rho)
        whole = self._norm(self.kernel)
        if self.kernel.ndim == 2 and len(group.elements) > _MOST_ELEMENTS:
            perpendicular = self._norm(self.kernel - LinearProjector(columns, rows)(self.kernel))
            return whole, perpendicular, 2 * perpendicular
        moved = [_moved(self.kernel, g, group, rows, columns) for g in group.elements]
        perpendicular = self._norm(self.kernel - torch.stack(moved).mean(0))
        return whole, perpendicular, max(self._norm(one - self.kernel) for one in moved)

    def magnitude(self) -> float:
        """Bound of the norm of T with every entry replaced by its absolute value."""
        return self._norm(self.kernel.abs())

    def _norm(self, kernel: Tensor) -> float:
        matrix = EXCESS * float(matrix_norm(kernel.flatten(1), "spectral"))
        if kernel.ndim == 2 or self.whole_windows:
            return matrix
        return EXCESS * float(operator_norm_bound(kernel, kernel.ndim - 2))


class LayerBounds(NamedTuple):
    """What a linear layer contributes: bounds of ‖T‖, ‖T − PT‖, ‖g⁻¹Tg − T‖, ‖b − gb‖."""

    whole: float
    perpendicular: float
    commutator: float
    bias_defect: float


def through_linear(part: LinearMap) -> tuple[Features, LayerBounds]:
    """Bounds behind a layer (equations 7.1 and 7.2)."""
    whole, perpendicular, commutator = part.norms()
    source = part.source
    constant = part.bias.reshape(1, -1, *[1] * len(part.image_shape)).expand(1, -1, *part.image_shape)
    bias_size, bias_defect = constant_bounds(constant, part.rho_out)
    features = Features(
        part.rho_out,
        part.image_shape,
        size=whole * source.size + Affine(0.0, bias_size) + part.rounding,
        defect=whole * source.defect + commutator * source.size + Affine(0.0, bias_defect) + 2 * part.rounding,
        deviation=whole * source.deviation + part.rounding,
        linear=part,
    )
    return features, LayerBounds(whole, perpendicular, commutator, bias_defect)


def constant_bounds(constant: Tensor, rho: Representation) -> tuple[float, float]:
    """‖b‖ and the largest ‖g b − b‖ of one image b, (1, channels, *pixels)."""
    group = _finite(rho)
    turned = (act(constant, g, group, rho) for g in group.elements)
    moved = [float((image - constant).norm()) for image in turned]
    return EXCESS * float(constant.norm()), EXCESS * max(moved)


def through_contraction(
    features: Features, factor: float, rounding: Affine, *, image_shape: tuple[int, ...] | None = None
) -> Features:
    """Bounds behind what commutes with the group, maps 0 to 0 and has this Lipschitz constant (equation 7.3)."""
    return Features(
        features.rho,
        features.image_shape if image_shape is None else image_shape,
        size=factor * features.size + rounding,
        defect=factor * features.defect + 2 * rounding,
        deviation=factor * features.deviation + rounding,
    )


def added(first: Features, second: Features, second_factor: float, unit: float) -> Features:
    """Bounds of h₁ + factor · h₂."""
    size, factor = first.size + abs(second_factor) * second.size, abs(second_factor)
    rounding = (2 * unit) * size
    defect = first.defect + factor * second.defect + 2 * rounding
    deviation = first.deviation + factor * second.deviation + rounding
    return Features(first.rho, first.image_shape, size + rounding, defect, deviation)


def _moved(kernel: Tensor, g: Any, group: FiniteGroup, rows: Representation, columns: Representation) -> Tensor:
    """ρ_rows(g) (g·W) ρ_columns(g)ᵀ, the kernel of g T g⁻¹."""
    turned = act(kernel, g, group, columns)
    return move_channels(turned.transpose(0, 1), g, rows).transpose(0, 1)


def _finite(rho: Representation) -> FiniteGroup:
    assert isinstance(rho.group, FiniteGroup)  # `certified_defect_bound` refuses others
    return rho.group
