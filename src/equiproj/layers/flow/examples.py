"""Inputs for a network that nobody gave one for: of the shapes that its layers take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from equiproj.layers.declaration import known_layers
from equiproj.layers.kinds import kind_of

_SIZES = (16, 15, 8, 32, 28, 64, 224)
_N_TRIED = 24


def examples(module: nn.Module) -> Iterator[tuple[Any, ...]]:
    """Batches of two that the first layers of a module would take, small ones first, in order of registration.

    Examples:
        >>> [tuple(batch.shape) for (batch,) in examples(nn.Linear(3, 4))]
        [(2, 3), (2, 5, 3)]
    """
    seen: set[object] = set()
    for _, layer, kind in known_layers(module):
        if not kind.maps:
            continue
        for batch in _batches(module, layer):
            key = tuple((tuple(each.shape), each.dtype) for each in batch)
            if key not in seen and len(seen) < _N_TRIED:
                seen.add(key)
                yield batch


def _batches(module: nn.Module, layer: nn.Module) -> Iterator[tuple[Tensor, ...]]:
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    make = partial(torch.ones, device=first.device, dtype=first.dtype)
    if isinstance(layer, _ConvNd):
        for size in _SIZES[:3] if layer.weight.ndim == 5 else _SIZES:
            yield (make((2, layer.in_channels, *[size] * (layer.weight.ndim - 2))),)
    elif isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        yield (torch.zeros(2, 5, dtype=torch.long, device=first.device),)
    elif isinstance(layer, nn.Bilinear):
        yield tuple(make((2, n)) for n in (layer.in1_features, layer.in2_features))
    elif isinstance(layer, nn.MultiheadAttention):
        sequence = make((2, 5, layer.embed_dim))
        yield (sequence,)
        yield (sequence, sequence, sequence)
    else:
        kind = kind_of(layer)
        n_channels = kind.channels(layer)[0] if kind is not None else 1
        yield (make((2, n_channels)),)
        yield (make((2, 5, n_channels)),)
