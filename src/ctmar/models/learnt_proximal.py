"""The learnt proximal operators of the unrolled networks: residual blocks, with or without a threshold."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ctmar.models.normalisation import Normalisation, Threshold, make_normalisation
from equiproj.representations import Representation

KeyMap = Sequence[tuple[str, str]]  # regular expression for a published key and our name; the first that fits counts
# In every published prox-net a residual block is Sequential(conv, norm, relu, conv, norm), as it is here.
_BLOCK = r"layer\.(\d+\.[0134]\..+)"


class ProximalSettings(NamedTuple):
    """What the proximal networks of one unrolled network share."""

    n_blocks: int
    kernel_size: int
    normalisation: Normalisation


class ProximalNet(nn.Module):
    r"""A chain of residual blocks that stands for a proximal operator.

    Each block is :math:`h ← \mathrm{ReLU}(h + B_b(h))` with
    :math:`B_b = \mathrm{N} ∘ W_{b,2} ∘ \mathrm{ReLU} ∘ \mathrm{N} ∘ W_{b,1}`, and for sparse maps
    :math:`h ← \mathrm{ReLU}(h - τ)` at the end.

    It commutes with the group when its convolutions do, the normalisation N is "field" and τ is shared in fields.

    Args:
        n_channels: channels of input, output and everything between.
        settings: number of blocks, side of the kernels, kind of normalisation.
        field_size: channels of a regular field.
        threshold: first value of τ; None: no threshold.
    """

    def __init__(
        self, n_channels: int, settings: ProximalSettings, field_size: int, threshold: float | None = None
    ) -> None:
        super().__init__()
        n_blocks, size, kind = settings

        def convolution() -> nn.Module:
            return nn.Conv2d(n_channels, n_channels, size, padding=size // 2)

        def normalisation() -> nn.Module:
            return make_normalisation(kind, n_channels, field_size)

        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(), normalisation(), nn.ReLU(), convolution(), normalisation())
            for _ in range(n_blocks)
        )
        self.threshold = None if threshold is None else Threshold(n_channels, threshold, kind, field_size)

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        for block in self.blocks:
            features = torch.relu(features + block(features))
        return features if self.threshold is None else self.threshold(features)


def proximal_nets(
    count: int, n_channels: int, settings: ProximalSettings, field_size: int, threshold: float | None = None
) -> nn.ModuleList:
    """``count`` networks of one shape."""
    return nn.ModuleList(ProximalNet(n_channels, settings, field_size, threshold) for _ in range(count))


def convolution_types(
    module: nn.Module, prefix: str, rho: Representation
) -> Iterator[tuple[str, tuple[Representation, Representation]]]:
    """Every convolution whose name begins with ``prefix``, from ``rho`` to ``rho``."""
    for name, layer in module.named_modules():
        if name.startswith(prefix) and isinstance(layer, nn.Conv2d):
            yield name, (rho, rho)


def proximal_keys(theirs: str, ours: str) -> KeyMap:
    """Key map of published prox-nets whose names begin with the expression ``theirs`` (one group: the stage)."""
    return [(rf"{theirs}\.{_BLOCK}", rf"{ours}.blocks.\2"), (rf"{theirs}\.tau", rf"{ours}.threshold.value")]
