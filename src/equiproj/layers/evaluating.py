"""A module, or what computes a weight, in evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized

from equiproj.layers.sharding import gathered, is_sharded


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, and every submodule's own mode again afterwards, whatever happens.

    Examples:
        >>> layer = nn.Dropout()
        >>> with evaluating(layer):
        ...     layer.training
        False
        >>> layer.training
        True
    """
    training = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for layer, mode in training.items():
            layer.training = mode


def evaluated(layer: nn.Module, attribute: str) -> Any:
    """A tensor of a layer, its parametrisation in evaluation mode: reading advances no power iteration.

    A parametrisation of sharded tensors computes with whole ones.

    Examples:
        >>> evaluated(nn.Linear(2, 3), "weight").shape
        torch.Size([3, 2])
    """
    if not is_parametrized(layer, attribute):
        return getattr(layer, attribute)
    steps = layer.get_submodule(f"parametrizations.{attribute}")
    with evaluating(steps):
        sharded = {name: gathered(held) for name, held in steps.named_parameters() if is_sharded(held)}
        return functional_call(steps, sharded, ()) if sharded else getattr(layer, attribute)
