"""Checks and counts that the unrolled networks share."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

from ctmar.errors import InputError
from equiproj.groups import FiniteGroup

Declaration = Literal["proximal", "all"]


def check_unrolled(name: str, counts: Iterable[int], kernel_size: int, declare: str) -> None:
    """Check the settings of an unrolled network.

    Raises:
        InputError: a count below 1, an even kernel, or an unknown declaration.
    """
    if min(counts) < 1:
        raise InputError(f"network {name}: expected counts of at least 1, found {min(counts)}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"network {name}: expected an odd kernel_size, found {kernel_size}")
    if declare not in ("proximal", "all"):
        raise InputError(f"network {name}: expected declare 'proximal' or 'all', found {declare!r}")


def check_field_size(name: str, field_size: int | None, group: FiniteGroup) -> None:
    """Check that fields of ``group`` lie inside those of the normalisation; None: the normalisation has none.

    Raises:
        InputError: the normalisation's fields are no multiple of the group order.
    """
    if field_size is not None and field_size % group.order:
        raise InputError(
            f"network {name}: expected normalisation fields in multiples of the group order {group.order},"
            f" found group_order {field_size}"
        )


def step_sizes(count: int, start: float) -> nn.Parameter:
    """Learnt step sizes of ``count`` stages, shape (count, 1) as in the published files."""
    return nn.Parameter(torch.full((count, 1), start))
