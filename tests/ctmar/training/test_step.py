"""One step: the loss, the schedule, the device, and a loss that is not finite."""

import math
from dataclasses import replace

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Run, Training
from ctmar.errors import InputError
from ctmar.training.losses import masked_mean_square
from ctmar.training.patches import PatchSampler
from ctmar.training.schedule import learning_rate
from ctmar.training.state import start
from ctmar.training.step import training_step

PLAIN = Run(network="n", method="plain")


@pytest.fixture
def batch(pair_files):
    return PatchSampler(pair_files[0], 3, 16, seed=0).batch(0)


def test_loss_is_the_mean_square_outside_metal(batch):
    inside = batch.outside_metal == 0
    assert inside.any()
    wrong = batch.target + 0.5 + 100 * inside
    assert masked_mean_square(wrong, batch).item() == pytest.approx(0.25)
    kept = ~inside
    output = torch.rand_like(batch.target)
    assert masked_mean_square(output, batch).item() == pytest.approx(
        torch.nn.functional.mse_loss(output[kept], batch.target[kept]).item()
    )


def test_step_is_adam_on_the_masked_loss(batch):
    state, reference = start(PLAIN, NETWORK, TRAINING, "C4"), start(PLAIN, NETWORK, TRAINING, "C4").network
    optimiser = torch.optim.Adam(reference.parameters(), lr=TRAINING.learning_rate, betas=TRAINING.betas)
    for step in range(3):
        loss, penalty = training_step(state, batch, step)
        optimiser.zero_grad()
        error = (reference(batch.inputs) - batch.target)[batch.outside_metal == 1]
        expected = error.square().mean()
        expected.backward()
        optimiser.step()
        assert (loss, penalty) == (pytest.approx(expected.item(), rel=1e-5), 0.0)
    for one, other in zip(state.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_untrained_network_is_linear_interpolation(batch):
    network = start(PLAIN, NETWORK, TRAINING, "C4").network
    assert torch.equal(network(batch.inputs), batch.inputs[:, 1:2])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(batch, value):
    state = start(PLAIN, NETWORK, TRAINING, "C4")
    before = [parameter.clone() for parameter in state.network.parameters()]
    broken = replace(batch, target=torch.full_like(batch.target, value))
    with pytest.raises(InputError, match=r"stopped at step 8: the loss is .*, not finite"):
        training_step(state, broken, 7)
    assert all(torch.equal(*pair) for pair in zip(before, state.network.parameters(), strict=True))


def test_cosine_falls_from_the_first_rate_to_zero_after_the_warm_up():
    training = Training(epochs=10, steps_per_epoch=10, learning_rate=0.1, schedule="cosine", warmup_steps=0)
    rates = [learning_rate(training, step) for step in range(101)]
    assert (rates[0], rates[50]) == (0.1, pytest.approx(0.05))
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates == sorted(rates, reverse=True)


def test_warm_up_rises_linearly():
    training = Training(epochs=1, steps_per_epoch=9, learning_rate=0.8, schedule="constant", warmup_steps=4)
    rates = [learning_rate(training, step) for step in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match=r"training\.device: expected a GPU for 'cuda', torch finds none"):
        start(PLAIN, NETWORK, TRAINING.model_copy(update={"device": "cuda"}), "C4")
