import pytest
import torch

from equiproj.baselines import random_group_transform
from equiproj.groups import CyclicGroup, DihedralGroup
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
