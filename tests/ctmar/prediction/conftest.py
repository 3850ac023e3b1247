"""A network without training, and CT with metal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.ctmar.run_folders import description

from ctmar.config import Network
from ctmar.models import build_network
from ctmar.store.run_folder import RunFolder

MakeNetwork = Callable[..., RunFolder]


@pytest.fixture
def make_network(tmp_path: Path) -> MakeNetwork:
    """Write weights.pt and run.json of a network that returns its first image, or (``kind="LI"``) its second."""

    def make(kind: str = "identity", **changes: object) -> RunFolder:
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
        run = RunFolder(folder)
        torch.save(network.state_dict(), run.weights)
        run.write_description(description(network=Network(settings=settings), **changes))
        return run

    return make


@pytest.fixture
def metal_hu(phantom: np.ndarray) -> np.ndarray:
    """The phantom with a piece of metal and two streaks."""
    image = phantom.copy()
    image[30:34, 20:24] = 3000
    image[31, 24:50] += 300
    image[33, 24:50] -= 300
    return image
