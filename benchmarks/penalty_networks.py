"""The four networks that penalty_cost.py measures on, written out: nothing has to be installed for them."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ctmar.models import build_network
from equiproj.groups import CyclicGroup
from equiproj.representations import Representation, regular, trivial

GROUP = CyclicGroup(4)
NETWORKS = ("study", "acdnet", "resnet18", "vit_s")


class ResidualBlocks(nn.Module):
    """As many convolutions as asked for, two to a block."""

    def __init__(self, n_layers: int, n_channels: int, kernel_size: int) -> None:
        super().__init__()
        convolution = partial(nn.Conv2d, n_channels, n_channels, kernel_size, padding=kernel_size // 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(), nn.ReLU(), convolution()) for _ in range(n_layers // 2)
        )

    def forward(self, features: Tensor) -> Tensor:
        for block in self.blocks:
            features = features + 0.1 * block(features)
        return features


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_out) for _ in range(2))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, features: Tensor) -> Tensor:
        inner = self.norms[0](self.first(features)).relu()
        return (self.norms[1](self.second(inner)) + self.shortcut(features)).relu()


class ResNet18(nn.Sequential):
    """ResNet-18 with the stem for images of 32×32 (He et al. 2016)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        for n_in, n_out in ((64, 64), (64, 128), (128, 256), (256, 512)):
            layers += [BasicBlock(n_in, n_out, 1 if n_in == n_out else 2), BasicBlock(n_out, n_out, 1)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class VisionTransformer(nn.Module):
    """ViT-S on patches of 4×4 pixels (Dosovitskiy et al. 2021, Touvron et al. 2021)."""

    def __init__(self, width: int = 384, depth: int = 12, n_heads: int = 6, n_tokens: int = 65) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, n_tokens, width))
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        tokens = torch.cat([self.start.expand(len(images), -1, -1), tokens], dim=1) + self.positions
        return self.head(self.encoder(tokens)[:, 0])


@dataclass(frozen=True)
class Case:
    """A network, what it is trained on, and the types of its layers."""

    network: nn.Module
    inputs: Tensor
    targets: Tensor
    types: dict[str, tuple[Representation, Representation]]

    def to(self, device: torch.device) -> "Case":
        """The same case on a device."""
        return Case(self.network.to(device), self.inputs.to(device), self.targets.to(device), self.types)


def types_of(network: nn.Module) -> dict[str, tuple[Representation, Representation]]:
    """Regular channels wherever their number allows it."""

    def rho(n_channels: int) -> Representation:
        return n_channels // 4 * regular(GROUP) if n_channels % 4 == 0 else n_channels * trivial(GROUP)

    types = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            types[name] = rho(layer.in_channels), rho(layer.out_channels)
        elif isinstance(layer, nn.MultiheadAttention):
            types[name] = rho(layer.embed_dim), rho(layer.embed_dim)
        elif isinstance(layer, nn.Linear) and not name.endswith("out_proj"):  # that one is the attention's
            types[name] = rho(layer.in_features), rho(layer.out_features)
    return types


def build(name: str) -> Case:
    torch.manual_seed(0)
    network: nn.Module
    if name == "study":
        network, shape = build_network("dncnn", fields=4, depth=6, group_order=4), (8, 3, 32, 32)
    elif name == "acdnet":
        network, shape = ResidualBlocks(78, 36, 5), (1, 36, 64, 64)
    elif name == "resnet18":
        network, shape = ResNet18(), (16, 3, 32, 32)
    else:
        network, shape = VisionTransformer(), (4, 3, 32, 32)
    inputs = torch.rand(shape)
    with torch.no_grad():
        targets = torch.rand_like(network(inputs))
    return Case(network, inputs, targets, types_of(network))
