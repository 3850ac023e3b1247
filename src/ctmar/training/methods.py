"""What each method adds to the plain training step: the one place that turns a `Run` into code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_generator
from equiproj import ProjectionPenalty
from equiproj.baselines import EQReg, random_group_transform
from equiproj.groups import CyclicGroup


def _same_batch(batch: Batch, step: int) -> Batch:
    return batch


def _no_penalty() -> Tensor:
    return torch.zeros(())


def _nothing_to_load(state: dict[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Method:
    """A method attached to a network.

    Args:
        batch: what the step sees instead of the drawn batch (turned, doubled), given the number of the step.
        penalty: scalar that is added to the task loss, called after the forward pass.
        state: what has to survive a restart.
        load_state: puts it back.
    """

    batch: Callable[[Batch, int], Batch] = _same_batch
    penalty: Callable[[], Tensor] = _no_penalty
    state: Callable[[], dict[str, Any]] = dict
    load_state: Callable[[dict[str, Any]], object] = _nothing_to_load


def attach_method(network: nn.Module, run: Run, group_order: int, power: Literal[1, 2]) -> Method:
    """Attach the method of ``run`` to ``network`` for the rotation group C_n, n = ``group_order``.

    * ``plain``: nothing is added.
    * ``augmentation``: every patch is turned by an element of its own.
    * ``eqreg``: the batch is doubled with a copy turned by one element, λ_⊥ Σ_l of the feature mismatch is added.
    * ``projection``: λ_⊥ Σ_l ‖W_l − P(W_l)‖^power + λ_G Σ_l ‖P(W_l)‖^power is added.

    Raises:
        InputError: the group does not fit the network, or turns pixels between pixels.
    """
    group = CyclicGroup(group_order)
    try:
        match run.method:
            case "plain":
                return Method()
            case "augmentation":
                return _augmentation(run, group)
            case "eqreg":
                return _eqreg(network, run, group)
            case "projection":
                return _projection(network, run, group, power)
    except ValueError as error:
        raise InputError(f"method '{run.method}' of network '{run.network}' with {group}: {error}") from None


def _augmentation(run: Run, group: CyclicGroup) -> Method:
    def turned(batch: Batch, step: int) -> Batch:
        generator = torch_generator(run.seed, "method", step)
        return Batch(*random_group_transform(*batch.tensors, group=group, generator=generator))

    return Method(batch=turned)


def _eqreg(network: nn.Module, run: Run, group: CyclicGroup) -> Method:
    eqreg = EQReg(network, group, layer_types(network, group))

    def doubled(batch: Batch, step: int) -> Batch:
        return Batch(*eqreg.double(*batch.tensors, generator=torch_generator(run.seed, "method", step)))

    return Method(batch=doubled, penalty=lambda: run.lam_perp * eqreg.penalty())


def _projection(network: nn.Module, run: Run, group: CyclicGroup, power: Literal[1, 2]) -> Method:
    penalty = ProjectionPenalty(
        network,
        group,
        norm=run.norm,
        weight_perpendicular=run.lam_perp,
        weight_equivariant=run.lam_equi,
        power=power,
        layers=layer_types(network, group),
        include_bias=True,  # a network is equivariant only if its biases are
    )
    return Method(penalty=penalty, state=penalty.state_dict, load_state=penalty.load_state_dict)
