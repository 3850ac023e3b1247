"""The scale of networks is that of the metric protocol."""

import numpy as np
import pytest
import torch

from ctmar.evaluation.metrics import psnr_fixed
from ctmar.models.scaling import network_input, network_target, to_network_scale, to_per_cm

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((2, 4, 5), dtype=np.float32) * 0.5


def test_there_and_back():
    np.testing.assert_allclose(to_per_cm(network_target(IMAGES)), IMAGES, rtol=1e-6)


def test_clamps_to_one_per_cm():
    assert to_network_scale(torch.tensor([-1.0, 0.0, 0.5, 0.75, 1.0, 2.0])).tolist() == [0, 0, 1, 1.5, 2, 2]


def test_channels_are_ma_li_mask():
    mask = (IMAGES > 0.25).astype(np.uint8)
    stacked = network_input(IMAGES, IMAGES / 2, mask)
    assert stacked.shape == (2, 3, 4, 5)
    assert stacked.dtype == torch.float32
    np.testing.assert_allclose(stacked[:, 0], 2 * IMAGES, rtol=1e-6)
    np.testing.assert_allclose(stacked[:, 1], IMAGES, rtol=1e-6)
    np.testing.assert_array_equal(stacked[:, 2], mask)


def test_square_error_of_the_network_is_that_of_the_protocol():
    noisy = IMAGES + RANDOM.normal(0, 0.1, IMAGES.shape).astype(np.float32)
    mask = (RANDOM.random(IMAGES.shape) > 0.8).astype(np.uint8)
    difference = network_target(noisy).clamp(max=1) - network_target(IMAGES).clamp(max=1)
    error = difference[:, 0] * torch.from_numpy(1 - mask)
    for k in range(2):
        assert psnr_fixed(noisy[k], IMAGES[k], mask[k]) == pytest.approx(-10 * error[k].square().mean().log10().item())
