"""Against the authors' own programs, where EQUIPROJ_PUBLISHED_CODE names a folder with their checkouts.

The folder holds ACDNet, DICDNet and OSCNet, cloned from github.com/hongwang01. Their code is run, never copied.
"""

import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ctmar.models import load_published_weights

STEPS = {"etaM": 1.0, "etaX": 5.0}
OSC = STEPS | {"S": 10, "T": 3, "num_M": 4, "num_rot": 8, "num_Q": 32, "sizeP": 9, "inP": 5, "padding": 4, "ifini": 1}
ORIGINALS = {  # folder, module, class, published settings
    "acdnet": (
        "ACDNet",
        "acdnet",
        "ACDNet",
        STEPS | {"T": 10, "d": 32, "N": 6, "Np": 32, "batchSize": 1, "num_res": 3, "Mtau": 0.5},
    ),
    "dicdnet": ("DICDNet", "dicdnet", "DICDNet", STEPS | {"S": 10, "T": 3, "num_M": 32, "num_Q": 32}),
    "oscnet": ("OSCNet", "network.oscnet", "OSCNet", OSC | {"cdiv": 1.0}),
    "oscnetplus": ("OSCNet", "network.oscnetplus", "OSCNetplus", OSC | {"cdiv": 10.0}),
}


@pytest.fixture
def make_original(monkeypatch):
    """Build an original network by our name for it, with random weights and statistics."""
    root = os.environ.get("EQUIPROJ_PUBLISHED_CODE")
    if root is None:
        pytest.skip("EQUIPROJ_PUBLISHED_CODE does not name the authors' checkouts (ACDNet, DICDNet, OSCNet)")

    def make(name: str) -> nn.Module:
        folder, module_name, class_name, settings = ORIGINALS[name]
        monkeypatch.chdir(Path(root) / folder)  # they read their first filters from here
        monkeypatch.syspath_prepend(str(Path(root) / folder))
        package = types.ModuleType("network")
        package.__path__ = [str(Path(root) / folder / "network")]
        monkeypatch.setitem(sys.modules, "network", package)
        original = getattr(importlib.import_module(module_name), class_name)(SimpleNamespace(**settings))
        for parameter in original.parameters():  # some share memory before they are moved to a GPU
            value = parameter.data.clone(memory_format=torch.contiguous_format)
            parameter.data = value + 0.02 * torch.randn_like(value)
        for layer in original.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
        return original

    return make


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_stage_equals_the_originals(make_original, tmp_path, name):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  # what the originals draw from
    original = make_original(name)
    torch.save(original.state_dict(), tmp_path / "weights.pt")
    ours = load_published_weights(name, tmp_path / "weights.pt")
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in original.parameters())
    images = 2 * torch.rand(2, 3, 24, 28)
    images[:, 2] = (images[:, 2] > 1.8).float()
    for training in (True, False):
        original.train()
        original.train(training)
        ours.train(training)
        with torch.no_grad():
            first, seen, artefacts, *fixed = original(127.5 * images[:, :1], 127.5 * images[:, 1:2], 1 - images[:, 2:])
            outputs = ours.stage_outputs(images)
        expected = [first, *(fixed[0] if fixed else []), *seen]
        expected_artefacts = [*(fixed[1] if fixed else []), *artefacts]
        found = [tensor for _, tensor in outputs.images]
        found_artefacts = [tensor for _, tensor in outputs.artefacts]
        for theirs, mine in zip(expected + expected_artefacts, found + found_artefacts, strict=True):
            torch.testing.assert_close(mine, theirs / 127.5, rtol=0, atol=1e-4)
        assert outputs.image is found[-1]
