"""Turned images: exact at quarter turns, scipy between them, and networks whose defect is known."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, rotate
from torch import nn

from ctmar.evaluation.metrics import psnr_fixed
from ctmar.evaluation.truth import Truth
from ctmar.evaluation.turned import TurnedInputs, inscribed_disc, pair_input, quarter_turned_back, turn
from ctmar.models.scaling import to_per_cm
from ctmar.store.pairs import Pair
from equiproj import measured_defect
from equiproj.groups import CyclicGroup, DihedralGroup


class Layer(nn.Module):
    """LI plus what a function of the images adds."""

    def __init__(self, function=torch.zeros_like) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.function = function

    def forward(self, images):
        return images[:, 1:2] + self.function(images[:, 1:2])


def smooth_images(n: int = 2, side: int = 64) -> torch.Tensor:
    random = np.random.default_rng(0)
    images = np.stack([[gaussian_filter(random.random((side, side)), 3) for _ in range(3)] for _ in range(n)])
    images[:, 2] = images[:, 2] > 0.5
    return torch.from_numpy(images).float()


def pair(side: int = 32) -> Pair:
    random = np.random.default_rng(1)
    image, ma_CT, LI_CT = (random.random((side, side), dtype=np.float32) * 0.4 for _ in range(3))
    mask = np.zeros((side, side), np.uint8)
    mask[3, 4:9] = 1
    return Pair(image, ma_CT, LI_CT, mask, "p", "p/1/0000", 0, 0, 5, 3.0, "titanium")


def measured(network, images, angles_deg=(), group=None, truth=None):
    turned = TurnedInputs(network, group or CyclicGroup(4), angles_deg)
    truth = truth or Truth(np.full(images.shape[-2:], 0.2), np.zeros(images.shape[-2:], bool))
    with torch.inference_mode():
        for image in images.split(1):
            turned.add(image, network(image), truth)
    return turned.measures()


def ramp(images):
    """Adds the column: as far from equivariant as can be."""
    return torch.linspace(0, 1, images.shape[-1]).expand_as(images)


@pytest.mark.parametrize("angle", [0, 90, 180, 270, -90])
@pytest.mark.parametrize("mode", ["bicubic", "nearest"])
def test_quarter_turns_are_exact(angle, mode):
    images = smooth_images()
    np.testing.assert_allclose(turn(images, angle, mode), torch.rot90(images, angle // 90, (-2, -1)), atol=1e-5)


def test_outputs_for_quarter_turns_are_turned_back():
    images = smooth_images(1)
    expected = [images[0, 1] + torch.rot90(ramp(images[0, 1]), -turns) for turns in (1, 2, 3)]
    torch.testing.assert_close(quarter_turned_back(Layer(ramp), images)[:, 0], torch.stack(expected))


@pytest.mark.parametrize("angle", [15.0, 40.0])
def test_other_turns_are_those_of_scipy(angle):
    image = smooth_images(1)[0, 0]
    inside = inscribed_disc(64).numpy() > 0
    theirs = rotate(image.numpy(), angle, reshape=False, order=3)
    np.testing.assert_allclose(turn(image[None, None], angle)[0, 0].numpy()[inside], theirs[inside], atol=5e-3)


def test_a_disc_has_its_area():
    assert inscribed_disc(416).sum().item() == pytest.approx(math.pi * 206**2, rel=1e-3)


def test_the_identity_shows_interpolation_alone():
    found = measured(Layer(), smooth_images(), [15.0, 45.0])
    assert found["defect_at_angles"].keys() == {"15", "45"}
    for angle, floor in found["defect_floor_at_angles"].items():
        assert found["defect_at_angles"][angle] == pytest.approx(floor, rel=1e-5)
        assert 1e-5 < floor < 2e-3


def test_pointwise_layers_stay_near_the_floor_and_a_ramp_does_not():
    images = smooth_images()
    square = measured(Layer(torch.square), images, [30.0])
    tilted = measured(Layer(ramp), images, [30.0])
    assert square["defect_at_angles"]["30"] < 3 * square["defect_floor_at_angles"]["30"]
    assert tilted["defect_at_angles"]["30"] > 10 * tilted["defect_floor_at_angles"]["30"]


def test_at_quarter_turns_there_is_no_floor():
    found = measured(Layer(ramp), smooth_images(), [90.0])
    assert found["defect_floor_at_angles"]["90"] < 1e-6
    assert found["defect_at_angles"]["90"] > 0.1


def test_defect_of_a_ramp_turned_by_half_is_its_closed_form():
    # f adds r(column); turned back by 180° it added r(side − column): the change is 1 − 2 column
    images = torch.zeros(1, 3, 200, 200)
    found = measured(Layer(ramp), images, [180.0])
    # over a disc of radius R: rms of 2u is R, rms of 1/2 + u is sqrt(1/4 + R²/4)
    radius = 98 / 200
    assert found["defect_at_angles"]["180"] == pytest.approx(2 * radius / math.hypot(1, radius), rel=1e-2)


@pytest.mark.parametrize("group", [CyclicGroup(2), CyclicGroup(4), DihedralGroup(4)])
def test_over_a_group_it_is_the_defect_of_equiproj(group):
    network, images = Layer(lambda images: ramp(images) * images), smooth_images(3)
    found, expected = measured(network, images, group=group), measured_defect(network, images, group)
    assert found["defect_mean"] == pytest.approx(expected.mean, rel=1e-5)
    assert found["defect_max"] == pytest.approx(expected.maximum, rel=1e-5)
    assert found["defect_pairs"] == 3


def test_a_study_without_symmetry_is_measured_over_quarter_turns():
    network, images = Layer(lambda images: ramp(images) * images), smooth_images()
    assert measured(network, images, group=CyclicGroup(1)) == measured(network, images)


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_the_defect_of_the_correction_does_not_depend_on_its_size(size):
    # what is added is a ramp of columns: turned back by 90° a ramp of rows, whose distance has a closed form
    images = smooth_images()
    found = measured(Layer(lambda images: size * ramp(images)), images)
    u, v = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 64))
    changes = [np.linalg.norm(moved - u) for moved in (v, 1 - u, 1 - v)]
    assert found["defect_of_correction_mean"] == pytest.approx(np.mean(changes) / np.linalg.norm(u), rel=1e-3)
    assert found["defect_of_correction_max"] == pytest.approx(np.max(changes) / np.linalg.norm(u), rel=1e-3)
    assert found["defect_mean"] < size * found["defect_of_correction_mean"] * 3


def test_a_network_that_adds_nothing_has_no_defect():
    found = measured(Layer(), smooth_images())
    assert found["defect_of_correction_mean"] == found["defect_of_correction_max"] == found["defect_mean"] == 0.0


def test_an_equivariant_network_does_not_mind_turns():
    found = measured(Layer(), pair_input(pair()), truth=Truth(pair().image, pair().mask))["psnr_turned_db"]
    assert found.keys() == {"0", "90", "180", "270"}
    assert len(set(np.round(list(found.values()), 5))) == 1


def test_a_network_that_minds_turns_loses():
    network, one = Layer(lambda images: 0.5 * ramp(images)), pair()
    found = measured(network, pair_input(one).repeat(2, 1, 1, 1), truth=Truth(one.image, one.mask))["psnr_turned_db"]
    for angle, psnr in found.items():
        seen = torch.rot90(pair_input(one), int(angle) // 90, (-2, -1))
        back = torch.rot90(network(seen), -(int(angle) // 90), (-2, -1))
        assert psnr == pytest.approx(psnr_fixed(to_per_cm(back.detach())[0], one.image, one.mask), rel=1e-6)
    assert max(found.values()) - min(found.values()) > 1e-3
