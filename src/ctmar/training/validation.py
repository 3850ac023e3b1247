"""The validation after each epoch: whole slices, float32, the metric protocol *fixed*."""

import math
import statistics
from collections.abc import Callable

import torch
from torch import nn

from ctmar.errors import InputError
from ctmar.training.losses import masked_mean_square
from ctmar.training.patches import Batch


@torch.no_grad()
def validate(
    network: nn.Module, batches: list[Batch], channels_last: bool = True, between: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Mean loss (outside metal, whatever training minimises) and mean PSNR over the validation pairs.

    Args:
        network: what is validated; it is left in evaluation mode.
        batches: one pair each.
        channels_last: layout of memory.
        between: called before each pair.

    Raises:
        InputError: the network's output is not finite.
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
    if not math.isfinite(sum(losses)):
        raise InputError("training stopped at a validation: the network's images hold NaN or infinity")
    return {"validation_loss": statistics.fmean(losses), "validation_psnr": statistics.fmean(psnrs)}
