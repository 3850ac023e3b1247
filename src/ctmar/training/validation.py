"""The validation after each epoch: whole slices, float32, the metric protocol *fixed*."""

import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from ctmar.training.losses import masked_mean_square
from ctmar.training.patches import Batch


class Scores(NamedTuple):
    """Mean loss and mean PSNR [dB] over the validation pairs; ``broken`` is the first pair without a finite loss."""

    loss: float
    psnr: float
    broken: Batch | None

    @property
    def fields(self) -> dict[str, float]:
        """The scores by their names in an `Epoch`."""
        return {"validation_loss": self.loss, "validation_psnr": self.psnr}


@torch.no_grad()
def validate(
    network: nn.Module, batches: list[Batch], channels_last: bool = True, between: Callable[[], object] = lambda: None
) -> Scores:
    """Mean loss (outside metal, whatever training minimises) and mean PSNR over the validation pairs.

    An infinite PSNR is that of an image without error; what has diverged shows in the loss.

    Args:
        network: what is validated; it is left in evaluation mode.
        batches: one pair each.
        channels_last: layout of memory.
        between: called before each pair.
    """
    network.eval()
    device = next(network.parameters()).device
    scores = []
    for batch in batches:
        between()
        batch = batch.to(device, channels_last)
        output = network(batch.inputs)
        error = (output.clamp(0, 1) - batch.target.clamp(0, 1)) * batch.outside_metal
        scores.append(torch.stack([masked_mean_square(output, batch), -10 * error.square().mean().log10()]))
    # one wait for the device, at the end
    losses, psnrs = torch.stack(scores, dim=1).tolist()
    broken = next((batch for batch, loss in zip(batches, losses, strict=True) if not math.isfinite(loss)), None)
    return Scores(statistics.fmean(losses), statistics.fmean(psnrs), None if broken is None else broken.to(device))
