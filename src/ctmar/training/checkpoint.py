"""The checkpoint: what a killed run needs to go on as if nothing had happened.

Data order, positions, draws of the method and of layers, and the learning rate are functions of the step
(`random_streams`, `schedule`): the number of the step is the position of the sampler, the state of every random number
generator and that of the scheduler. Beside it a run is its weights, Adam's moments, the loss scale, the buffers of the
method, the moving average of weights, the best weights, the epochs and the norms of the layers so far, and the sums of
the running epoch.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctmar.models.published import UNREADABLE
from ctmar.store.atomic import atomic_path
from ctmar.store.run_records import Epoch, LayersAtEpoch
from ctmar.training.state import EpochSoFar, TrainingState


@dataclass(frozen=True)
class Checkpoint:
    """State after a whole number of steps; ``identity`` says of which run."""

    identity: str
    step: int
    network: dict[str, Any]
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    method: dict[str, Any]
    average: dict[str, Any] | None
    best: dict[str, Any] | None
    epoch: dict[str, Any]
    records: list[dict[str, Any]]
    layers: list[dict[str, Any]]


def snapshot(state: TrainingState, identity: str) -> Checkpoint:
    """The state as a checkpoint holds it."""
    return Checkpoint(
        identity=identity,
        step=state.step,
        network=state.network.state_dict(),
        optimiser=state.optimiser.state_dict(),
        scaler=state.scaler.state_dict(),
        method=state.method.state(),
        average=state.average,
        best=state.best,
        epoch=vars(state.epoch),
        records=[record.model_dump() for record in state.records],
        layers=[record.model_dump() for record in state.layers],
    )


def resume(state: TrainingState, checkpoint: Checkpoint | None) -> None:
    """Put the state of a checkpoint, if there is one, in place of the initial state."""
    if checkpoint is None:
        return
    state.step = checkpoint.step
    state.network.load_state_dict(checkpoint.network)
    state.optimiser.load_state_dict(checkpoint.optimiser)
    state.scaler.load_state_dict(checkpoint.scaler)
    state.method.load_state(checkpoint.method)
    for name, tensor in (checkpoint.average or {}).items():
        state.average[name].copy_(tensor)  # type: ignore[index]  # equal settings: both have an average or none
    state.best = checkpoint.best
    state.epoch = EpochSoFar(**checkpoint.epoch)
    state.records = [Epoch(**record) for record in checkpoint.records]
    state.layers = [LayersAtEpoch(**record) for record in checkpoint.layers]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint; a kill at any moment leaves the old or the new file, whole."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(vars(checkpoint), file)
        file.flush()
        os.fsync(file.fileno())  # whole even if the machine goes down


def load_checkpoint(path: Path, identity: str) -> Checkpoint | None:
    """Read the checkpoint of the run ``identity``.

    None where there is no file, the file belongs to other settings, data or code, or cannot be read: the run then
    starts from the beginning, which gives the same weights.
    """
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = Checkpoint(**values)
    except UNREADABLE:
        return None
    return checkpoint if checkpoint.identity == identity else None
