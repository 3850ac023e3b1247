r"""What a step minimises beside the method's penalty.

A batch may come in parts. A mean over the whole batch is then the sum over parts of *share* · mean of the part, where
the share is the part's fraction of what the mean is taken over; sums over pixels have no share.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from ctmar.config import Training
from ctmar.models.stages import PUBLISHED_SCALE
from ctmar.training.patches import Batch


def masked_mean_square(output: Tensor, batch: Batch) -> Tensor:
    r"""Mean square error outside metal, :math:`\sum m (\hat x - x)^2 / \sum m` with m = 1 outside metal."""
    return ((output - batch.target) ** 2 * batch.outside_metal).sum() / batch.outside_metal.sum().clamp(min=1)


def stage_loss(
    images: Iterable[tuple[float, Tensor]],
    artefacts: Iterable[tuple[float, Tensor]],
    batch: Batch,
    training: Training,
    share: float = 1.0,
) -> Tensor:
    r"""The published loss of ACDNet, DICDNet and OSCNet over all stages, with m = 1 outside metal.

    .. math::
        \sum_j w_j \big( \mathrm{mean}\,(m(\hat x_j - x))^2 + λ_x \sum |m(\hat x_j - x)| \big)
        + λ_a \sum_j w_j \sum |m(\hat a_j - (x_\mathrm{ma} - x))|

    on the scale of 255 per 1/cm; the mean is over all pixels, those of metal count as zero, and the sums are not
    divided by their number, both as in the published code.

    Args:
        images: weight w_j and image of every term (n, 1, h, w), on the networks' scale.
        artefacts: the same of the artefact images.
        batch: what the network saw.
        training: λ_x (``loss_image_l1``) and λ_a (``loss_artefact_l1``).
        share: fraction of the images of the whole batch that this part holds.

    References:
        Wang et al., Adaptive convolutional dictionary network for CT metal artifact reduction, IJCAI 2022.
    """
    kept = PUBLISHED_SCALE * batch.outside_metal
    artefact = batch.inputs[:, :1] - batch.target
    loss = torch.zeros((), device=batch.inputs.device)
    for weight, image in images:
        error = kept * (image.float() - batch.target)
        loss = loss + weight * (share * error.square().mean() + training.loss_image_l1 * error.abs().sum())
    for weight, image in artefacts:
        error = kept * (image.float() - artefact)
        loss = loss + weight * training.loss_artefact_l1 * error.abs().sum()
    return loss
