"""What of networks that nobody here wrote is covered, and whether they can be equivariant: a table.

``python -m benchmarks.outside_networks`` draws small networks of torch, transformers, timm and monai (whatever of them
is installed: none is a requirement), and prints the table of docs/bridges.md. For each it says which share of its
matrix parameters linear and convolution layers alone are, to which share data flow gives a type, and what
`equiproj.check` finds on random data.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from equiproj import check, equivariance_report
from equiproj.groups import CyclicGroup
from equiproj.layers.coverage import coverage_of

GROUP = CyclicGroup(4)
REGULAR = {"input_type": "regular", "output_type": "regular"}
Case = tuple[str, Callable[[], nn.Module], Any, dict[str, str]]
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
WORDS = {"vocab_size": 100, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}


def images(n_channels: int, *sizes: int) -> torch.Tensor:
    return torch.randn(2, n_channels, *sizes)


def of_torch() -> Iterator[Case]:
    features = torch.randn(2, 5, 32)
    yield "torch MultiheadAttention", lambda: nn.MultiheadAttention(32, 4, batch_first=True), (features,) * 3, REGULAR
    yield "torch Transformer", lambda: nn.Transformer(32, 4, 2, 2, 64, batch_first=True), (features, features), REGULAR
    yield "torch LSTM", lambda: nn.LSTM(32, 32, 2, bidirectional=True), features, REGULAR


def of_transformers() -> Iterator[Case]:
    library = import_module("transformers")
    tokens, picture, plain = torch.randint(100, (2, 7)), images(3, 32, 32), {"output_type": "regular"}

    def made(config: str, model: str, **settings: Any) -> Callable[[], nn.Module]:
        return lambda: getattr(library, model)(getattr(library, config)(**settings))

    yield (
        "GPT-2",
        made("GPT2Config", "GPT2Model", n_embd=64, n_layer=2, n_head=4, n_positions=32, **WORDS),
        tokens,
        plain,
    )
    yield "BERT", made("BertConfig", "BertModel", **SMALL, **WORDS), tokens, plain
    yield "RoBERTa", made("RobertaConfig", "RobertaModel", **SMALL, **WORDS), tokens, plain
    yield "Llama", made("LlamaConfig", "LlamaModel", **SMALL, **WORDS), tokens, plain
    yield (
        "T5 encoder",
        made("T5Config", "T5EncoderModel", d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, **WORDS),
        tokens,
        plain,
    )
    size = {"image_size": 32, "patch_size": 8}
    yield "ViT", made("ViTConfig", "ViTModel", **SMALL, **size), picture, plain
    yield "DeiT", made("DeiTConfig", "DeiTModel", **SMALL, **size), picture, plain
    yield (
        "DINOv2",
        made("Dinov2Config", "Dinov2Model", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, **size),
        picture,
        plain,
    )
    yield (
        "ConvNeXt",
        made("ConvNextConfig", "ConvNextModel", hidden_sizes=[16, 32], depths=[1, 1], num_stages=2),
        picture,
        plain,
    )
    yield (
        "ResNet",
        made(
            "ResNetConfig", "ResNetModel", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"
        ),
        picture,
        plain,
    )
    yield (
        "Swin",
        made(
            "SwinConfig",
            "SwinModel",
            image_size=32,
            patch_size=2,
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=4,
        ),
        picture,
        plain,
    )


class _NamesOnly(ModuleType):
    """A module of which every name that is no submodule is a class that does nothing."""

    __path__ = ()  # so that it has submodules
    InterpolationMode = Enum("InterpolationMode", "NEAREST BILINEAR BICUBIC BOX HAMMING LANCZOS")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or type(name, (nn.Module,), {})


def import_timm() -> Any:
    """The timm library, also where torchvision, whose names it imports for images and files, is not installed.

    Raises:
        ImportError: timm is not installed.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        inner = ("ops.misc", "transforms.functional", "datasets")
        names = ["torchvision", *(f"torchvision.{'.'.join(n.split('.')[:k])}" for n in inner for k in (1, 2))]
        standing_in = {name: _NamesOnly(name) for name in names}
        sys.modules.update(standing_in)
        try:
            return import_module("timm")
        finally:  # nobody else is to take them for torchvision
            for name in standing_in:
                del sys.modules[name]
    return import_module("timm")


