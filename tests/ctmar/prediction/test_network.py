"""Weights and run description are untrusted; the grid is recorded or given."""

import pickle

import numpy as np
import pytest
import torch

from ctmar.errors import InputError
from ctmar.models.trained_network import load_network
from ctmar.prediction.choices import PredictionChoices
from ctmar.prediction.network import WorkingGrid, correction_of, working_grid
from ctmar.store.run_records import Grid

GRID = Grid(image_size=128, pixel_mm=3.0, preset="physical")


def test_identity_changes_nothing(make_network):
    run = make_network()
    correct = correction_of(load_network(run, run.read_description()), "cpu")
    random = np.random.default_rng(0)
    image, other = random.random((2, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(correct(image, other, np.zeros((16, 16), np.uint8)), 0, atol=1e-6)


def test_the_change_is_output_minus_input(make_network):
    run = make_network("LI")
    correct = correction_of(load_network(run, run.read_description()), "cpu")
    random = np.random.default_rng(0)
    image, other = 0.4 * random.random((2, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(correct(image, other, np.zeros((16, 16), np.uint8)), other - image, atol=1e-6)


def test_what_is_recorded_is_used_and_what_is_given_comes_first():
    given = PredictionChoices(image_size=64, pixel_mm=2.0, preset="benchmark")
    assert working_grid(GRID, PredictionChoices()) == WorkingGrid(128, 3.0, "physical")
    assert working_grid(GRID, given) == WorkingGrid(64, 2.0, "benchmark")
    several = Grid(image_size=64, pixel_mm=None, preset=None)  # several pixel sizes, no simulation
    assert working_grid(several, PredictionChoices()) == WorkingGrid(64, None, "benchmark")
    assert str(WorkingGrid(64, None, "benchmark")) == "64 x 64 pixels, the longer side fitted, scan of preset benchmark"


@pytest.mark.parametrize(
    ("recorded", "given", "message"),
    [
        (GRID, {"image_size": 8}, "expected 16 to 4096"),
        (GRID, {"pixel_mm": -1.0}, "expected 16 to 4096"),
        (GRID, {"image_size": 0}, "expected 16 to 4096"),
        (GRID, {"pixel_mm": 0.0}, "expected 16 to 4096"),
        (GRID, {"pixel_mm": float("nan")}, "expected 16 to 4096"),
        (GRID.model_copy(update={"image_size": 10**9}), {}, "expected 16 to 4096"),
        (GRID.model_copy(update={"preset": "moon"}), {}, "expected one of benchmark, physical"),
    ],
)
def test_a_grid_that_is_not_possible(recorded, given, message):
    with pytest.raises(InputError, match=message):
        working_grid(recorded, PredictionChoices(**given))


def test_weights_of_another_network_or_with_code(make_network, tmp_path):
    run = make_network()
    described = run.read_description()
    run.weights.unlink()
    with pytest.raises(InputError, match="expected a state dictionary, found"):
        load_network(run, described)
    torch.save({"w": torch.zeros(1)}, run.weights)
    with pytest.raises(InputError, match="expected key"):
        load_network(run, described)
    marker = tmp_path / "marker"

    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    run.weights.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(InputError, match="expected a state dictionary"):
        load_network(run, described)
    assert not marker.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_device_that_is_not_there(make_network):
    run = make_network()
    with pytest.raises(InputError, match="device: expected a GPU for 'cuda'"):
        load_network(run, run.read_description(), "cuda")


@pytest.mark.parametrize("metal_hu", [float("nan"), float("inf")])
def test_a_threshold_that_no_pixel_can_reach_is_refused(metal_hu):
    with pytest.raises(InputError, match="--metal-hu: expected a finite number"):
        PredictionChoices(metal_hu=metal_hu)
