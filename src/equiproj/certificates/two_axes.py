"""Rules for tensors (batch, a, b) on whose axes the group acts one by one: matrices, windows, filters from atoms."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from equiproj.certificates.bounds import EXCESS, Features
from equiproj.certificates.steps import LayerConstants, Step, rule
from equiproj.certificates.trace import Constant, typed_weight
from equiproj.projections import ConvProjector
from equiproj.representations import Representation, direct_sum, grid, tensor_product, trivial
from equiproj.representations.combining import TensorSummand

_ATEN = torch.ops.aten
_FILTERS = "bne,exy->bnxy"  # the equation of filters that are sums of atoms


def axes_of(step: Step, position: int = 0) -> tuple[Representation, Representation]:
    """Types of the two axes behind the batch.

    Raises:
        ValueError: the features are no such tensor.
    """
    features, shape = step.features(position), step.shape(position)
    summands = features.rho.summands
    products = [summand for summand in summands if isinstance(summand, TensorSummand)]
    if len(products) < len(summands) or any(one.second != products[0].second for one in products):
        raise step.refusal(f"expected a type for each of two axes, found {features.rho}")
    first, second = direct_sum(one.first for one in products), products[0].second
    if shape[1:] != (first.dim, second.dim):
        raise step.refusal(f"expected axes of {first.dim} and {second.dim}, found shape {shape}")
    return first, second


@rule(_ATEN.im2col.default)
def windows_as_rows(step: Step) -> Features:
    """All windows (n, pixels of one, windows) around the pixels of an invariant image: each pixel once in every row."""
    features, size, group = step.features(), step.argument(1), step.network.group
    settings = [tuple(step.argument(position)) for position in (2, 3, 4)]
    padding = tuple(side // 2 for side in size)
    if features.rho != trivial(group) or len(features.image_shape) != 2:
        raise step.refusal(f"expected an image of one invariant channel, found {features.rho}")
    if settings != [(1, 1), padding, (1, 1)] or len(set(size)) > 1 or size[0] % 2 == 0:
        raise step.refusal("expected an odd window around every pixel")
    rho = tensor_product(grid(group, tuple(size)), grid(group, features.image_shape))
    factor = math.sqrt(math.prod(size))  # a pixel lies in that many windows, squared
    step.constants.append(LayerConstants(step.operation.place, factor))
    norm, defect, deviation = (factor * bound for bound in (features.size, features.defect, features.deviation))
    return Features(rho, (), norm, defect, deviation)


@rule(_ATEN.transpose.int)
def transposition(step: Step) -> Features:
    """Both axes behind the batch change places, or batch and channels where an image has one channel."""
    axes = {step.argument(1) % len(step.shape()), step.argument(2) % len(step.shape())}
    if axes == {1, 2} and len(step.shape()) == 3:
        first, second = axes_of(step)
        return replace(step.features(), rho=tensor_product(second, first), linear=None)
    if axes == {0, 1} and step.unchecked().rho.dim == 1 and sorted(step.shape()[:2]) == [1, step.n_inputs]:
        return replace(step.unchecked(), linear=None)
    raise step.refusal("expected matrices, or images of one channel")


@rule(_ATEN.matmul.default)
def times_atoms(step: Step) -> Features:
    """Rows times the matrix (pixels, channels) of a declared convolution to one invariant channel, or its transpose."""
    first, _ = axes_of(step)
    features, rho = _times(step, step.argument(1), step.constant(1))
    return replace(features, rho=tensor_product(first, rho))


@rule(_ATEN.einsum.default)
def sums_of_atoms(step: Step) -> Features:
    """Filters (batch, n, x, y) that are sums of atoms (e, x, y) with weights (batch, n, e)."""
    equation, operands = step.operation.arguments[:2]
    inner = replace(step, operation=replace(step.operation, arguments=tuple(operands)))
    value = inner.constant(1)
    if equation.replace(" ", "") != _FILTERS or value is None:
        raise step.refusal(f"expected {_FILTERS} with constant atoms")
    first, _ = axes_of(inner)
    features, _ = _times(inner, inner.argument(1), value.flatten(1))
    return replace(features, rho=first, image_shape=tuple(value.shape[1:]))


def _times(step: Step, constant: object, matrix: Tensor | None) -> tuple[Features, Representation]:
    """Bounds of x M for rows x, and the type of the columns of M."""
    _, rho_in = axes_of(step)
    if not isinstance(constant, Constant) or matrix is None or matrix.ndim != 2:
        raise step.refusal("expected a product with a constant matrix")
    rho_out = _type_of_columns(step, constant, rho_in)
    if matrix.shape != (rho_in.dim, rho_out.dim):
        raise step.refusal(f"expected a matrix from {rho_in} to {rho_out}, found shape {tuple(matrix.shape)}")
    moved = [rho_in(g).T @ matrix @ rho_out(g) for g in step.network.group.elements]
    whole, magnitude = _spectral(matrix), _spectral(matrix.abs())
    perpendicular = _spectral(matrix - torch.stack(moved).mean(0))
    commutator = max(_spectral(one - matrix) for one in moved)
    step.constants.append(LayerConstants(step.operation.place, whole, perpendicular, commutator))
    features = step.features()
    rounding = (step.units_of_sums(rho_in.dim) * magnitude) * features.size
    return (
        Features(
            features.rho,
            (),
            size=whole * features.size + rounding,
            defect=whole * features.defect + commutator * features.size + 2 * rounding,
            deviation=whole * features.deviation + rounding,
        ),
        rho_out,
    )


def _type_of_columns(step: Step, constant: Constant, rho_in: Representation) -> Representation:
    try:
        entry = typed_weight(constant, step.network.module, step.network.parameters)
    except ValueError as error:
        raise step.refusal(str(error)) from None
    projector, group = entry.projector, step.network.group
    if not isinstance(projector, ConvProjector) or projector.rho_out != trivial(group):
        raise step.refusal("expected the atoms of a declared convolution to one invariant channel")
    channels = projector.rho_in
    pixels = grid(group, tuple(entry.layer.get_parameter("weight").shape[2:]))
    if rho_in not in (channels, pixels):
        raise step.refusal(f"expected rows of type {channels} or {pixels}, found {rho_in}")
    return pixels if rho_in == channels else channels


def _spectral(matrix: Tensor) -> float:
    return EXCESS * float(torch.linalg.matrix_norm(matrix, 2))
