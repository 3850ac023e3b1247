"""Some kernels of a network beside their projections: few enough to be looked at."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctmar.models.build import layer_types
from ctmar.store.even_choice import evenly_spaced
from equiproj.groups import FiniteGroup
from equiproj.layers import TypedParameter, typed_parameters
from equiproj.regularisers.bundles import rows_out

MOST_LAYERS = 12
_MOST_CHANNELS = 8


@torch.no_grad()
def kernel_blocks(network: nn.Module, group: FiniteGroup) -> dict[str, NDArray[np.float32]]:
    """W and P(W) of the first channels of some layers, by the name of the weight.

    Layers are evenly spaced in the order of the network, the first and the last among them. Of each there are as many
    output and input channels as a regular field has, at most 8: between regular fields this is the block of one field
    and one other, and P(W) shows in it which kernel is the turned copy of which.

    Args:
        network: of `ctmar.models.build_network`, or one of the user's own.
        group: of the study.

    Returns:
        Arrays (2, c_out, c_in, height, width); a weight of a linear layer has kernels of one entry.
    """
    weights = typed_parameters(network, group, layers=layer_types(network, group))
    n_channels = min(group.order, _MOST_CHANNELS)
    chosen = (weights[k] for k in evenly_spaced(len(weights), MOST_LAYERS))
    return {parameter.name: _block(parameter, n_channels) for parameter in chosen}


def _block(parameter: TypedParameter, n_channels: int) -> NDArray[np.float32]:
    weight = parameter.read()
    both = rows_out(torch.stack([weight, parameter.projector(weight)]), parameter.projector)
    block = both[:, :n_channels, :n_channels].float().cpu()
    height_and_width = block.shape[3:] or (1, 1)
    return block.reshape(*block.shape[:3], -1, height_and_width[-1]).numpy()
