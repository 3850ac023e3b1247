"""What a finished run leaves: weights, learning curve, description."""

import statistics
from typing import Any

import torch

from ctmar.models.device import device_name, peak_memory_mb
from ctmar.models.non_equivariance import layer_norms
from ctmar.models.symmetry import study_group
from ctmar.store.atomic import atomic_path
from ctmar.store.run_folder import RunDescription, RunFolder, RunOrigin
from ctmar.training.state import TrainingState


def write_results(folder: RunFolder, state: TrainingState, kept_epoch: int, origin: RunOrigin) -> None:
    """Write the three files of a finished run, its description last."""
    weights = {name: tensor.contiguous().cpu() for name, tensor in state.network.state_dict().items()}
    with atomic_path(folder.weights) as temporary, temporary.open("wb") as file:
        # given a path, torch writes its name into the file, and equal weights would differ in bytes
        torch.save(weights, file)
    folder.write_epochs(state.records)
    folder.write_description(RunDescription(**dict(origin), kept_epoch=kept_epoch, **outcome(state, origin.group)))


def outcome(state: TrainingState, group: str) -> dict[str, Any]:
    """Size, time, memory and the table of layers."""
    return {
        "n_parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "seconds_total": sum(record.seconds for record in state.records),
        "seconds_per_step_median": statistics.median(record.seconds_per_step for record in state.records),
        "peak_memory_mb": peak_memory_mb(state.device),
        "device": device_name(state.device),
        "threads": torch.get_num_threads(),
        "start_norms": state.start_norms,
        "layers": layer_norms(state.network, study_group(group)),
    }
