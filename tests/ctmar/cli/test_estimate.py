"""`ctmar estimate`: the plan of a study in numbers, and plain words where a GPU is asked for and none is there."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.config import Config
from ctmar.estimate.estimate_text import training_text
from ctmar.estimate.training_cost import StepCost, TrainingEstimate

STUDY = """
ingest: {image_size: 48, minimum_rows: 32}
split: {fractions: {train: 0.5, validation: 0.25, test: 0.25}}
simulation: {masks_per_slice: {train: 3, validation: 1, test: 2}, nmar: []}
training: {epochs: 2, steps_per_epoch: 5, batch_size: 2, patch_size: 16, device: DEVICE, precision: bfloat16}
study:
  networks: {small: {architecture: dncnn, settings: {fields: 2, depth: 3}}}
  seeds: [0, 1, 2]
  runs:
    - method: plain
    - {method: projection, norm: [frobenius, spectral], lam_perp: [0.001]}
"""


def shown(tmp_path: Path, device: str, *options: str) -> str:
    config = tmp_path / "study.yaml"
    config.write_text(STUDY.replace("DEVICE", device))
    result = CliRunner().invoke(app, ["estimate", str(config), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_runs_steps_and_pairs_of_the_configuration(tmp_path):
    text = shown(tmp_path, "cpu", "--slices", "40")
    rows = [line.split()[:5] for line in text.splitlines() if line.startswith("small")]
    assert rows == [
        ["small", "plain", "none", "3", "30"],
        ["small", "projection", "frobenius", "3", "30"],
        ["small", "projection", "spectral", "3", "30"],
    ]
    assert "training: 9 runs, 90 steps" in text
    assert "GPU" not in text
    pairs = dict(re.findall(r"(\w+): [\d,]+ slices × \d+ masks = ([\d,]+) pairs of 48 × 48", text))
    assert pairs == {"train": "60", "validation": "10", "test": "20"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_the_gpu_that_is_asked_for_it_says_so_and_assumes_a_speed(tmp_path):
    text = shown(tmp_path, "cuda", "--teraflops", "0.02")
    assert "asks for a GPU and torch finds none here: the times above are this CPU's" in text
    assert "if one GPU sustains 0.02·10¹² operations a second" in text


def test_hours_are_those_of_all_steps_and_operations_over_their_rate():
    config = Config.model_validate(
        {"training": {"device": "cuda", "threads": 4}, "study": {"runs": [{"method": "plain"}]}}
    )
    rows = [TrainingEstimate("n", "plain", "none", 2, 200, StepCost(18.0, 1.8e14), StepCost(0.0, 0.0))]
    text = training_text(rows, config, "cpu", teraflops=10.0)
    assert "1.0 core-hours" in text  # 200 steps of 18 s, whatever the number of threads that share them
    assert "1.0 GPU-hours" in text  # 3.6e16 operations at 1e13 a second
    assert "1.0 GPU-hours, measured on this GPU" in training_text(rows, config, "cuda", teraflops=10.0)
