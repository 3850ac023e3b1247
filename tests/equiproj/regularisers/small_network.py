"""The network of `compiled_training.py` and `distributed_training.py`, and its penalty."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup

GROUP = CyclicGroup(4)
FROBENIUS, MIXED, SPECTRAL, POWER = CASES = (
    {"norm": "frobenius", "power": 2},
    {"norm": "mixed:2,1"},
    {"norm": "spectral"},
    {"norm": "spectral", "power": 2, "method": "power"},
)


def build(wrap: Callable[[nn.Module], nn.Module] = nn.Sequential) -> nn.Sequential:
    torch.manual_seed(0)
    middle = wrap(nn.Conv2d(8, 8, 3, padding=1))
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))


def images(n_images: int) -> torch.Tensor:
    return torch.randn(n_images, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def attach(network: nn.Module, case: dict[str, Any], **options: Any) -> ProjectionPenalty:
    return ProjectionPenalty(network, GROUP, weight_equivariant=0.1, **case, **options)
