"""Where a training stopped being finite: the step, or the validation after it, is run once more, layer by layer."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.run_records import Divergence, Place
from ctmar.training.patches import Batch, PatchOrigin
from ctmar.training.state import TrainingState, stage_outputs
from ctmar.training.step import backward


class DivergedError(Exception):
    """A training diverged; `diagnosis` is all that is known of it, for ``not-finite.json``."""

    def __init__(self, divergence: Divergence, diagnosis: dict[str, Any]) -> None:
        super().__init__(str(divergence))
        self.divergence = divergence
        self.diagnosis = diagnosis


def write_diagnosis(path: Path, diagnosis: dict[str, Any]) -> None:
    """Write what is known of the step at which a training diverged."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(diagnosis, indent=2) + "\n")


def diverged_at_step(
    state: TrainingState, batch: Batch, origins: list[PatchOrigin], loss: float, path: Path
) -> DivergedError:
    """What is known of a step whose loss or gradient is not finite.

    Args:
        state: the run, with the weights before the step.
        batch: what the step saw.
        origins: where its patches come from; slices by their pseudonyms.
        loss: of the step.
        path: where `write_diagnosis` would write it.

    Raises:
        InputError: the pairs hold values that are not finite: the data are broken, and no other setting would help.
    """
    facts = first_not_finite(state, batch, state.step)
    diagnosis = _numbered(state, state.step) | facts | {"batch": [origin._asdict() for origin in origins]}
    if facts["where"] == "input":
        write_diagnosis(path, diagnosis)
        what = "the pairs hold NaN or infinity"
        raise InputError(f"training stopped at step {state.step + 1}: {what}; the patches are listed in {path}")
    where: Place = facts["where"]
    if facts["where"] == "nothing":  # finite when it is run again
        where = "gradient" if math.isfinite(loss) else "loss"
    return DivergedError(Divergence(step=state.step + 1, where=where, layer=facts["layer"], loss=loss), diagnosis)


def diverged_after_step(state: TrainingState, image: Batch | None, loss: float) -> DivergedError:
    """What is known of weights, or of the images that they make of validation pairs, that are not finite.

    Args:
        state: the run, with the weights that were validated.
        image: the first validation pair whose image is not finite; None: the images are, the weights are not.
        loss: the validation loss.
    """
    layer = broken_weights(state)
    where: Place = "weights" if layer is not None else "validation"
    if layer is None and image is not None:
        with torch.no_grad(), _outputs(state.network) as outputs:
            state.predictor(image.inputs)
        layer = _first_broken(outputs)
    facts = _facts(where, layer) | {"loss": _text(loss), "penalty": None, "batch": []}
    diagnosis = _numbered(state, state.step - 1) | facts
    return DivergedError(Divergence(step=state.step, where=where, layer=layer, loss=loss), diagnosis)


def broken_weights(state: TrainingState) -> str | None:
    """The first layer of the network with a weight or a buffer that is not finite, in its order."""
    for name, tensor in state.network.state_dict().items():
        if not torch.isfinite(tensor).all():
            return _layer(name)
    return None


def _numbered(state: TrainingState, step: int) -> dict[str, Any]:
    return {"step": step + 1, "epoch": step // state.training.steps_per_epoch + 1}


def first_not_finite(state: TrainingState, batch: Batch, step: int) -> dict[str, Any]:
    """The first place of a step that is not finite, in the order of computation.

    ``where`` is input, weights, output, loss, penalty or gradient, or "nothing" when the step is finite this time;
    ``layer`` the innermost module of that output or weight, for gradients the one nearest to the loss.
    """
    if not all(torch.isfinite(tensor).all() for tensor in batch.tensors):
        return _facts("input")
    layer = broken_weights(state)
    if layer is not None:
        return _facts("weights", layer)
    with _outputs(state.network) as outputs:
        # eager, whatever training.compile says: a compiled network has no layers to ask
        forward = stage_outputs(state.network) if state.training.loss == "stages" else state.network
        try:
            loss, penalty, _ = backward(state, batch, step, forward)
        except torch.linalg.LinAlgError:  # in a norm: the task is plain arithmetic
            loss = penalty = math.nan
    values = {"loss": _text(loss), "penalty": _text(penalty)}
    layer = _first_broken(outputs)
    if layer is not None:
        return _facts("output", layer) | values
    if not torch.isfinite(torch.tensor(penalty)):
        return _facts("penalty") | values
    if not torch.isfinite(torch.tensor(loss)):
        return _facts("loss") | values
    return _gradient(state.network, [name for name, _ in outputs]) | values


@contextmanager
def _outputs(network: nn.Module) -> Iterator[list[tuple[str, bool]]]:
    """Yield a list that every module adds its name to when it is called, and whether its output is finite."""
    outputs: list[tuple[str, bool]] = []
    handles = [
        module.register_forward_hook(partial(_record, outputs, name)) for name, module in network.named_modules()
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _first_broken(outputs: list[tuple[str, bool]]) -> str | None:
    return next((name or "(whole network)" for name, finite in outputs if not finite), None)


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
