"""One optimiser step, the same for every method; what training repeats and the cost table times."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ctmar.errors import InputError
from ctmar.models.device import convolutions_in
from ctmar.training.losses import masked_mean_square, stage_loss
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_seed
from ctmar.training.state import TrainingState, update_average

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class NotFiniteError(InputError):
    """A loss or a gradient is not finite; ``loss`` is the loss."""

    def __init__(self, message: str, loss: float) -> None:
        super().__init__(message)
        self.loss = loss


class BatchPart(NamedTuple):
    """A part of a batch, and its fraction of the batch's images and of its pixels outside metal."""

    batch: Batch
    share_of_images: float
    share_of_pixels: float | Tensor


def training_step(state: TrainingState, batch: Batch, step: int) -> tuple[float, float]:
    """One step of the optimiser; returns the loss and the penalty in it.

    Raises:
        NotFiniteError: the loss or a gradient is not finite; the weights stay those before the step.
    """
    state.method.begin_step(step / (state.training.epochs * state.training.steps_per_epoch))
    try:
        loss, penalty, largest = backward(state, batch, step, state.forward)
    except torch.linalg.LinAlgError as error:  # a norm of one's own that decomposes matrices that are not finite
        raise NotFiniteError(f"training stopped at step {step + 1}: {error}", math.nan) from None
    # with float16 a gradient that is not finite is no fault before the scale has come down to 1: the step is left out
    if not math.isfinite(loss) or (not math.isfinite(largest) and state.scaler.get_scale() <= 1):
        parts = f" (task {loss - penalty}, penalty {penalty})"
        what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}{parts}, not finite"
        raise NotFiniteError(f"training stopped at step {step + 1}: {what}", loss)
    state.scaler.step(state.optimiser)
    state.method.end_step(state.optimiser.param_groups[0]["lr"])
    state.scaler.update()
    update_average(state)
    return loss, penalty


def backward(
    state: TrainingState, batch: Batch, step: int, forward: Callable[[Tensor], Any]
) -> tuple[float, float, float]:
    """Gradients of a step, over all parts of the batch: the loss, the penalty in it, and the largest gradient."""
    _seed_layers(state, step)
    state.optimiser.zero_grad()
    losses, penalties = [], []
    with convolutions_in("tf32") if state.training.precision == "tf32" else nullcontext():
        for number, part in enumerate(cut(state, batch, step)):
            task, penalty = _part_loss(state, part, step, forward, is_first=number == 0)
            state.scaler.scale(task + penalty).backward()
            losses.append((task + penalty).detach())
            penalties.append(penalty.detach())
    state.scaler.unscale_(state.optimiser)
    trained = [parameter for group in state.optimiser.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    largest = torch.nn.utils.get_total_norm(gradients, norm_type=math.inf)
    # one wait for the device instead of three
    values = torch.stack([torch.stack(losses).sum(), torch.stack(penalties).sum(), largest]).tolist()
    return values[0], values[1], values[2]


def _seed_layers(state: TrainingState, step: int) -> None:
    """Make layers that draw (dropout) do so as a function of the step, so that a restart needs no generator's state."""
    seed = torch_seed(state.seed, "layers") + step
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes as long as a small network's layer
    if state.device.type == "cuda":
        torch.cuda.manual_seed(seed)


def cut(state: TrainingState, batch: Batch, step: int) -> Iterator[BatchPart]:
    """The parts of a batch as the network sees them: turned or doubled by the method, before or after the cut."""
    method, n_parts = state.method, state.training.accumulation
    whole = batch if method.penalty_per_part else method.batch(batch, step)
    n_pixels = whole.outside_metal.sum().clamp(min=1) if n_parts > 1 else None
    for part in whole.split(n_parts) if n_parts > 1 else [whole]:
        # a tensor, because a number would wait for the device
        share_of_pixels = 1.0 if n_pixels is None else part.outside_metal.sum() / n_pixels
        seen = method.batch(part, step) if method.penalty_per_part else part
        # turned copies are laid out row by row: bring them back to the layout of the network
        yield BatchPart(seen.to(state.device, state.training.channels_last), len(part) / len(whole), share_of_pixels)


def _part_loss(
    state: TrainingState, part: BatchPart, step: int, forward: Callable[[Tensor], Any], is_first: bool
) -> tuple[Tensor, Tensor]:
    """Task loss and penalty of a part, as they are added up over parts.

    Penalties of features see the precision of the network; those of weights are computed in float32, once a step.
    """
    with autocast(state):
        outputs = forward(part.batch.inputs)
        image = outputs.image if state.training.loss == "stages" else outputs
        if state.method.penalty_per_part:
            penalty = part.share_of_images * state.method.penalty(part.batch, image, step)
    if not state.method.penalty_per_part:
        penalty = state.method.penalty(part.batch, image, step) if is_first else image.new_zeros((), dtype=torch.float)
    if state.training.loss == "stages":
        task = stage_loss(outputs.images, outputs.artefacts, part.batch, state.training, part.share_of_images)
    else:
        task = part.share_of_pixels * masked_mean_square(image.float(), part.batch)
    return task, penalty


def autocast(state: TrainingState) -> Any:
    """The precision of the forward pass; nothing with float32, so that even a user's own autocast stays as it is."""
    if state.training.precision not in PRECISIONS:
        return nullcontext()
    return torch.autocast(state.device.type, PRECISIONS[state.training.precision])
