import pytest
import torch
from torch import nn

from equiproj.baselines import GroupAveraged, random_group_transform
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_conv
from equiproj.representations import regular, trivial
from equiproj.representations.action import act

GROUPS = pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(4)], ids=repr)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@GROUPS
def test_inputs_and_targets_of_a_sample_move_by_the_same_element(group):
    inputs = torch.randn(64, 1, 5, 5, generator=seeded())
    targets = torch.cat((inputs, -inputs), dim=1)
    moved_inputs, moved_targets = random_group_transform(inputs, targets, group=group, generator=seeded(1))
    assert torch.equal(moved_targets[:, :1], moved_inputs)
    assert torch.equal(moved_targets[:, 1:], -moved_inputs)


@GROUPS
def test_every_element_occurs_with_its_share(group):
    n_samples = 4000
    image = torch.randn(1, 1, 3, 3, generator=seeded())
    (moved,) = random_group_transform(image.expand(n_samples, -1, -1, -1), group=group, generator=seeded(1))
    for g in group.elements:
        share = (moved == act(image, g, group)).flatten(1).all(dim=1).double().mean().item()
        # five standard deviations of a binomial share
        assert abs(share - 1 / group.order) < 5 * (1 / group.order / n_samples) ** 0.5


def test_the_generator_alone_decides():
    images = torch.randn(8, 2, 4, 4)
    draws = [random_group_transform(images, group=CyclicGroup(4), generator=seeded(3))[0] for _ in range(2)]
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], random_group_transform(images, group=CyclicGroup(4), generator=seeded(4))[0])


def test_augmentation_frozen_value():
    images = torch.arange(4.0).reshape(1, 1, 2, 2).repeat(4, 1, 1, 1)
    (moved,) = random_group_transform(images, group=CyclicGroup(4), generator=seeded(0))
    assert moved.flatten(1).tolist() == [[0, 1, 2, 3], [2, 0, 3, 1], [1, 3, 0, 2], [0, 1, 2, 3]]


def test_integer_masks_keep_their_type():
    masks = torch.randint(2, (4, 1, 3, 3), generator=seeded()).bool()
    (moved,) = random_group_transform(masks, group=CyclicGroup(4), generator=seeded())
    assert moved.dtype == torch.bool
    assert moved.sum() == masks.sum()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(8, 1, 3, 4)], r"maps onto themselves, found shape \(8, 1, 3, 4\)"),
        ([(8, 1, 4, 4), (4, 1, 4, 4)], "of one batch size, found"),
        ([(8, 4)], "expected image batches"),
        ([], "expected image batches"),
    ],
)
def test_batches_that_do_not_fit(shapes, message):
    with pytest.raises(ValueError, match=message):
        random_group_transform(*map(torch.zeros, shapes), group=CyclicGroup(4), generator=seeded())


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
    torch.testing.assert_close(GroupAveraged(once, group)(images), once(images))


def test_average_closed_form_of_a_row_sum():
    # The mean over quarter turns of "first pixel" is the mean of the corners.
    averaged = GroupAveraged(lambda x: x[:, :, 0, 0], CyclicGroup(4))
    assert averaged(torch.arange(9.0).reshape(1, 1, 3, 3)).item() == (0 + 2 + 6 + 8) / 4


def test_several_inputs_turn_together():
    averaged = GroupAveraged(lambda a, b: a * b, CyclicGroup(4))
    a, b = torch.randn(2, 1, 1, 3, 3).unbind()
    torch.testing.assert_close(averaged(a, b), a * b)
