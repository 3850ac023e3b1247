"""What a method is to a training run: what it adds to a step, and does before the first and after the last one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctmar.training.patches import Batch


def _same_batch(batch: Batch, step: int) -> Batch:
    return batch


def _no_penalty(batch: Batch, output: Tensor, step: int) -> Tensor:
    return torch.zeros((), device=output.device)


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method attached to a network.

    Args:
        parameter_groups: what the optimiser trains, in torch's form; called once, after attaching.
        batch: what the step sees instead of the drawn batch (turned, doubled), given the number of the step.
        penalty: scalar that is added to the task loss, given what `batch` returned, the network's output for it and the
            number of the step; called after the forward pass, under the same autocast.
        penalty_per_part: the penalty is one of features, taken over samples, not of weights. Where a batch is cut into
            parts, the drawn batch is cut first, `batch` and `penalty` are called for every part, and the penalty's
            gradient is averaged over parts like that of the task loss. Otherwise `batch` is called once, before the
            cut, and `penalty` once a step.
        begin_step: called before every step with the share of all steps that is over, in [0, 1).
        end_step: called after every step of the optimiser with its learning rate.
        finish: called once after the last step: from then on the network's state dictionary is a plain one, which a
            network of `build_network` loads, and the network is what the method promises.
        state: what has to survive a restart beyond the state dictionary of the network.
        load_state: puts it back.
    """

    parameter_groups: Callable[[], list[dict[str, Any]]]
    batch: Callable[[Batch, int], Batch] = _same_batch
    penalty: Callable[[Batch, Tensor, int], Tensor] = _no_penalty
    penalty_per_part: bool = False
    begin_step: Callable[[float], object] = _nothing
    end_step: Callable[[float], object] = _nothing
    finish: Callable[[], object] = _nothing
    state: Callable[[], dict[str, Any]] = dict
    load_state: Callable[[dict[str, Any]], object] = _nothing

    @property
    def penalises_weights(self) -> bool:
        """Whether `penalty` is one of the weights alone, the same whatever the batch."""
        return self.penalty is not _no_penalty and not self.penalty_per_part

    @property
    def finishes(self) -> bool:
        """Whether anything is done after the last step; if not, the network is what its last epoch left."""
        return self.finish is not _nothing


def all_parameters(network: nn.Module) -> Callable[[], list[dict[str, Any]]]:
    """The `Method.parameter_groups` of a method that trains every parameter alike."""
    return lambda: [{"params": list(network.parameters())}]
