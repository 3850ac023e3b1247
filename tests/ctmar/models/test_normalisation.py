"""Normalisation within fields, thresholds, and how channels split."""

import pytest
import torch
from torch import nn

from ctmar.errors import InputError
from ctmar.models.channels import channel_type, orientation_type, regular_type, split_channels
from ctmar.models.normalisation import FieldNormalisation, Threshold, make_normalisation
from equiproj.groups import CyclicGroup
from equiproj.representations import regular, trivial


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_channels", [8, 9])
def test_commutes_with_shifts_inside_fields(n_channels, training):
    layer = FieldNormalisation(n_channels, 4)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    features = draw(3, n_channels, 5, 6)
    for _ in range(3):
        layer(features)
    layer.train(training)
    permutation = torch.from_numpy(channel_type(n_channels, CyclicGroup(4)).permutation(1))
    torch.testing.assert_close(layer(features[:, permutation]), layer(features)[:, permutation], atol=1e-5, rtol=0)


def test_normalises_each_field_by_its_own_mean_and_variance():
    features = draw(3, 9, 5, 6)
    output = FieldNormalisation(9, 4)(features)
    for channels in (slice(0, 1), slice(1, 5), slice(5, 9)):
        field = features[:, channels]
        expected = (field - field.mean()) / (field.var(correction=0) + 1e-5).sqrt()
        torch.testing.assert_close(output[:, channels], expected, atol=1e-5, rtol=1e-5)


def test_fields_of_one_channel_are_batch_normalisation():
    features = draw(3, 4, 5, 6)
    layers = [make_normalisation(kind, 4, 1) for kind in ("batch", "field")]
    torch.testing.assert_close(layers[0](features), layers[1](features))
    torch.testing.assert_close(layers[0].eval()(features), layers[1].eval()(features))


def test_channels_last_gives_the_same():
    features, layer = draw(3, 9, 5, 6), FieldNormalisation(9, 4)
    torch.testing.assert_close(layer(features.contiguous(memory_format=torch.channels_last)), layer(features))


def test_threshold_is_shared_in_fields():
    shared, free = Threshold(8, 0.5, "field", 4), Threshold(8, 0.5)
    assert shared.value.shape == (1, 2, 1, 1)
    assert free.value.shape == (1, 8, 1, 1)
    nn.init.constant_(shared.value[:, 1], 2.0)
    output = shared(torch.full((1, 8, 1, 1), 1.5)).flatten()
    assert output.tolist() == [1.0] * 4 + [0.0] * 4


@pytest.mark.parametrize(("n_channels", "expected"), [(36, (0, 9)), (33, (1, 8)), (4, (0, 1)), (5, (1, 1))])
def test_channels_split(n_channels, expected):
    assert split_channels(n_channels, 4) == expected


@pytest.mark.parametrize("n_channels", [1, 3, 34, 35])
def test_channels_that_do_not_split(n_channels):
    with pytest.raises(InputError, match=f"found {n_channels}"):
        split_channels(n_channels, 4)


def test_types():
    group = CyclicGroup(4)
    assert channel_type(33, group) == trivial(group) + 8 * regular(group)
    assert channel_type(36, group) == 9 * regular(group)
    assert regular_type(8, group, "maps") == 2 * regular(group)
    assert orientation_type(3, 4, group) == 3 * regular(group)


@pytest.mark.parametrize("n_rotations", [4, 8, 12])
def test_a_quarter_turn_raises_the_orientation_by_a_quarter_of_all(n_rotations):
    moves = orientation_type(2, n_rotations, CyclicGroup(4)).permutation(1)
    expected = [(r + n_rotations // 4) % n_rotations for r in range(n_rotations)]
    assert moves.tolist() == expected + [n_rotations + r for r in expected]
