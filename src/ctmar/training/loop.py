"""Training of one run: the loop and its result files."""

import hashlib
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ctmar.config import Network, Run, Training
from ctmar.store.atomic import atomic_path
from ctmar.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ctmar.training.description import describe_run, layer_table
from ctmar.training.patches import Batch, PatchSampler, validation_batches
from ctmar.training.step import (
    TrainingState,
    device_name,
    learning_rate,
    masked_mean_square,
    set_learning_rate,
    start,
    training_step,
)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TrainingFiles:
    """Where a run's results go; ``checkpoint`` is a side file that is removed when the run is done."""

    weights: Path
    metrics: Path
    run_file: Path
    checkpoint: Path


def train(
    pairs_train: Path,
    pairs_validation: Path,
    run: Run,
    network: Network,
    training: Training,
    group_order: int,
    power: Literal[1, 2],
    files: TrainingFiles,
    progress: Progress = lambda done, total, text: None,
) -> None:
    """Train one run and write its weights, its metrics (one JSON object per epoch) and its description.

    A run that was killed goes on from its checkpoint and, on a CPU, ends with bit-identical weights.

    Args:
        pairs_train: pair file to train on.
        pairs_validation: pair file to validate on after each epoch.
        run: method, norm, weights of the penalty, seed.
        network: architecture and settings.
        training: optimisation.
        group_order: n of the rotation group C_n.
        power: 1 for the norm as penalty, 2 for its square.
        files: where results go.
        progress: called with the steps done, the steps in all, and a line of text.

    Raises:
        InputError: a setting does not fit the data, the network or the machine, or the loss stopped being finite.
    """
    torch.set_num_threads(training.threads)
    state = start(run, network, training, group_order, power)
    sampler = PatchSampler(pairs_train, training.batch_size, training.patch_size, run.seed)
    validation = validation_batches(pairs_validation, training.validation_pairs)
    description = describe_run(pairs_train, pairs_validation, run, network, training, group_order, power)
    identity = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    resume(state, load_checkpoint(files.checkpoint, identity))
    for epoch in range(len(state.records), training.epochs):
        record = train_epoch(state, sampler, training, epoch) | validate(state.network, validation)
        state.records.append(record)
        save_checkpoint(files.checkpoint, snapshot(state, identity))
        text = f"loss {record['loss']:.3g}, validation PSNR {record['validation_psnr']:.2f} dB"
        progress(record["step"], training.epochs * training.steps_per_epoch, text)
    state.method.finish()
    state.records[-1] |= validate(state.network, validation)  # of the weights that are written
    write_results(files, state, description)
    files.checkpoint.unlink(missing_ok=True)


def train_epoch(state: TrainingState, sampler: PatchSampler, training: Training, epoch: int) -> dict[str, Any]:
    """Run the steps of one epoch, counted from 0, and return its means and times."""
    device = next(state.network.parameters()).device
    state.network.train()
    losses, penalties, seconds = [], [], []
    first = epoch * training.steps_per_epoch
    for step in range(first, first + training.steps_per_epoch):
        begin = time.perf_counter()
        set_learning_rate(state.optimiser, learning_rate(training, step))
        state.method.begin_step(step / (training.epochs * training.steps_per_epoch))
        loss, penalty = training_step(state, sampler.batch(step).to(device), step)
        losses.append(loss)
        penalties.append(penalty)
        seconds.append(time.perf_counter() - begin)
    return {
        "epoch": epoch + 1,
        "step": first + training.steps_per_epoch,
        "loss": statistics.fmean(losses),
        "task_loss": statistics.fmean(losses) - statistics.fmean(penalties),
        "penalty": statistics.fmean(penalties),
        "learning_rate": state.optimiser.param_groups[0]["lr"],
        "seconds": sum(seconds),
        "seconds_per_step": statistics.median(seconds),
        "images_per_second": training.batch_size * len(seconds) / sum(seconds),
    }


@torch.no_grad()
def validate(network: nn.Module, batches: list[Batch]) -> dict[str, float]:
    """Mean loss and mean PSNR (protocol *fixed*) over the validation pairs."""
    network.eval()
    device = next(network.parameters()).device
    losses, psnrs = [], []
    for batch in batches:
        batch = batch.to(device)
        output = network(batch.inputs)
        losses.append(masked_mean_square(output, batch).item())
        error = (output.clamp(0, 1) - batch.target.clamp(0, 1)) * batch.outside_metal
        psnrs.append(-10 * error.square().mean().log10().item())
    return {"validation_loss": statistics.fmean(losses), "validation_psnr": statistics.fmean(psnrs)}


def snapshot(state: TrainingState, identity: str) -> Checkpoint:
    """The state as a checkpoint holds it."""
    return Checkpoint(
        identity, state.network.state_dict(), state.optimiser.state_dict(), state.method.state(), state.records
    )


def resume(state: TrainingState, checkpoint: Checkpoint | None) -> None:
    """Put the state of a checkpoint, if there is one, in place of the initial state."""
    if checkpoint is not None:
        state.network.load_state_dict(checkpoint.network)
        state.optimiser.load_state_dict(checkpoint.optimiser)
        state.method.load_state(checkpoint.method)
        state.records = checkpoint.records


def write_results(files: TrainingFiles, state: TrainingState, description: dict[str, Any]) -> None:
    """Write the three result files."""
    weights = {name: tensor.contiguous().cpu() for name, tensor in state.network.state_dict().items()}
    with atomic_path(files.weights) as temporary, temporary.open("wb") as file:
        # given a path, torch writes its name into the file, and equal weights would differ in bytes
        torch.save(weights, file)
    with atomic_path(files.metrics) as temporary:
        temporary.write_text("".join(json.dumps(record) + "\n" for record in state.records))
    with atomic_path(files.run_file) as temporary:
        temporary.write_text(json.dumps(description | outcome(state, description["group_order"]), indent=2) + "\n")


def outcome(state: TrainingState, group_order: int) -> dict[str, Any]:
    """What `run.json` says beyond the description: size, time, memory and the table of layers."""
    device = next(state.network.parameters()).device
    return {
        "n_parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "seconds_total": sum(record["seconds"] for record in state.records),
        "seconds_per_step_median": statistics.median(record["seconds_per_step"] for record in state.records),
        "peak_memory_mb": peak_memory_mb(device),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "layers": layer_table(state.network, group_order),
    }


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in 10⁶ bytes: of the whole process on a CPU, of torch's allocator on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
