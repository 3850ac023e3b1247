"""What a finished run leaves: weights, layers, learning curve, description; of one that diverged the last two."""

import math
import statistics
from typing import Any

import numpy as np
import torch

from ctmar.models.device import device_name, peak_memory_mb
from ctmar.models.kernel_blocks import kernel_blocks
from ctmar.models.non_equivariance import layer_norms
from ctmar.store.atomic import atomic_path
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription, RunOrigin
from ctmar.training.diagnosis import DivergedError
from ctmar.training.state import TrainingState


def write_results(folder: RunFolder, state: TrainingState, kept_epoch: int, origin: RunOrigin) -> None:
    """Write the files of a finished run, its description last."""
    weights = {name: tensor.contiguous().cpu() for name, tensor in state.network.state_dict().items()}
    with atomic_path(folder.weights) as temporary, temporary.open("wb") as file:
        # given a path, torch writes its name into the file, and equal weights would differ in bytes
        torch.save(weights, file)
    folder.write_epochs(state.records)
    folder.write_layers(state.layers)
    blocks: dict[str, Any] = dict(kernel_blocks(state.network, state.group))
    with atomic_path(folder.kernels) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **blocks)
    layers = layer_norms(state.network, state.group)
    folder.write_description(
        RunDescription(**dict(origin), kept_epoch=kept_epoch, layers=layers, **_size_time_and_memory(state))
    )


def write_divergence(folder: RunFolder, state: TrainingState, error: DivergedError, origin: RunOrigin) -> None:
    """Write what a run that diverged leaves, its description last; nothing of an older network stays beside it."""
    folder.write_epochs(state.records)
    described = _size_time_and_memory(state)
    folder.write_divergence(
        RunDescription(**dict(origin), diverged=error.divergence, kept_epoch=None, layers=[], **described),
        error.diagnosis,
    )


def _size_time_and_memory(state: TrainingState) -> dict[str, Any]:
    """Of the epochs, and of the steps of one that did not end; NaN where there was no step."""
    so_far = state.epoch.seconds
    medians = [record.seconds_per_step for record in state.records] + ([statistics.median(so_far)] if so_far else [])
    return {
        "n_parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "seconds_total": sum(record.seconds for record in state.records) + sum(so_far),
        "seconds_per_step_median": statistics.median(medians) if medians else math.nan,
        "peak_memory_mb": peak_memory_mb(state.device),
        "device": device_name(state.device),
        "threads": torch.get_num_threads(),
        "start_norms": state.start_norms,
    }
