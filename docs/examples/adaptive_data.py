"""What the problems of adaptive.py share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

N_GRID = 29  # weights tried on validation data
FIRST_SEED = 100  # the method was developed on seeds from 0 on


class Sample(NamedTuple):
    """Training and validation data; validation data are half as many."""

    inputs: Tensor
    targets: Tensor
    inputs_valid: Tensor
    targets_valid: Tensor


def joined(sample: Sample, axis: int) -> Sample:
    """Validation data as more training data, for a method that needs none."""
    inputs = torch.cat([sample.inputs, sample.inputs_valid], axis)
    return sample._replace(inputs=inputs, targets=torch.cat([sample.targets, sample.targets_valid], axis))


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the examples of the squared length of the error."""
    return (outputs - targets).square().flatten(1).sum(1).mean()


def each(method: str, values: Tensor) -> Iterator[tuple[int, str, float]]:
    """Rows of a method, one for each seed."""
    for seed, value in enumerate(values.tolist()):
        yield seed, method, value
