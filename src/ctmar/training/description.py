"""What a run is: settings, data, software. Equal descriptions give equal weights (on one kind of processor)."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ctmar.config import Network, Run, Training
from ctmar.models import layer_types
from ctmar.store.code_digest import CodeDigests
from ctmar.store.pairs import PairFile
from ctmar.store.provenance import package_versions, sha256_of
from equiproj import equivariance_report
from equiproj.groups import CyclicGroup


def describe_run(
    pairs_train: Path,
    pairs_validation: Path | None,
    run: Run,
    network: Network,
    training: Training,
    group_order: int,
    power: int,
) -> dict[str, Any]:
    """Settings, checksums of pair files and initial weights, and versions, as JSON holds them; no path, user or time.

    Without a validation file its checksum is null: the pairs held out follow from the training file.
    """
    weights = network.weights
    return {
        "run": run.model_dump(mode="json"),
        "network": network.published(),
        "training": training.model_dump(mode="json"),
        "group": repr(CyclicGroup(group_order)),
        "group_order": group_order,
        "power": power,
        "grid": describe_grid(pairs_train),
        "provenance": {
            "code_sha256": CodeDigests().command("train"),
            "pairs_train_sha256": sha256_of(pairs_train),
            "pairs_validation_sha256": sha256_of(pairs_validation) if pairs_validation is not None else None,
            "initial_weights_sha256": sha256_of(weights) if weights is not None else None,
            "software": package_versions(["equiproj", "torch", "numpy"]),
            "processor": torch.backends.cpu.get_cpu_capability(),
        },
    }


def describe_grid(pairs: Path) -> dict[str, Any]:
    """The grid of the images: pixels, their size where all slices share one [mm], and the preset of the scan."""
    with PairFile(pairs) as file:
        pixels_mm = {float(pixel) for pixel in file.pixel_mm}
        return {
            "image_size": file.image_size,
            "pixel_mm": pixels_mm.pop() if len(pixels_mm) == 1 else None,
            "preset": file.provenance.get("settings", {}).get("preset"),
        }


def layer_table(network: nn.Module, group_order: int) -> list[dict[str, Any]]:
    """‖P(W)‖_F, ‖W − P(W)‖_F and their ratio for every weight and bias of a typed layer."""
    group = CyclicGroup(group_order)
    report = equivariance_report(network, group, layers=layer_types(network, group), include_bias=True)
    return [row._asdict() for row in report.rows]
