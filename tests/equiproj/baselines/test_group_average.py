"""The average of a function over a group: brute force, theorems, closed forms, and any size of bundle."""

import pytest
import torch
from torch import nn

from equiproj import measured_defect
from equiproj.baselines import GroupAveraged
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_conv
from equiproj.representations import regular, trivial
from equiproj.representations.action import act
from equiproj.testing import assert_equivariant

GROUPS = pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(4)], ids=repr)
C4 = CyclicGroup(4)


def network(n_in: int = 1, n_out: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(n_in, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, n_out, 3, padding=1))


@GROUPS
def test_theorem_the_average_is_equivariant(group):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, group.order, 2)).double()
    averaged = GroupAveraged(network, group, rho_out=regular(group))
    images = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    for g in group.elements:
        expected = act(averaged(images), g, group, regular(group))
        torch.testing.assert_close(averaged(act(images, g, group)), expected, atol=1e-14, rtol=0)
    assert (network(act(images, 1, group)) - act(network(images), 1, group)).abs().max() > 1e-2


def test_averaging_a_linear_layer_is_projecting_its_weight():
    group = DihedralGroup(4)
    rho_in, rho_out = trivial(group) + regular(group), 2 * regular(group)
    layer = nn.Conv2d(rho_in.dim, rho_out.dim, 3, padding=1, bias=False).double()
    images = torch.randn(1, rho_in.dim, 5, 5, dtype=torch.float64)
    projected = torch.conv2d(images, project_conv(layer.weight, rho_in, rho_out), padding=1)
    torch.testing.assert_close(GroupAveraged(layer, group, rho_in, rho_out)(images), projected, atol=1e-12, rtol=0)


def test_averaging_changes_nothing_that_is_equivariant_and_is_idempotent():
    group = CyclicGroup(4)
    images = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(GroupAveraged(torch.exp, group)(images), images.exp())
    once = GroupAveraged(lambda x: x.cumsum(-1), group)
    torch.testing.assert_close(GroupAveraged(once, group)(images), once(images), atol=1e-14, rtol=0)


def test_average_closed_form_of_a_row_sum():
    # The mean over quarter turns of "first pixel" is the mean of the corners.
    averaged = GroupAveraged(lambda x: x[:, :, 0, 0], CyclicGroup(4))
    assert averaged(torch.arange(9.0).reshape(1, 1, 3, 3)).item() == (0 + 2 + 6 + 8) / 4


def test_several_inputs_turn_together():
    averaged = GroupAveraged(lambda a, b: a * b, CyclicGroup(4))
    a, b = torch.randn(2, 1, 1, 3, 3).unbind()
    torch.testing.assert_close(averaged(a, b), a * b)


@torch.no_grad()
def test_the_average_is_the_mean_over_quarter_turns_one_by_one():
    plain, images = network(2), torch.randn(3, 2, 6, 6)
    expected = sum(torch.rot90(plain(torch.rot90(images, k, (2, 3))), -k, (2, 3)) for k in range(4)) / 4
    torch.testing.assert_close(GroupAveraged(plain, C4)(images), expected, atol=1e-6, rtol=0)


def test_theorem_the_average_is_equivariant_to_the_accuracy_of_float32():
    averaged = GroupAveraged(network(2), C4)
    assert_equivariant(averaged, 2 * trivial(C4), trivial(C4), image_shape=(9, 9), tolerance=5e-7)
    images = torch.randn(4, 2, 8, 8)
    assert measured_defect(averaged, images, C4).maximum < 3e-7
    assert measured_defect(averaged.module, images, C4).mean > 0.1


@torch.no_grad()
def test_theorem_averaging_twice_is_averaging_once():
    once, images = GroupAveraged(network().double(), C4), torch.randn(2, 1, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(GroupAveraged(once, C4)(images), once(images), atol=1e-14, rtol=0)


def test_average_frozen_value():
    # x + 2 (the pixel to the left), averaged: each pixel, and half of its four neighbours, zero outside
    def to_the_left(images):
        return images + 2 * torch.nn.functional.pad(images, (1, 0))[..., :-1]

    averaged = GroupAveraged(to_the_left, C4)(torch.arange(9.0).reshape(1, 1, 3, 3))
    assert averaged[0, 0].tolist() == [[2.0, 4.0, 5.0], [8.0, 12.0, 12.0], [11.0, 16.0, 14.0]]


@pytest.mark.parametrize(("largest", "passes"), [(None, [12]), (12, [12]), (7, [6, 6]), (5, [3] * 4), (1, [3] * 4)])
@torch.no_grad()
def test_copies_go_together_as_far_as_the_largest_batch_allows(largest, passes):
    plain, images, sizes = network().double(), torch.randn(3, 1, 5, 5, dtype=torch.float64), []
    plain.register_forward_hook(lambda _, arguments, output: sizes.append(len(arguments[0])))
    found = GroupAveraged(plain, C4, largest_batch=largest)(images)
    assert sizes == passes
    torch.testing.assert_close(found, GroupAveraged(plain, C4, largest_batch=1)(images), atol=1e-14, rtol=0)


@torch.no_grad()
def test_oblong_images_go_through_once_for_each_shape():
    plain, images, shapes = network().double(), torch.randn(1, 1, 4, 6, dtype=torch.float64), []
    plain.register_forward_hook(lambda _, arguments, output: shapes.append(tuple(arguments[0].shape)))
    found = GroupAveraged(plain, C4)(images)
    assert shapes == [(2, 1, 4, 6), (2, 1, 6, 4)]
    expected = sum(torch.rot90(plain(torch.rot90(images, k, (2, 3))), -k, (2, 3)) for k in range(4)) / 4
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


def test_an_average_can_be_trained_through():
    plain, images = network().double(), torch.randn(1, 1, 4, 4, dtype=torch.float64)
    GroupAveraged(plain, C4)(images).square().sum().backward()
    gradient = plain[0].weight.grad
    assert gradient.abs().max() > 0
    assert torch.isfinite(gradient).all()


def test_a_largest_batch_below_one_is_refused():
    with pytest.raises(ValueError, match="expected a largest batch of at least 1, found 0"):
        GroupAveraged(network(), C4, largest_batch=0)
