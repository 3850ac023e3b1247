"""What a run changes as it goes, and how it starts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from ctmar.config import Network, Run, Training
from ctmar.errors import InputError
from ctmar.models import build_network, load_weights
from ctmar.models.device import choose_device
from ctmar.models.predictor import predictor_of
from ctmar.models.symmetry import study_group
from ctmar.store.run_records import Epoch, LayersAtEpoch, WeightNorms
from ctmar.training.adam import Adam
from ctmar.training.method import Method
from ctmar.training.methods import attach_method, common_start
from ctmar.training.random_streams import torch_seed
from equiproj.groups import FiniteGroup


@dataclass
class EpochSoFar:
    """Loss, penalty and wall clock [s] of every step of the running epoch."""

    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, loss: float, penalty: float, seconds: float) -> None:
        """Count one more step."""
        self.losses.append(loss)
        self.penalties.append(penalty)
        self.seconds.append(seconds)


@dataclass
class TrainingState:
    """Everything that a step or an epoch changes, and the settings by which it does.

    ``start_norms`` are of the weights that every method is given, ``predictor`` is what the run predicts with, the
    network or its average over the group, ``forward`` the network as a step calls it (compiled, all stages), ``step``
    the number of steps done, ``layers`` what `ctmar.training.layer_record` has measured, ``average`` the moving average
    of weights, ``best`` the epoch of the highest validation PSNR so far with its weights.
    """

    network: nn.Module
    predictor: nn.Module
    method: Method
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    forward: Callable[[Tensor], Any]
    training: Training
    seed: int
    group: FiniteGroup
    start_norms: WeightNorms
    step: int = 0
    epoch: EpochSoFar = field(default_factory=EpochSoFar)
    records: list[Epoch] = field(default_factory=list)
    layers: list[LayersAtEpoch] = field(default_factory=list)
    average: dict[str, Tensor] | None = None
    best: dict[str, Any] | None = None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device


def start(run: Run, network: Network, training: Training, group: str) -> TrainingState:
    """A run before its first step; the initial weights depend on the network and the seed, not on the method.

    Raises:
        InputError: a setting does not fit the network, its weights cannot be loaded, or there is no such device.
    """
    training = training.times(run.compute)
    device = choose_device(training.device, "training.device")
    symmetry = study_group(group)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(run.seed, "initialisation"))
        module = build_network(network.architecture, **{"group_order": symmetry.order, **network.settings})
    if network.weights is not None:
        load_weights(module, network.weights)
    forward = module if training.loss == "masked_mse" else stage_outputs(module)
    layout = torch.channels_last if training.channels_last else torch.contiguous_format
    module = module.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    projects = run.start == "equivariant" and network.weights is None
    start_norms = common_start(module, run, symmetry, project=projects)
    method = attach_method(module, run, symmetry)
    optimiser = Adam(method.parameter_groups(), lr=training.learning_rate, betas=training.betas, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=training.precision == "float16")
    if training.compile:
        forward = torch.compile(forward)
    return TrainingState(
        network=module,
        predictor=predictor_of(module, run.method, symmetry),
        method=method,
        optimiser=optimiser,
        scaler=scaler,
        forward=forward,
        training=training,
        seed=run.seed,
        group=symmetry,
        start_norms=start_norms,
        average=detached(module) if training.ema_decay else None,
    )


def stage_outputs(network: nn.Module) -> Callable[[Tensor], Any]:
    """The forward pass that returns the images of all stages.

    Raises:
        InputError: the network has no stages.
    """
    forward = getattr(network, "stage_outputs", None)
    if forward is None:
        raise InputError(
            f"training.loss: expected 'masked_mse' for {type(network).__name__}, which has no stages, found 'stages'"
        )
    return cast(Callable[[Tensor], Any], forward)


def detached(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's state dictionary, layout of memory included."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def update_average(state: TrainingState) -> None:
    r"""Move the average towards the weights, :math:`\bar w ← d \bar w + (1 - d) w` with d = ``ema_decay``.

    It starts from the initial weights. Running statistics are averaged alike, counters are copied.
    """
    if state.average is None:
        return
    for name, tensor in state.network.state_dict().items():
        if tensor.is_floating_point():
            state.average[name].lerp_(tensor, 1 - state.training.ema_decay)
        else:
            state.average[name].copy_(tensor)


@contextmanager
def kept_weights(state: TrainingState) -> Iterator[nn.Module]:
    """Lend the predictor with the weights that a run would keep now: the moving average, where there is one."""
    if state.average is None:
        yield state.predictor
        return
    own = detached(state.network)
    state.network.load_state_dict(state.average)
    try:
        yield state.predictor
    finally:
        state.network.load_state_dict(own)
