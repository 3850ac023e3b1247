"""Weights and run description are untrusted; the grid is recorded or given."""

import json
import pickle

import numpy as np
import pytest
import torch

from ctmar.errors import InputError
from ctmar.models.trained_network import load_network, read_run_file
from ctmar.prediction.choices import PredictionChoices
from ctmar.prediction.network import WorkingGrid, correction_of, working_grid

UNKNOWN_METHOD = '{"network": {"architecture": "dncnn"}, "group_order": 4, "run": {"method": "magic"}}'
GRID = {"image_size": 128, "pixel_mm": 3.0, "preset": "physical"}


def test_identity_changes_nothing(make_network):
    weights, run_file = make_network()
    correct = correction_of(load_network(weights, read_run_file(run_file), "cpu"), "cpu")
    random = np.random.default_rng(0)
    image, other = random.random((2, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(correct(image, other, np.zeros((16, 16), np.uint8)), 0, atol=1e-6)


def test_the_change_is_output_minus_input(make_network):
    weights, run_file = make_network("LI")
    correct = correction_of(load_network(weights, read_run_file(run_file), "cpu"), "cpu")
    random = np.random.default_rng(0)
    image, other = 0.4 * random.random((2, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(correct(image, other, np.zeros((16, 16), np.uint8)), other - image, atol=1e-6)


def test_what_is_recorded_is_used_and_what_is_given_comes_first(tmp_path):
    path = tmp_path / "run.json"
    assert working_grid({"grid": GRID}, None, None, None, path) == WorkingGrid(128, 3.0, "physical")
    assert working_grid({"grid": GRID}, 64, 2.0, "benchmark", path) == WorkingGrid(64, 2.0, "benchmark")
    assert working_grid({}, 64, None, None, path) == WorkingGrid(64, None, "benchmark")
    assert str(WorkingGrid(64, None, "benchmark")) == "64 x 64 pixels, the longer side fitted, scan of preset benchmark"


@pytest.mark.parametrize(
    ("description", "given", "message"),
    [
        ({}, (None, None, None), "give --image-size"),
        ({"grid": "x"}, (None, None, None), "give --image-size"),
        ({}, (8, None, None), "expected 16 to 4096"),
        ({}, (64, -1.0, None), "expected 16 to 4096"),
        ({"grid": GRID}, (0, None, None), "expected 16 to 4096"),
        ({"grid": GRID}, (None, 0.0, None), "expected 16 to 4096"),
        ({}, (64, float("nan"), None), "expected 16 to 4096"),
        ({"grid": {**GRID, "preset": "moon"}}, (None, None, None), "expected one of benchmark, physical"),
    ],
)
def test_a_grid_that_is_not_known_or_not_possible(tmp_path, description, given, message):
    with pytest.raises(InputError, match=message):
        working_grid(description, *given, tmp_path / "run.json")


def test_a_run_file_that_is_none(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(InputError, match="not found"):
        read_run_file(path)
    for content in (
        "[]",
        "{",
        '{"network": {"architecture": "dncnn"}}',
        '{"network": {"arch": 1}, "group_order": 4}',
        UNKNOWN_METHOD,
    ):
        path.write_text(content)
        with pytest.raises(InputError, match="expected a run description"):
            read_run_file(path)


def test_weights_of_another_network_or_with_code(make_network, tmp_path):
    weights, run_file = make_network()
    description = read_run_file(run_file)
    with pytest.raises(InputError, match="expected a state dictionary, found"):
        load_network(tmp_path / "none.pt", description, "cpu")
    torch.save({"w": torch.zeros(1)}, weights)
    with pytest.raises(InputError, match="expected key"):
        load_network(weights, description, "cpu")
    marker = tmp_path / "marker"

    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    weights.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(InputError, match="expected a state dictionary"):
        load_network(weights, description, "cpu")
    assert not marker.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_device_that_is_not_there(make_network):
    weights, run_file = make_network()
    with pytest.raises(InputError, match="device: expected a GPU for 'cuda'"):
        load_network(weights, json.loads(run_file.read_text()), "cuda")


@pytest.mark.parametrize("metal_hu", [float("nan"), float("inf")])
def test_a_threshold_that_no_pixel_can_reach_is_refused(metal_hu):
    with pytest.raises(InputError, match="--metal-hu: expected a finite number"):
        PredictionChoices(metal_hu=metal_hu)
