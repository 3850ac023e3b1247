"""What of networks that nobody here wrote is covered, and whether they can be equivariant: a table.

``python -m benchmarks.outside_networks`` draws small networks of torch, transformers and monai (whatever of them is
installed: none is a requirement). For each it says which share of its matrix parameters linear and convolution layers
alone are, to which share data flow gives a type, and what `equiproj.check` finds on random data.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
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


def row(network: nn.Module, example: Any, types: dict[str, str]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is not covered stands in the table
        try:
            covered = f"{100 * equivariance_report(network, GROUP, example=example, **types).coverage.share:.0f} %"
        except ValueError as error:
            covered = "refused"
            return f"{covered:>8}  {str(error)[:150]}"
        found = check(network, example, GROUP, **types)
    verdict = f"defect {found.defect:.1e}"
    if not found.is_equivariant:
        verdict += f", first at {found.broken}: {found.reason}"
    return f"{covered:>8}  {verdict[:170]}"


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.outside_networks", description=__doc__).parse_args()
    print(f"{'network':25} {'before':>7} {'now':>8}  projected onto {GROUP}")
    for library in (of_torch, of_transformers, of_monai):
        try:
            cases = list(library())
        except ModuleNotFoundError as error:
            print(f"({library.__name__}: {error})")
            continue
        for name, make, example, types in cases:
            torch.manual_seed(0)
            network = make().eval()
            print(f"{name:25} {100 * linear_share(network):5.0f} % {row(network, example, types)}", flush=True)


if __name__ == "__main__":
    main()
