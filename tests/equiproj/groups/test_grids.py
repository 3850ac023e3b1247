import numpy as np
import pytest
import torch

from equiproj.groups import CubeGroup, CyclicGroup, DihedralGroup, TranslationGroup


def move(group, g, image):
    """f(g⁻¹x) by the library's permutation."""
    moved = torch.empty_like(image.flatten())
    moved[torch.from_numpy(group.grid_permutation(g, tuple(image.shape)))] = image.flatten()
    return moved.reshape(image.shape)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 5), (3, 4, 4)])
def test_cyclic_elements_are_rot90(shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for k in range(4):
        assert torch.equal(move(CyclicGroup(4), k, image), torch.rot90(image, k, dims=(-2, -1)))


@pytest.mark.parametrize("shape", [(2, 2), (5, 5), (2, 3, 3)])
def test_dihedral_elements_flip_then_rot90(shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for k in range(4):
        expected = torch.rot90(image.flip(-1), k, dims=(-2, -1))
        assert torch.equal(move(DihedralGroup(4), k + 4, image), expected)


def test_half_turns_keep_oblong_grids():
    image = torch.arange(15.0).reshape(3, 5)
    assert torch.equal(move(CyclicGroup(2), 1, image), image.flip(0, 1))


@pytest.mark.parametrize("group", [CyclicGroup(2), DihedralGroup(1)], ids=str)
def test_one_axis_is_reflected(group):
    assert move(group, 1, torch.arange(4.0)).tolist() == [3.0, 2.0, 1.0, 0.0]


def test_translations_are_roll():
    group, image = TranslationGroup((3, 4)), torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    for g in group.elements:
        assert torch.equal(move(group, g, image), torch.roll(image, g, dims=(0, 1)))


def test_cube_turns_about_the_depth_axis_are_rot90():
    voxels = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0))
    about_z, about_x = CubeGroup().generators
    assert torch.equal(move(CubeGroup(), about_z, voxels), torch.rot90(voxels, 1, dims=(-2, -1)))
    # about x: z (along axis 0) turns towards −y (along axis 1)
    assert torch.equal(move(CubeGroup(), about_x, voxels), torch.rot90(voxels, 1, dims=(0, 1)))


@pytest.mark.parametrize("group", [DihedralGroup(4), CubeGroup()], ids=str)
def test_grid_permutations_compose(group):
    shape = (3,) * group.standard_axes
    permutation = {g: group.grid_permutation(g, shape) for g in group.elements}
    for a in group.elements:
        for b in group.elements:
            np.testing.assert_array_equal(permutation[group.multiply(a, b)], permutation[a][permutation[b]])


@pytest.mark.parametrize(
    ("group", "g", "shape"),
    [
        (CyclicGroup(8), 1, (3, 3)),
        (CyclicGroup(4), 1, (3, 5)),
        (CyclicGroup(3), 1, (3, 3)),
        (CyclicGroup(4), 1, (2, 3)),
    ],
    ids=str,
)
def test_grids_that_are_not_preserved(group, g, shape):
    message = (
        rf"expected a grid that CyclicGroup\({group.n_turns}\) maps onto itself, found shape \({shape[0]}, {shape[1]}\)"
    )
    with pytest.raises(ValueError, match=message):
        group.grid_permutation(g, shape)


def test_translations_of_another_grid():
    with pytest.raises(ValueError, match=r"expected the grid of TranslationGroup\(\(3, 4\)\), found shape \(4, 3\)"):
        TranslationGroup((3, 4)).grid_permutation((1, 0), (4, 3))