def of_timm() -> Iterator[Case]:
    library, plain = import_timm(), {}

    def made(name: str, **settings: Any) -> Callable[[], nn.Module]:
        return lambda: library.create_model(name, num_classes=10, **settings)

    attending = {"img_size": 32, "embed_dim": 32, "num_heads": 4}
    odd = images(3, 33, 33)
    yield "timm resnet18", made("resnet18", channels=(16, 16, 32, 32)), images(3, 32, 32), plain
    yield "timm resnet18, 33 pixels", made("resnet18", channels=(16, 16, 32, 32)), odd, plain
    yield "timm vit_tiny", made("vit_tiny_patch16_224", depth=2, **attending), images(3, 32, 32), plain
    yield "timm cait_xxs24", made("cait_xxs24_224", depth=1, **attending), images(3, 32, 32), plain
    mixer = {"img_size": 32, "patch_size": 8, "num_blocks": 2, "embed_dim": 32, "num_classes": 10}
    yield "timm MlpMixer", lambda: library.models.mlp_mixer.MlpMixer(**mixer), images(3, 32, 32), plain
    yield (
        "timm convnext_atto",
        made("convnext_atto", dims=(16, 32, 32, 64), depths=(1, 1, 1, 1)),
        images(3, 32, 32),
        plain,
    )
    yield "timm mobilenetv3_small", made("mobilenetv3_small_050"), odd, plain
    yield "timm beit_base", made("beit_base_patch16_224", depth=1, **attending), images(3, 32, 32), plain
    swin = {"img_size": 56, "depths": (1, 1), "num_heads": (4, 4), "embed_dim": 32}
    yield "timm swin_tiny", made("swin_tiny_patch4_window7_224", **swin), images(3, 56, 56), plain


def of_monai() -> Iterator[Case]:
    nets = import_module("monai.networks.nets")
    flat, plain = images(1, 32, 32), {}
    yield "MONAI UNet", lambda: nets.UNet(2, 1, 2, (8, 16, 32), (2, 2), num_res_units=1), flat, plain
    yield "MONAI SegResNet", lambda: nets.SegResNet(spatial_dims=2, init_filters=8), flat, plain
    yield "MONAI DynUNet", lambda: nets.DynUNet(2, 1, 4, (3, 3, 3), (1, 2, 2), (2, 2)), flat, plain
    yield "MONAI AttentionUnet", lambda: nets.AttentionUnet(2, 1, 2, (8, 16, 32), (2, 2)), flat, plain
    yield "MONAI BasicUNet", lambda: nets.BasicUNet(2, features=(8, 8, 16, 16, 16, 8)), flat, plain
    yield "MONAI DenseNet", lambda: nets.DenseNet(2, 1, 3, 16, 8, (2, 2)), flat, plain
    yield "MONAI VNet", lambda: nets.VNet(), images(1, 16, 16, 16), plain


def linear_share(network: nn.Module) -> float:
    """The share of linear and convolution layers by themselves."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | _ConvNd)]
    return coverage_of(network, [(layer, "weight", "map") for layer in layers]).share


@torch.no_grad()
def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    """A network in evaluation mode, with drawn vectors and heads: what starts at zero hides whatever is behind it."""
    torch.manual_seed(0)
    network = make().eval()
    for parameter in network.parameters():
        if parameter.ndim < 2 or not parameter.any():
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    return network


def row(network: nn.Module, example: Any, types: dict[str, str]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is not covered stands in the table
        try:
            covered = f"{100 * equivariance_report(network, GROUP, example=example, **types).coverage.share:.0f} %"
        except ValueError as error:
            covered = "refused"
            return f"{covered} | {str(error)[:150]}"
        found = check(network, example, GROUP, **types)
    verdict = f"defect {found.defect:.1e}"
    if not found.is_equivariant:
        verdict += f", first at {found.broken}: {found.reason}"
    return f"{covered} | {verdict[:170]}"


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.outside_networks", description=__doc__).parse_args()
    print(f"| network | layers alone | data flow | projected onto {GROUP} |\n|---|---|---|---|")
    for library in (of_torch, of_transformers, of_timm, of_monai):
        try:
            cases = list(library())
        except ModuleNotFoundError as error:
            print(f"({library.__name__}: {error})")
            continue
        for name, make, example, types in cases:
            network = drawn(make)
            print(f"| {name} | {100 * linear_share(network):.0f} % | {row(network, example, types)} |", flush=True)


if __name__ == "__main__":
    main()
