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
        if value.is_leaf:
            add_to_gradient(value, part, factor)
        else:
            pass_on(value, (factor * part).to(value.dtype))


def pass_on(value: Tensor, gradient: Tensor) -> None:
    """As `value.backward(gradient)`, unseen by hooks on parameters: those of DDP would count it as a pass of theirs.

    Examples:
        >>> weight = torch.ones(2, requires_grad=True)
        >>> pass_on(3 * weight, torch.ones(2))
        >>> weight.grad
        tensor([3., 3.])
    """
    leaves = _leaves(value)
    gradients = torch.autograd.grad(value, leaves, gradient, allow_unused=True)
    for leaf, each in zip(leaves, gradients, strict=True):
        if each is not None:
            add_to_gradient(leaf, each)


def _leaves(value: Tensor) -> list[Tensor]:
    """The tensors that a value was computed from, and whose gradients are kept."""
    if value.grad_fn is None:
        return [value]
    found, seen, left = [], {value.grad_fn}, [value.grad_fn]
    while left:
        node = left.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        new = {each for each, _ in node.next_functions if each is not None} - seen
        seen |= new
        left += new
    return found


@torch.no_grad()
def add_to_gradient(parameter: Tensor, part: Tensor, factor: float = 1.0) -> None:
    """Add factor · part to `.grad`: in place, because DDP keeps gradients in its buckets; a sparse one becomes dense.

    Examples:
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> add_to_gradient(weight, torch.ones(2), 0.5)
        >>> weight.grad
        tensor([0.5000, 0.5000])
    """
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    elif parameter.grad.is_sparse:
        parameter.grad = parameter.grad.to_dense()
    parameter.grad.add_(part, alpha=factor)
