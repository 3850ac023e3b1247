"""What each method adds to the plain training step: the one place that turns a `Run` into code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from equiproj.groups import FiniteGroup
from torch import Tensor, nn

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.models.build import layer_types
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator


def _same_batch(batch: Batch, step: int) -> Batch:
    return batch


def _no_penalty() -> Tensor:
    return torch.zeros(())


@dataclass
class Method:
    """A method attached to a network.

    Args:
        batch: what the step sees instead of the drawn batch (turned, doubled), given the step's number.
        penalty: scalar added to the task loss, called after the forward pass.
        state: buffers that must survive a restart, as a module's state dictionary.
        load_state: sets them again.
    """

    batch: Callable[[Batch, int], Batch] = _same_batch
    penalty: Callable[[], Tensor] = _no_penalty
    state: Callable[[], dict[str, Any]] = dict
    load_state: Callable[[dict[str, Any]], object] = lambda state: None
