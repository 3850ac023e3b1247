"""The residual U-Net: its shape, its symmetry, its declaration."""

import pytest
import torch

from ctmar.errors import InputError
from ctmar.models.unet import UNet
from equiproj import project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.representations import regular, trivial


def network(**settings):
    torch.manual_seed(0)
    made = UNet(**{"fields": 1, "levels": 3} | settings)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


def defect(made, images, turns=1):
    turned = torch.rot90(made(images), turns, (-2, -1))
    return (made(torch.rot90(images, turns, (-2, -1))) - turned).abs().max().item()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(16, 16), (18, 18), (14, 20)])
def test_commutes_for_every_even_size(size, training):
    made, images = network(fields=2), torch.rand(2, 3, *size)
    assert defect(made, images) > 1e-2
    project_(made, layers=made.layer_types(CyclicGroup(4)))
    for _ in range(20):  # running statistics of the projected weights
        made(images)
    made.train(training)
    assert max(defect(made, images, turns) for turns in (1, 2, 3)) < 1e-5
    assert (made(images) - images[:, 1:2]).std() > 1e-2


def test_commutes_for_every_size_on_one_level_and_not_for_odd_ones_on_more():
    images = torch.rand(2, 3, 17, 17)
    for levels, commutes in ((1, True), (3, False)):
        made = network(levels=levels)
        project_(made, layers=made.layer_types(CyclicGroup(4)))
        assert (defect(made, images) < 1e-5) == commutes


def test_commutes_with_reflections():
    made, images = network(group_order=8), torch.rand(2, 3, 12, 16)
    project_(made, layers=made.layer_types(DihedralGroup(4)))
    torch.testing.assert_close(made(images.flip(-1)), made(images).flip(-1), atol=1e-5, rtol=0)


def test_batch_normalisation_does_not_commute():
    made = network(normalisation="batch")
    project_(made, layers=made.layer_types(CyclicGroup(4)))
    assert defect(made, torch.rand(2, 3, 16, 16)) > 1e-4


def test_number_of_parameters():
    made, n = UNet(fields=2, levels=2), 8
    convolutions = 9 * (3 * n + n * n + n * 2 * n + 4 * n * n + 3 * n * n + n * n + n) + 1
    normalisations = 2 * (4 * 2 + 2 * 4)  # scale and shift of every field
    assert sum(parameter.numel() for parameter in made.parameters()) == convolutions + normalisations


def test_starts_as_linear_interpolation_and_can_leave_it():
    made, images = UNet(fields=1, levels=2), torch.rand(1, 3, 8, 8)
    assert torch.equal(made(images), images[:, 1:2])
    made(images).sum().backward()
    assert made.output.weight.grad.abs().sum() > 0


def test_declares_every_convolution():
    group = CyclicGroup(4)
    made = UNet(fields=1, levels=2)
    types = made.layer_types(group)
    assert set(types) == {name for name, layer in made.named_modules() if isinstance(layer, torch.nn.Conv2d)}
    assert types["encoder.0.0"] == (3 * trivial(group), regular(group))
    assert types["decoder.0.0"] == (3 * regular(group), regular(group))
    assert types["output"] == (regular(group), trivial(group))


def test_bad_settings_are_one_line():
    with pytest.raises(InputError, match="levels and group_order of at least 1, found 4, 0, 4"):
        UNet(levels=0)
    with pytest.raises(InputError, match="multiples of the group order 8, found group_order 4"):
        UNet(fields=2).layer_types(CyclicGroup(8))
