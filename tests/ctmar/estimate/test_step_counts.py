"""Counts of a network's work against closed forms and against torch's own record of a real step."""

import pytest
import torch
from torch import Tensor, nn

from ctmar.config import Network, Training
from ctmar.errors import InputError
from ctmar.estimate.step_cost import peak_of_allocator
from ctmar.estimate.step_counts import count_network
from ctmar.estimate.training_cost import synthetic_batch
from ctmar.models import build_network
from ctmar.training.losses import masked_mean_square

TRAINING = Training(batch_size=4, patch_size=32, channels_last=False)
DNCNN = Network(settings={"fields": 2, "depth": 3})  # 3 → 8 → 8 → 1 channels, 3 × 3


def flops_of_a_forward_pass(n_pixels: int) -> int:
    return n_pixels * sum(2 * 9 * n_in * n_out for n_in, n_out in ((3, 8), (8, 8), (8, 1)))


def test_operations_are_those_of_the_convolutions():
    counts = count_network(DNCNN, TRAINING, "C4", 64)
    forward = flops_of_a_forward_pass(4 * 32**2)
    first = 4 * 32**2 * 2 * 9 * 3 * 8  # has no gradient for its input
    assert counts.step.flops == 3 * forward - first
    assert counts.prediction.flops == flops_of_a_forward_pass(64**2)


def test_accumulation_makes_a_step_smaller():
    whole, half = (count_network(DNCNN, TRAINING.model_copy(update={"accumulation": n}), "C4", 64).step for n in (1, 2))
    assert half.flops == whole.flops / 2
    assert half.peak_bytes < 0.6 * whole.peak_bytes


@pytest.mark.parametrize("architecture", ["dncnn", "unet"])
def test_the_bytes_that_live_at_once_are_those_that_torch_allocates(architecture):
    network = Network(architecture=architecture)
    module = build_network(architecture, group_order=4)
    batch = synthetic_batch(4, 32)

    def step() -> None:
        module.zero_grad()
        masked_mean_square(module(batch.inputs), batch).backward()

    step()  # allocations that stay
    measured = peak_of_allocator(step)
    counted = count_network(network, TRAINING, "C4", 64).step.peak_bytes
    assert 0.7 * measured < counted < 1.3 * measured


class LooksAtItsNumbers(nn.Module):
    """A network of a user's own that cannot run without numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images) * (2.0 if float(images.mean()) > 10 else 1.0)


class Fails(nn.Module):
    """A network that fails on larger batches than the tiny one on which it is tried."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[0] != 2:
            raise ValueError("two images, please")
        return images[:, :1]


def test_a_network_that_looks_at_its_numbers_is_counted_on_a_small_image():
    counts = count_network(Network(architecture=f"{__name__}:LooksAtItsNumbers"), TRAINING, "C4", 64)
    assert counts.prediction.flops == 64**2 * 2 * 9 * 3
    assert counts.step.flops >= 4 * 32**2 * 2 * 9 * 3 * 2
    assert counts.step.peak_bytes > 4 * 32**2 * 4


def test_a_network_that_fails_everywhere_says_so():
    with pytest.raises(InputError, match="Fails fails on an image of 32 × 32: ValueError: two images"):
        count_network(Network(architecture=f"{__name__}:Fails"), TRAINING, "C4", 64)
    with pytest.raises(InputError, match="unknown setting"):
        count_network(Network(settings={"feelds": 2}), TRAINING, "C4", 64)


def test_counting_draws_nothing_and_keeps_the_generator():
    before = torch.get_rng_state()
    count_network(DNCNN, TRAINING, "C4", 64)
    assert torch.equal(torch.get_rng_state(), before)
