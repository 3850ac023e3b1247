"""The network of the default study: its equation, its symmetry, its declaration."""

import pytest
import torch
from torch.nn.functional import conv2d, relu

from ctmar.errors import InputError
from ctmar.models.dncnn import DnCNN
from equiproj import project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.representations import regular, trivial


def network(**settings: object) -> DnCNN:
    torch.manual_seed(0)
    made = DnCNN(**settings)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_equation():
    made, images = network(fields=1, depth=3, dilations=[1, 2, 1]), torch.rand(2, 3, 9, 8)
    first, second, last = made.layers
    hidden = relu(conv2d(images, first.weight, first.bias, padding=1))
    hidden = relu(conv2d(hidden, second.weight, second.bias, padding=2, dilation=2))
    expected = images[:, 1:2] + conv2d(hidden, last.weight, last.bias, padding=1)
    torch.testing.assert_close(made(images), expected)


@pytest.mark.parametrize(
    ("fields", "depth", "group_order", "expected"),
    [
        (4, 6, 4, 3 * 16 * 9 + 16 + 4 * (16 * 16 * 9 + 16) + 16 * 9 + 1),
        (1, 2, 4, 3 * 4 * 9 + 4 + 4 * 9 + 1),
        (2, 3, 8, 3 * 16 * 9 + 16 + 16 * 16 * 9 + 16 + 16 * 9 + 1),
    ],
)
def test_number_of_parameters(fields, depth, group_order, expected):
    made = DnCNN(fields=fields, depth=depth, group_order=group_order)
    assert sum(parameter.numel() for parameter in made.parameters()) == expected


@pytest.mark.parametrize("group", [CyclicGroup(4), CyclicGroup(2), DihedralGroup(4)], ids=str)
@pytest.mark.parametrize("size", [16, 17])
def test_commutes_with_the_group_once_its_weights_do(group, size):
    made, images = network(fields=2, depth=4, group_order=group.order), torch.rand(2, 3, size, size)
    moved = torch.rot90(images, 4 // min(group.order, 4), (-2, -1))

    def defect() -> float:
        turned = torch.rot90(made(images), 4 // min(group.order, 4), (-2, -1))
        return (made(moved) - turned).abs().max().item()

    assert defect() > 1e-2
    project_(made, group, layers=made.layer_types(group))
    assert defect() < 1e-5
    assert (made(images) - images[:, 1:2]).abs().max() > 1e-2


def test_starts_as_linear_interpolation_and_can_leave_it():
    made, images = DnCNN(), torch.rand(1, 3, 8, 8)
    output = made(images)
    assert torch.equal(output, images[:, 1:2])
    output.sum().backward()
    assert made.layers[-1].weight.grad.abs().sum() > 0


def test_declares_every_convolution():
    group = CyclicGroup(4)
    made = DnCNN(fields=3, depth=3)
    hidden = 3 * regular(group)
    expected = [(3 * trivial(group), hidden), (hidden, hidden), (hidden, trivial(group))]
    assert list(made.layer_types(group).values()) == expected
    convolutions = [name for name, layer in made.named_modules() if isinstance(layer, torch.nn.Conv2d)]
    assert list(made.layer_types(group)) == convolutions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 1}, "depth ≥ 2"),
        ({"fields": 0}, "fields ≥ 1"),
        ({"depth": 3, "dilations": [1, 2]}, "expected 3 dilations"),
        ({"depth": 2, "dilations": [1, 0]}, "dilations ≥ 1"),
    ],
)
def test_bad_settings_are_one_line(settings, message):
    with pytest.raises(InputError, match=message) as raised:
        DnCNN(**settings)
    assert "\n" not in str(raised.value)


def test_channels_that_do_not_fit_the_group_are_one_line():
    with pytest.raises(InputError, match="multiples of the group order 8, found 4"):
        DnCNN(fields=1).layer_types(CyclicGroup(8))
