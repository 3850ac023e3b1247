"""Where a step stopped being finite: the step is run once more, layer by layer."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctmar.store.atomic import atomic_path
from ctmar.training.patches import Batch, PatchOrigin
from ctmar.training.state import TrainingState, stage_outputs
from ctmar.training.step import backward


def write_diagnosis(path: Path, state: TrainingState, batch: Batch, origins: list[PatchOrigin], step: int) -> str:
    """Write what is known about a step whose loss or gradient is not finite; returns where it began, in words.

    Args:
        path: JSON file: step (counted from 1), epoch, where, layer, loss, penalty, patches of the batch.
        state: the run, with the weights before the step.
        batch: what the step saw.
        origins: where its patches come from; slices by their pseudonyms.
        step: number of the step, counted from 0.
    """
    facts = first_not_finite(state, batch, step)
    epoch = step // state.training.steps_per_epoch + 1
    patches = [origin._asdict() for origin in origins]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"step": step + 1, "epoch": epoch, **facts, "batch": patches}, indent=2) + "\n")
    return facts["where"] if facts["layer"] is None else f"{facts['where']} of layer {facts['layer']}"


def first_not_finite(state: TrainingState, batch: Batch, step: int) -> dict[str, Any]:
    """The first place of a step that is not finite, in the order of computation.

    ``where`` is input, weights, output, loss, penalty or gradient, or "nothing" when the step is finite this time;
    ``layer`` the innermost module of that output or weight, for gradients the one nearest to the loss.
    """
    if not all(torch.isfinite(tensor).all() for tensor in batch.tensors):
        return _facts("input")
    for name, parameter in state.network.named_parameters():
        if not torch.isfinite(parameter).all():
            return _facts("weights", _layer(name))
    outputs: list[tuple[str, bool]] = []
    handles = [
        module.register_forward_hook(partial(_record, outputs, name)) for name, module in state.network.named_modules()
    ]
    try:
        # eager, whatever training.compile says: a compiled network has no layers to ask
        forward = stage_outputs(state.network) if state.training.loss == "stages" else state.network
        loss, penalty, _ = backward(state, batch, step, forward)
    finally:
        for handle in handles:
            handle.remove()
    values = {"loss": _text(loss), "penalty": _text(penalty)}
    for name, finite in outputs:
        if not finite:
            return _facts("output", name or "(whole network)") | values
    if not torch.isfinite(torch.tensor(penalty)):
        return _facts("penalty") | values
    if not torch.isfinite(torch.tensor(loss)):
        return _facts("loss") | values
    return _gradient(state.network, [name for name, _ in outputs]) | values


def _gradient(network: nn.Module, executed: list[str]) -> dict[str, Any]:
    broken = {
        _layer(name)
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
    }
    # a module that was called through none of its own forward is in no list: it comes first
    order = sorted(broken, key=lambda name: executed[::-1].index(name) if name in executed else -1)
    return _facts("gradient", order[0]) if order else _facts("nothing")


def _record(outputs: list[tuple[str, bool]], name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    if isinstance(output, Tensor):
        outputs.append((name, bool(torch.isfinite(output).all())))


def _layer(parameter: str) -> str:
    return (
        parameter.split(".parametrizations.")[0] if ".parametrizations." in parameter else parameter.rpartition(".")[0]
    )


def _facts(where: str, layer: str | None = None) -> dict[str, Any]:
    return {"where": where, "layer": layer}


def _text(value: float) -> str:
    return f"{value:.6g}"  # JSON has no NaN
