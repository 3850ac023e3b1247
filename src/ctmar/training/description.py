"""What a run is: settings, data, software. Equal descriptions give equal weights (on one kind of processor)."""

from pathlib import Path
from typing import Any

import torch
from equiproj.groups import CyclicGroup

from ctmar.config import Network, Run, Training
from ctmar.store.provenance import code_digest, package_versions, sha256_of

CODE = ("equiproj", "ctmar.models", "ctmar.training", "ctmar.store")


def describe_run(
    pairs_train: Path,
    pairs_validation: Path,
    run: Run,
    network: Network,
    training: Training,
    group_order: int,
    power: int,
) -> dict[str, Any]:
    """Settings, checksums of the pair files, and versions, as JSON can hold them; no path, user or time."""
    return {
        "run": run.model_dump(mode="json"),
        "network": network.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "group": repr(CyclicGroup(group_order)),
        "group_order": group_order,
        "power": power,
        "provenance": {
            "code_sha256": code_digest(*CODE),
            "pairs_train_sha256": sha256_of(pairs_train),
            "pairs_validation_sha256": sha256_of(pairs_validation),
            "software": package_versions(["equiproj", "torch", "numpy"]),
            "processor": torch.backends.cpu.get_cpu_capability(),
        },
    }
