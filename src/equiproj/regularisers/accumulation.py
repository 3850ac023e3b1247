"""A penalty's gradient added to `.grad` at once, weight by weight, without a graph."""

import torch
from torch import Tensor

from equiproj.regularisers.packs import WeightPack


def accumulate(slope: Tensor, pack: WeightPack, factor: float) -> None:
    """Add factor · slope to the gradients of a pack's weights; frozen ones keep theirs.

    A weight that is computed from others, by a parametrisation or of shards, passes it on to them.

    Args:
        slope: derivative in the rows of the pack.
        pack: how weights are rows.
        factor: what multiplies it.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> weights = WeightPack(bundle(typed_parameters(layer, CyclicGroup(2), output_type="regular")))
        >>> accumulate(torch.arange(4.0)[None], weights, 2.0)
        >>> layer.weight.grad
        tensor([[0., 2.],
                [4., 6.]])
    """
    for parameter, part in zip(pack.parameters, pack.split(slope), strict=True):
        with torch.enable_grad():
            value = parameter.read_as_held()
        if not value.requires_grad:
            continue
        if not value.is_leaf:
            value.backward((factor * part).to(value.dtype))
            continue
        if value.grad is None:
            value.grad = torch.zeros_like(value)
        value.grad.add_(part, alpha=factor)
