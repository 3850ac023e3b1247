"""`measured_defect` against cases known by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from equiproj import measured_defect
from equiproj.groups import SO2, CyclicGroup, DihedralGroup, Group
from equiproj.representations import regular


class Function(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def random_images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_definition_turn_by_turn() -> None:
    torch.manual_seed(0)
    layer, images = nn.Conv2d(1, 1, 3, padding=1), random_images(3, 1, 6, 6)
    with torch.no_grad():
        answer = layer(images)
        ratios = [
            ((layer(images.rot90(k, (-2, -1))) - answer.rot90(k, (-2, -1))).norm() / answer.norm()).item()
            for k in (1, 2, 3)
        ]
    found = measured_defect(layer, images, CyclicGroup(4))
    assert found.maximum == pytest.approx(max(ratios), rel=1e-5)
    assert found.mean == pytest.approx(sum(ratios) / 3, rel=1e-5)


def test_a_shift_has_its_closed_form() -> None:
    """The map f moves a single bright pixel off its place; a half turn moves it the other way: the defect is √2."""
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    assert measured_defect(Function(lambda x: x.roll(1, -1)), image, CyclicGroup(2)).maximum == pytest.approx(2**0.5)


@pytest.mark.parametrize("group", [CyclicGroup(4), DihedralGroup(4), DihedralGroup(1)], ids=str)
def test_pointwise_maps_have_no_defect(group: CyclicGroup | DihedralGroup) -> None:
    assert measured_defect(nn.Tanh(), random_images(2, 3, 5, 8), group) == (0.0, 0.0)


def test_mirror_images_are_tested_for_dihedral_groups_only() -> None:
    """A kernel that turns into itself but not into its mirror image."""
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    layer.weight = nn.Parameter(torch.tensor([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]])[None, None])
    chiral = torch.tensor([[0.0, 1, 0, 2, 0], [2, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 2], [0, 2, 0, 1, 0]])
    handed = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    handed.weight = nn.Parameter(chiral[None, None])
    images = random_images(1, 1, 7, 7)
    assert measured_defect(layer, images, DihedralGroup(4)).maximum < 1e-6
    assert measured_defect(handed, images, CyclicGroup(4)).maximum < 1e-6
    assert measured_defect(handed, images, DihedralGroup(4)).maximum > 0.1


def test_features_without_pixels_are_invariant_or_move_by_rho_out() -> None:
    images, group = random_images(2, 1, 6, 6), CyclicGroup(4)
    invariant = Function(lambda x: x.mean((-2, -1)))
    assert measured_defect(invariant, images, group, rho_out="trivial").maximum < 1e-6
    quarters = Function(lambda x: torch.stack([x.rot90(-k, (-2, -1))[:, 0, 0, 1] for k in range(4)], 1))
    assert measured_defect(quarters, images, group, rho_out=regular(group)).maximum < 1e-6
    assert measured_defect(quarters, images, group, rho_out="trivial").maximum > 0.1


def test_training_mode_is_restored_and_not_used() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Dropout(0.5)), nn.Conv2d(4, 1, 1))
    network[1].eval()
    before = network[1].running_mean.clone()
    assert measured_defect(network, random_images(2, 1, 6, 6), CyclicGroup(4)).maximum < 1e-5
    assert [layer.training for layer in network.modules()] == [True, True, False, True, True, True]
    assert torch.equal(network[1].running_mean, before)


def test_training_mode_is_restored_after_an_error() -> None:
    def fail(images: Tensor) -> Tensor:
        raise RuntimeError("broken")

    network = nn.Sequential(Function(fail))
    with pytest.raises(RuntimeError, match="broken"):
        measured_defect(network, random_images(1, 1, 4, 4), CyclicGroup(4))
    assert network.training
    assert network[0].training


def test_no_gradients_are_kept() -> None:
    layer = nn.Conv2d(1, 1, 3)
    measured_defect(layer, random_images(1, 1, 6, 6).requires_grad_(), CyclicGroup(4))
    assert layer.weight.grad is None


def test_an_output_of_zeros() -> None:
    images = random_images(1, 1, 4, 4)
    assert measured_defect(Function(torch.zeros_like), images, CyclicGroup(4)) == (0.0, 0.0)
    once = Function(lambda x: x if torch.equal(x, images.rot90(1, (-2, -1))) else 0 * x)
    assert measured_defect(once, images, CyclicGroup(4)).maximum == math.inf


@pytest.mark.parametrize(
    ("function", "group", "message"),
    [
        (
            lambda x: x,
            CyclicGroup(3),
            r"a group that moves pixels onto pixels, found CyclicGroup\(3\), whose element 1 does not",
        ),
        (lambda x: x, CyclicGroup(1), "more elements than the identity, found CyclicGroup"),
        (lambda x: x, SO2(), "a group that moves pixels onto pixels, found SO2"),
        (lambda x: x[:, 0], CyclicGroup(4), r"expected a type for the output, features of shape \(2, 6, 8\)"),
        (lambda x: (x, x), CyclicGroup(4), "expected rho_out= to have a type for entries of .*found None for a tuple"),
        (lambda x: str(x), CyclicGroup(4), "expected a tensor, or a dictionary or tuple of tensors, found str"),
        (lambda x: x[..., :4, :5], CyclicGroup(4), "expected the output in one shape"),
    ],
    ids=["thirds", "trivial group", "continuous", "axes", "two outputs", "no tensor", "shape"],
)
def test_what_cannot_be_measured_is_refused(function: object, group: Group, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measured_defect(Function(function), random_images(2, 1, 6, 8), group)
