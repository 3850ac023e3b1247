"""Normalisation that commutes with the group, and thresholds that do."""

from typing import Literal

import torch
from torch import Tensor, nn

from ctmar.errors import InputError
from ctmar.models.channels import split_channels

Normalisation = Literal["batch", "field"]


class FieldNormalisation(nn.Module):
    r"""Batch normalisation that shares statistics, scale and shift within each regular field.

    .. math::
        y_{f,g} = γ_f \frac{x_{f,g} - μ_f}{\sqrt{σ_f^2 + ε}} + β_f

    with mean μ and variance σ² of field f over batch, pixels and the channels g of the field. Equal constants inside a
    field commute with every permutation of its channels, so a projected layer stays equivariant; batch normalisation
    with constants per channel does not commute. An image channel in front of the fields has constants of its own.

    Args:
        n_channels: channels: whole fields, or one image and whole fields.
        field_size: channels of a field: the order of the group.

    Raises:
        InputError: the channels do not split.
    """

    def __init__(self, n_channels: int, field_size: int) -> None:
        super().__init__()
        self.n_invariant, self.n_fields = split_channels(n_channels, field_size)
        self.field_size = field_size
        self.fields = nn.BatchNorm3d(self.n_fields)
        self.invariant = nn.BatchNorm2d(1) if self.n_invariant else None

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (n, c, h, w)."""
        fields = features[:, self.n_invariant :].unflatten(1, (self.n_fields, self.field_size))
        normalised = self.fields(fields).flatten(1, 2)
        if self.invariant is None:
            return normalised
        return torch.cat((self.invariant(features[:, :1]), normalised), dim=1)


def make_normalisation(kind: Normalisation, n_channels: int, field_size: int) -> nn.Module:
    """Batch normalisation as published, or the one shared within fields.

    Raises:
        InputError: another kind, or channels that do not split into fields.
    """
    if kind == "batch":
        return nn.BatchNorm2d(n_channels)
    if kind == "field":
        return FieldNormalisation(n_channels, field_size)
    raise InputError(f"network: expected normalisation 'batch' or 'field', found {kind!r}")


class Threshold(nn.Module):
    """x ↦ max(x − τ, 0) with one learnt τ per channel, or per field with ``kind`` "field".

    Args:
        n_channels: channels of x.
        start: first value of τ.
        kind: normalisation of the network; "field" shares τ within each field.
        field_size: channels of a field.
    """

    def __init__(self, n_channels: int, start: float, kind: Normalisation = "batch", field_size: int = 1) -> None:
        super().__init__()
        self.repeats = field_size if kind == "field" else 1
        self.value = nn.Parameter(torch.full((1, n_channels // self.repeats, 1, 1), start))

    def forward(self, features: Tensor) -> Tensor:
        """Shrink (n, c, h, w)."""
        return torch.relu(features - self.value.repeat_interleave(self.repeats, dim=1))
