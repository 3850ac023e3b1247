"""One optimiser step, the same for every method; what training repeats and the cost table times."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ctmar.config import Network, Run, Training
from ctmar.errors import InputError
from ctmar.models import build_network
from ctmar.training.methods import Method, attach_method
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_seed


@dataclass
class TrainingState:
    """Everything that a step or an epoch changes."""

    network: nn.Module
    method: Method
    optimiser: torch.optim.Optimizer
    records: list[dict[str, Any]] = field(default_factory=list)


def choose_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: ``cuda`` is asked for where torch finds no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("training.device: expected a GPU for 'cuda', torch finds none; use 'cpu'")
    torch.backends.cudnn.deterministic = True
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """The name of a GPU, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def start(run: Run, network: Network, training: Training, group_order: int, power: Literal[1, 2]) -> TrainingState:
    """A run before its first step; the initial weights depend on the network and the seed, not on the method.

    Raises:
        InputError: a setting does not fit the network, or there is no such device.
    """
    device = choose_device(training.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(run.seed, "initialisation"))
        module = build_network(network.architecture, **{"group_order": group_order, **network.settings})
    module = module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    method = attach_method(module, run, group_order, power)
    optimiser = torch.optim.Adam(method.parameter_groups(), lr=training.learning_rate, betas=training.betas, fused=True)
    return TrainingState(module, method, optimiser)


def training_step(state: TrainingState, batch: Batch, step: int) -> tuple[float, float]:
    """One step of the optimiser; returns the loss and the penalty in it.

    Raises:
        InputError: the loss is not finite; the weights stay those before the step.
    """
    # turned copies are laid out row by row: bring them back to channels last
    batch = state.method.batch(batch, step).to(batch.inputs.device)
    state.optimiser.zero_grad()
    output = state.network(batch.inputs)
    task_loss = masked_mean_square(output, batch)
    penalty = state.method.penalty(batch, output, step)
    loss = task_loss + penalty
    if not math.isfinite(loss.item()):
        raise InputError(
            f"training stopped at step {step + 1}: expected a finite loss, found {loss.item()} (task"
            f" {task_loss.item()}, penalty {penalty.item()}); lower training.learning_rate or the penalty's weight"
        )
    loss.backward()
    state.optimiser.step()
    return loss.item(), penalty.item()


def masked_mean_square(output: Tensor, batch: Batch) -> Tensor:
    r"""Mean square error outside metal, :math:`\sum m (\hat x - x)^2 / \sum m` with m = 1 outside metal."""
    return ((output - batch.target) ** 2 * batch.outside_metal).sum() / batch.outside_metal.sum()


def learning_rate(training: Training, step: int) -> float:
    """Learning rate of step ``step``, counted from 0.

    ``constant``: the first rate r. ``cosine``: r ½(1 + cos(π step / n_steps)), from r to zero. Both rise linearly over
    the first ``warmup_steps`` steps: the first steps of Adam are otherwise large enough to switch off every ReLU.

    Examples:
        >>> settings = Training(epochs=1, steps_per_epoch=4, learning_rate=0.01, schedule="cosine", warmup_steps=2)
        >>> [round(learning_rate(settings, step), 6) for step in range(4)]
        [0.005, 0.008536, 0.005, 0.001464]
    """
    rate = training.learning_rate * min(1.0, (step + 1) / max(1, training.warmup_steps))
    if training.schedule == "constant":
        return rate
    return rate * (1 + math.cos(math.pi * step / (training.epochs * training.steps_per_epoch))) / 2


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters the learning rate ``rate``."""
    for group in optimiser.param_groups:
        group["lr"] = rate
