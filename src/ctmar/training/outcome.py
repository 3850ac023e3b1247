"""The files of a finished run: weights, learning curve, description."""

import json
import resource
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path, check_target, remove_leftovers
from ctmar.training.description import layer_table
from ctmar.training.state import TrainingState, device_name


@dataclass(frozen=True)
class TrainingFiles:
    """Where a run's results go; ``checkpoint`` is a side file that is removed when the run is done."""

    weights: Path
    metrics: Path
    run_file: Path
    checkpoint: Path

    @property
    def diagnosis(self) -> Path:
        """A file beside the checkpoint that says what stopped a run whose loss was not finite."""
        return self.checkpoint.with_name(f"{self.checkpoint.stem}.not-finite.json")

    def check(self) -> None:
        """Refuse files that could not be written at the end.

        Raises:
            InputError: two of them are one file, or see `check_target`.
        """
        paths = [path.absolute() for path in (self.weights, self.metrics, self.run_file, self.checkpoint)]
        for path in paths:
            if paths.count(path) > 1:
                raise InputError(f"{path}: expected four different files of a run, found this one twice")
            check_target(path)

    def remove_leftovers(self) -> None:
        """Remove what killed writers left half-written, and the diagnosis of an earlier attempt."""
        for path in (self.weights, self.metrics, self.run_file, self.checkpoint):
            remove_leftovers(path)
        self.diagnosis.unlink(missing_ok=True)


def write_results(files: TrainingFiles, state: TrainingState, kept_epoch: int, description: dict[str, Any]) -> None:
    """Write the three result files."""
    weights = {name: tensor.contiguous().cpu() for name, tensor in state.network.state_dict().items()}
    with atomic_path(files.weights) as temporary, temporary.open("wb") as file:
        # given a path, torch writes its name into the file, and equal weights would differ in bytes
        torch.save(weights, file)
    with atomic_path(files.metrics) as temporary:
        temporary.write_text("".join(json.dumps(record) + "\n" for record in state.records))
    facts = description | {"kept_epoch": kept_epoch} | outcome(state, description["group_order"])
    with atomic_path(files.run_file) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n")


def outcome(state: TrainingState, group_order: int) -> dict[str, Any]:
    """What `run.json` says beyond the description: size, time, memory and the table of layers."""
    return {
        "n_parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "seconds_total": sum(record["seconds"] for record in state.records),
        "seconds_per_step_median": statistics.median(record["seconds_per_step"] for record in state.records),
        "peak_memory_mb": peak_memory_mb(state.device),
        "device": device_name(state.device),
        "threads": torch.get_num_threads(),
        "layers": layer_table(state.network, group_order),
    }


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in 10⁶ bytes: of the whole process on a CPU, of torch's allocator on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
