"""A network without training, and CT with metal."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctmar.models import build_network

MakeNetwork = Callable[..., tuple[Path, Path]]


@pytest.fixture
def make_network(tmp_path: Path) -> MakeNetwork:
    """Write weights.pt and run.json of a network that returns its first image, or (``kind="LI"``) its second."""

    def make(kind: str = "identity", **description: object) -> tuple[Path, Path]:
        settings = {"fields": 1, "depth": 2}
        network = build_network("dncnn", **settings, group_order=4)
        first, last = network.layers
        with torch.no_grad():
            for layer in (first, last):
                layer.weight.zero_()
                layer.bias.zero_()
            if kind == "identity":  # LI + (ma − LI), both non-negative, so ReLU lets them pass
                first.weight[0, 0, 1, 1] = first.weight[1, 1, 1, 1] = 1
                last.weight[0, 0, 1, 1], last.weight[0, 1, 1, 1] = 1, -1
            if kind == "overflow":  # finite weights whose output is infinite
                first.bias.fill_(1e38)
                last.weight.fill_(1e38)
        folder = tmp_path / f"network-{kind}"
        folder.mkdir(exist_ok=True)
        torch.save(network.state_dict(), folder / "weights.pt")
        run = {
            "run": {"network": "n", "method": "plain"},
            "network": {"architecture": "dncnn", "settings": settings},
            "group_order": 4,
            **description,
        }
        (folder / "run.json").write_text(json.dumps(run))
        return folder / "weights.pt", folder / "run.json"

    return make


@pytest.fixture
def metal_hu(phantom: np.ndarray) -> np.ndarray:
    """The phantom with a piece of metal and two streaks."""
    image = phantom.copy()
    image[30:34, 20:24] = 3000
    image[31, 24:50] += 300
    image[33, 24:50] -= 300
    return image
