import pytest
import torch

from equiproj.groups import SO2, SO3, CubeGroup, CyclicGroup, DihedralGroup
from equiproj.representations import grid, irrep, regular, trivial
from equiproj.representations.action import act, move_channels, move_pixels


@pytest.mark.parametrize("group", [CyclicGroup(1), CyclicGroup(2), CyclicGroup(4), DihedralGroup(4)], ids=repr)
@pytest.mark.parametrize("size", [4, 5])
def test_pixels_move_as_the_matrix_of_the_grid_representation(group, size):
    images = torch.randn(2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for g in group.elements:
        matrix = grid(group, (size, size))(g)
        expected = (images.flatten(2) @ matrix.T).reshape(images.shape)
        assert torch.equal(move_pixels(images, g, group, 2), expected)


def test_voxels_move_as_the_matrix_of_the_grid_representation():
    group, volume = CubeGroup(), torch.randn(1, 2, 3, 3, 3, dtype=torch.float64)
    for g in group.elements:
        expected = (volume.flatten(2) @ grid(group, (3, 3, 3))(g).T).reshape(volume.shape)
        assert torch.equal(move_pixels(volume, g, group, 3), expected)


@pytest.mark.parametrize("n_turns", [0, 1, 2, 3])
def test_quarter_turns_are_rot90_on_oblong_images(n_turns):
    images = torch.randn(2, 3, 4, 7)
    assert torch.equal(act(images, n_turns, CyclicGroup(4)), torch.rot90(images, n_turns, dims=(-2, -1)))


def test_the_mirror_of_a_dihedral_group_flips_the_last_axis_before_the_turn():
    images = torch.randn(1, 1, 3, 3)
    expected = torch.rot90(images.flip(-1), 1, dims=(-2, -1))
    assert torch.equal(act(images, 5, DihedralGroup(4)), expected)


def test_volumes_turn_about_the_depth_axis():
    volume = torch.randn(1, 1, 2, 4, 4)
    assert torch.equal(act(volume, 1, CyclicGroup(4)), torch.rot90(volume, dims=(-2, -1)))


@pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(3)], ids=repr)
def test_channels_move_as_the_matrix_of_the_representation(group):
    rho = trivial(group) + 2 * regular(group)
    features = torch.randn(2, rho.dim, 3, dtype=torch.float64)
    for g in group.elements:
        expected = torch.einsum("oi,bip->bop", rho(g), features)
        assert torch.equal(move_channels(features, g, rho), expected)


@pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(4)], ids=repr)
def test_acting_is_a_homomorphism(group):
    rho = regular(group)
    features = torch.randn(1, rho.dim, 4, 4)
    for a in group.elements:
        for b in group.elements:
            twice = act(act(features, b, group, rho), a, group, rho)
            assert torch.equal(twice, act(features, group.multiply(a, b), group, rho))


@pytest.mark.parametrize("group", [CyclicGroup(5), SO2(), SO3()], ids=repr)
def test_irreducible_features_are_multiplied_by_their_matrix(group):
    rho = 2 * irrep(group, 1) + trivial(group)
    (g,) = group.sample(1, torch.Generator().manual_seed(0))
    features = torch.randn(3, rho.dim, dtype=torch.float64)
    torch.testing.assert_close(move_channels(features, g, rho), features @ rho(g).T)


def test_features_without_pixels_move_their_channels_only():
    rho = regular(CyclicGroup(3))
    assert act(torch.tensor([[1.0, 2.0, 3.0]]), 1, CyclicGroup(3), rho).tolist() == [[3.0, 1.0, 2.0]]


def test_frozen_value():
    features = torch.arange(8.0).reshape(1, 2, 2, 2)
    moved = act(features, 1, CyclicGroup(2), regular(CyclicGroup(2)))
    assert moved.flatten().tolist() == [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_eighth_turns_miss_the_pixels():
    with pytest.raises(ValueError, match=r"pixels onto pixels, found CyclicGroup\(8\), whose element 1 "):
        act(torch.zeros(1, 1, 4, 4), 1, CyclicGroup(8))


def test_channels_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"expected 4 channels for regular of CyclicGroup\(4\), found shape \(1, 3, 2, 2\)"
    ):
        act(torch.zeros(1, 3, 2, 2), 1, CyclicGroup(4), regular(CyclicGroup(4)))
