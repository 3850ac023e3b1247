"""Blocks of kernels: of the right layers and channels, and their projections turn into one another."""

import copy

import numpy as np
import pytest
import torch

from ctmar.models import build_network, layer_types
from ctmar.models.kernel_blocks import MOST_LAYERS, kernel_blocks
from equiproj import project_
from equiproj.groups import CyclicGroup, DihedralGroup

C4 = CyclicGroup(4)


def test_both_parts_are_those_of_the_network():
    network = build_network("dncnn", fields=2, depth=3)
    projected = project_(copy.deepcopy(network), C4, layers=layer_types(network, C4))
    blocks = kernel_blocks(network, C4)
    assert [(name, block.shape) for name, block in blocks.items()] == [
        ("layers.0.weight", (2, 4, 3, 3, 3)),
        ("layers.1.weight", (2, 4, 4, 3, 3)),
        ("layers.2.weight", (2, 1, 4, 3, 3)),
    ]
    for name, block in blocks.items():
        for part, owner in zip(block, (network, projected), strict=True):
            assert np.array_equal(part, owner.get_parameter(name)[:4, :4].detach().numpy())


def test_between_regular_fields_a_turned_kernel_stands_one_channel_further():
    block = kernel_blocks(build_network("dncnn", fields=2, depth=3), C4)["layers.1.weight"][1]
    further = np.roll(block, (1, 1), axis=(0, 1))
    matching = [k for k in (1, 3) if np.allclose(np.rot90(block, k, axes=(-2, -1)), further, atol=1e-6)]
    assert len(matching) == 1
    assert not np.allclose(block, further, atol=1e-3)


def test_linear_layers_have_kernels_of_one_entry_and_no_more_layers_than_can_be_looked_at():
    settings = {"n_stages": 3, "n_maps": 4, "n_extra_channels": 4, "n_atoms": 4, "declare": "all"}
    network = build_network("acdnet", **settings)
    blocks = kernel_blocks(network, C4)
    assert len(blocks) == MOST_LAYERS
    assert all(block.ndim == 5 and max(block.shape[1:3]) <= 4 for block in blocks.values())
    layers = {name: network.get_submodule(name.removesuffix(".weight")) for name in blocks}
    assert any(isinstance(layer, torch.nn.Linear) for layer in layers.values())
    for name, layer in layers.items():
        expected = (1, 1) if isinstance(layer, torch.nn.Linear) else layer.kernel_size
        assert blocks[name].shape[3:] == expected


@pytest.mark.parametrize(("group", "n_channels"), [(DihedralGroup(4), 8), (CyclicGroup(2), 2)])
def test_as_many_channels_as_a_regular_field(group, n_channels):
    network = build_network("dncnn", fields=2, depth=3, group_order=group.order)
    assert kernel_blocks(network, group)["layers.1.weight"].shape[1:3] == (n_channels, n_channels)
