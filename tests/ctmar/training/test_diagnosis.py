"""A run that stops being finite leaves a file that says where, and with which patches."""

import json
import math
from dataclasses import replace

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Run
from ctmar.training.diagnosis import first_not_finite
from ctmar.training.patches import PatchSampler
from ctmar.training.state import start
from ctmar.training.step import NotFiniteError, training_step

PLAIN = Run(network="n", method="plain")
PROJECTION = Run(network="n", method="projection", norm="frobenius", lam_perp=1e-3)


@pytest.fixture
def batch(pair_files):
    return PatchSampler(pair_files[0], 2, 16, seed=0).batch(3)


def broken_layer(state, name: str, value: float = math.nan):
    layer = state.network.get_submodule(name)
    return layer.register_forward_hook(lambda module, inputs, output: output + value)


def test_run_stops_with_a_file(train_run, tmp_path):
    wild = TRAINING.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0})
    diverged = train_run("run", PLAIN, wild).read_description().diverged
    facts = json.loads((tmp_path / "run" / "not-finite.json").read_text())
    assert facts["where"] in ("output", "loss")
    assert facts["epoch"] == (facts["step"] - 1) // TRAINING.steps_per_epoch + 1
    assert f"at step {facts['step']} ({facts['where']}" in str(diverged)
    assert len(facts["batch"]) == TRAINING.batch_size
    assert set(facts["batch"][0]) == {"pair", "slice_id", "mask", "row", "column"}
    train_run("run", PLAIN)
    assert not (tmp_path / "run" / "not-finite.json").exists()


def test_patches_of_the_file_are_those_of_the_step(pair_files):
    sampler = PatchSampler(pair_files[0], 3, 16, seed=0)
    target = sampler.batch(7).target[:, 0] / 2
    for patch, origin in zip(target, sampler.origins(7), strict=True):
        pair = sampler._file.read_patch(origin.pair, origin.row, origin.column, 16)
        assert (pair.slice_id, pair.mask_index) == (origin.slice_id, origin.mask)
        torch.testing.assert_close(patch, torch.from_numpy(pair.image))


@pytest.mark.parametrize("name", ["layers.0", "layers.1", "layers.2"])
def test_first_layer_whose_output_is_not_finite(batch, name):
    state = start(PLAIN, NETWORK, TRAINING, "C4")
    broken_layer(state, name)
    with pytest.raises(NotFiniteError):
        training_step(state, batch, 0)
    assert first_not_finite(state, batch, 0) == {"where": "output", "layer": name, "loss": "nan", "penalty": "0"}


def test_weights_input_and_penalty(batch):
    state = start(PROJECTION, NETWORK, TRAINING, "C4")
    spoilt = replace(batch, inputs=torch.full_like(batch.inputs, math.nan))
    assert first_not_finite(state, spoilt, 0)["where"] == "input"
    no_penalty = replace(state.method, penalty=lambda *_: torch.tensor(math.inf))
    assert first_not_finite(replace(state, method=no_penalty), batch, 0)["where"] == "penalty"
    state.network.layers[1].bias.data[0] = math.inf
    assert first_not_finite(state, batch, 0) == {"where": "weights", "layer": "layers.1"}


def test_gradient_that_is_not_finite_stops_before_the_weights_change(batch):
    state = start(PLAIN, NETWORK, TRAINING, "C4")
    before = [parameter.clone() for parameter in state.network.parameters()]
    for name in ("layers.0", "layers.1"):
        weight = state.network.get_submodule(name).weight
        weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(NotFiniteError, match="step 1: the gradient is not finite"):
        training_step(state, batch, 0)
    assert all(torch.equal(*pair) for pair in zip(before, state.network.parameters(), strict=True))
    facts = first_not_finite(state, batch, 0)
    assert (facts["where"], facts["layer"]) == ("gradient", "layers.1")  # backwards, the first of the two


def test_a_finite_step_says_nothing(batch):
    assert first_not_finite(start(PLAIN, NETWORK, TRAINING, "C4"), batch, 0)["where"] == "nothing"
