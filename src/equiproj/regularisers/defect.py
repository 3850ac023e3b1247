"""The defect of a network measured on data."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from equiproj.groups import FiniteGroup, Group, given_group
from equiproj.groups.group import Element
from equiproj.layers.evaluating import evaluating
from equiproj.regularisers.batches import BatchType, is_moved, measured_tensors, move_batch, move_tensor

# Up to this order every element is tried.
_LARGEST_ORDER = 4096


class MeasuredDefect(NamedTuple):
    """Largest and mean relative defect over the group elements that were tried.

    Examples:
        >>> MeasuredDefect(maximum=0.5, mean=0.25).mean
        0.25
    """

    maximum: float
    mean: float


@torch.no_grad()
def measured_defect(
    module: nn.Module,
    batch: Any,
    group: Group | str,
    rho_in: BatchType | None = None,
    rho_out: BatchType | None = None,
    *,
    elements: Sequence[Element] | None = None,
    n_samples: int = 16,
    seed: int = 0,
) -> MeasuredDefect:
    """‖f(g·x) − g·f(x)‖ / ‖f(x)‖ in evaluation mode, norms over the whole batch; maximum and mean over elements g ≠ e.

    Images (n, c, h, w) and volumes (n, c, d, h, w) move with their pixels, by
    :func:`~equiproj.representations.action.act`, and their channels are trivial unless a type is given. Nothing is
    assumed of features: (n, c), sequences and point clouds (n, points, c) need a type, which acts on the last axis, or
    a mapping from axes to types (:func:`~equiproj.regularisers.batches.move_tensor`), which signals (n, c, length) need
    for their pixels: `{1: "trivial", 2: grid(group, (length,))}`. Of several outputs the one with
    the largest defect counts. Training mode is restored for every submodule. Norms are taken in float64. It is NaN
    where an output holds NaN or infinity.

    Args:
        module: called with the batch; with `**batch` if that is a dictionary, with `*batch` if it is a tuple.
        batch: a tensor, or a dictionary or tuple of tensors.
        group: the group. Of one with up to 4,096 elements all are tried; of a larger or continuous one its generators
            and `n_samples` elements drawn from it.
        rho_in: type of the batch, such as `"regular"`, which is repeated; None for images alone: trivial. For a
            dictionary or tuple one of the same form, where None stands for what does not move.
        rho_out: type of the output, likewise; entries of a dictionary, `ModelOutput` or tuple that it does not name, or
            to which it gives None, are not measured.
        elements: what is tried instead, such as angles of SO(2); on images they have to move pixels onto pixels.
        n_samples: elements drawn.
        seed: of the draw.

    Raises:
        ValueError: a type is missing or does not fit, elements that do not move pixels onto pixels, none but the
            identity, outputs whose shape changes, or a batch that says nothing: no element changes it or the outputs.

    Examples:
        >>> from equiproj.groups import SO2, CyclicGroup
        >>> from equiproj.representations import standard
        >>> measured_defect(nn.ReLU(), torch.randn(2, 1, 8, 8), CyclicGroup(4))
        MeasuredDefect(maximum=0.0, mean=0.0)
        >>> vectors = torch.randn(5, 2)
        >>> measured_defect(nn.ReLU(), vectors, SO2(), standard(SO2()), standard(SO2())).maximum > 0.1
        True
    """
    group = given_group(group)
    tried = tried_elements(group, elements, n_samples, seed)
    with evaluating(module):
        expected = list(measured_tensors(_call(module, batch), rho_out))
        if not expected:
            raise ValueError("expected rho_out= to name at least one output, found none")
        ratios, moves = [], False
        for g in tried:
            turned = move_batch(batch, rho_in, partial(_move, g, group))
            found = measured_tensors(_call(module, turned), rho_out)
            moved = [move_tensor(reference, g, group, types, where) for where, reference, types in expected]
            each = [
                _relative(tensor, one, where)
                for (_, tensor, _), (where, _, _), one in zip(found, expected, moved, strict=True)
            ]
            ratios.append(torch.stack(each).max())
            outputs = [reference for _, reference, _ in expected]
            moves = moves or is_moved(batch, turned) or is_moved(outputs, moved)
    if not moves:
        raise ValueError(
            f"expected a batch that {group} changes, found one that it leaves as it is, and the outputs too, so that "
            "any network would have the defect 0: draw numbers at random, and give types that the group acts on"
        )
    values = torch.stack(ratios)
    return MeasuredDefect(float(values.max()), math.fsum(values.tolist()) / len(values))


def _move(g: Element, group: Group, tensor: Tensor, types: BatchType | None, where: str) -> Tensor:
    return move_tensor(tensor, g, group, types, where)


def _call(module: nn.Module, batch: Any) -> Any:
    """Call it on a copy: a network may write into what it is given."""
    if isinstance(batch, Mapping):
        return module(**{name: _copied(value) for name, value in batch.items()})
    return module(*map(_copied, batch)) if isinstance(batch, tuple) else module(_copied(batch))


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def tried_elements(group: Group, elements: Sequence[Element] | None, n_samples: int, seed: int) -> Sequence[Element]:
    """What is tried; for a group that cannot be listed its generators, and elements drawn from the Haar measure.

    Raises:
        ValueError: there is none.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> tried_elements(CyclicGroup(4), None, 16, 0)
        (1, 2, 3)
    """
    if elements is None:
        if isinstance(group, FiniteGroup) and group.order <= _LARGEST_ORDER:
            elements = group.elements[1:]
        else:
            elements = [*group.generators, *group.sample(n_samples, torch.Generator().manual_seed(seed))]
    if not len(elements):
        raise ValueError(f"expected a group with more elements than the identity, found {group}")
    return elements


def _relative(found: Tensor, expected: Tensor, where: str) -> Tensor:
    """The action keeps lengths, so the turned output stands for the output."""
    if found.shape != expected.shape:
        raise ValueError(
            f"expected {where} in one shape, found {tuple(found.shape)} and {tuple(expected.shape)} turned"
        )
    # A difference of float32 numbers is exact in float64, which some devices do not have.
    precise = torch.float32 if found.device.type == "mps" else torch.float64
    defect = torch.linalg.vector_norm(found.to(precise) - expected.to(precise))
    return torch.where(defect == 0, 0.0, defect / torch.linalg.vector_norm(expected.to(precise)))
