"""Rules for rows of a tensor (batch, rows, entries) that are divided by their length."""

from dataclasses import replace

import torch
from torch import Tensor

from equiproj.certificates.bounds import EXCESS, Affine, Features, through_contraction
from equiproj.certificates.steps import LayerConstants, Step, rule
from equiproj.certificates.two_axes import axes_of

_ATEN = torch.ops.aten
_UNITS = 16  # of a root, a sum and a quotient


@rule(_ATEN.linalg_vector_norm.default)
def lengths(step: Step) -> Features:
    """Euclidean lengths of rows: 1-Lipschitz, and moved as the rows are."""
    rows, entries = axes_of(step)
    order, axes, kept = step.argument(1, 2), step.argument(2), step.argument(3, False)
    if (order, axes, kept) not in ((2, [2], True), (2, [-1], True)):
        raise step.refusal("expected Euclidean lengths of rows, keepdim=True")
    features = step.features()
    found = through_contraction(features, 1.0, ((entries.dim + _UNITS) * step.unit) * features.size)
    return replace(found, rho=rows)


def quotient(step: Step) -> Features:
    """Rows v ↦ v / (‖v‖ + ε): no longer than 1, and Lipschitz where they are not short (equation 7.7)."""
    least = _added_to_own_length(step)
    rows, entries = axes_of(step)
    features, value = step.local(0), step.centres.value(step.argument(0))
    sizes = value.norm(dim=2) / EXCESS  # (batch, rows)
    moved, turned = features.deviation.rest, features.defect.rest
    rounding = Affine(0.0, (entries.dim + _UNITS) * step.unit * rows.dim**0.5)
    step.constants.append(LayerConstants(step.operation.place, float(_slopes(sizes, moved, least).max())))
    return replace(
        features,
        size=Affine(0.0, rows.dim**0.5) + rounding,
        defect=Affine(0.0, _change((sizes - moved).clamp(min=0), turned, least)) + 2 * rounding,
        deviation=Affine(0.0, _change(sizes, moved, least)) + rounding,
        linear=None,
    )


def _change(sizes: Tensor, distance: float, least: float) -> float:
    """How far rows of these lengths, or longer ones, go when they are moved by `distance` in all."""
    slopes = _slopes(sizes, distance, least)
    by_rows = (slopes * distance).clamp(max=2.0).norm(dim=1)
    return EXCESS * float(torch.minimum(by_rows, slopes.amax(dim=1) * distance).max())


def _slopes(sizes: Tensor, distance: float, least: float) -> Tensor:
    """By the length of one end, and by the least length between both."""
    return torch.minimum(2 / (sizes + least), 1 / ((sizes - distance).clamp(min=0) + least))


def _added_to_own_length(step: Step) -> float:
    """The number ε of rows / (lengths of the same rows + ε), no more than rounding leaves of it.

    Raises:
        ValueError: it is another quotient.
    """
    total = step.made_by(step.argument(1))
    length = step.made_by(total.arguments[0]) if total and total.target is _ATEN.add.Tensor else None
    if total and length and length.target is _ATEN.linalg_vector_norm.default:
        number, rows = total.arguments[1], length.arguments[0]
        if isinstance(number, float) and number > 0 and not total.options and rows == step.argument(0):
            return number * (1 - 4 * step.unit)
    raise step.refusal("expected a quotient by a number, or of rows by their length and a number above 0")
