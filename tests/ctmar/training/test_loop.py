"""A run: what it writes, that it learns, and that a kill at any moment changes nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

import ctmar.training.loop as loop
from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.training.checkpoint import load_checkpoint, save_checkpoint
from ctmar.training.results import TrainingFiles
from ctmar.training.methods import Method
from ctmar.training.patches import validation_batches
from ctmar.training.step import start

SPECTRAL = Run(network="n", method="projection", norm="spectral", lam_perp=1e-3)
RUNS = [
    Run(network="n", method="plain"),
    Run(network="n", method="augmentation"),
    Run(network="n", method="eqreg", lam_perp=1e-4),
    SPECTRAL,
]
LONGER = TRAINING.model_copy(update={"epochs": 25, "steps_per_epoch": 6})


def weights(files: TrainingFiles) -> dict[str, torch.Tensor]:
    return torch.load(files.weights, weights_only=True)


def same(one: TrainingFiles, other: TrainingFiles) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def timeless(path: Path) -> list[dict]:
    times = ("seconds", "seconds_per_step", "images_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in path.read_text().splitlines()]


def test_writes_its_results_and_leaves_nothing_else(train_run):
    files = train_run("run", SPECTRAL)
    names = sorted(path.name for path in files.weights.parent.iterdir())
    assert names == ["metrics.jsonl", "run.json", "weights.pt"]
    records = [json.loads(line) for line in files.metrics.read_text().splitlines()]
    assert [(record["epoch"], record["step"]) for record in records] == [(1, 4), (2, 8), (3, 12)]
    assert all(record["penalty"] > 0 for record in records)
    assert records[0]["loss"] == pytest.approx(records[0]["task_loss"] + records[0]["penalty"])
    description = json.loads(files.run_file.read_text())
    assert description["run"] == SPECTRAL.model_dump()
    assert description["n_parameters"] == sum(tensor.numel() for tensor in weights(files).values())
    assert len(description["layers"]) == 6  # three weights, three biases
    assert str(files.weights.parent) not in files.run_file.read_text()


def test_learns(train_run, pair_files):
    long = TRAINING.model_copy(update={"epochs": 4, "steps_per_epoch": 60, "learning_rate": 5e-3})
    files = train_run("run", RUNS[0], long)
    untrained = start(RUNS[0], NETWORK, TRAINING, 4, 1).network
    before = loop.validate(untrained, validation_batches(pair_files[1], 2))["validation_psnr"]
    after = json.loads(files.metrics.read_text().splitlines()[-1])["validation_psnr"]
    assert after > before + 3


def test_the_weight_of_the_penalty_makes_the_weights_equivariant(train_run):
    long = TRAINING.model_copy(update={"epochs": 2, "steps_per_epoch": 60, "learning_rate": 5e-3})
    ratios = []
    for lam_perp in (1e-8, 1e-3, 1.0):
        run = Run(network="n", method="projection", norm="frobenius", lam_perp=lam_perp)
        layers = json.loads(train_run(str(lam_perp), run, long).run_file.read_text())["layers"]
        ratios.append(layers[2]["ratio"])
    assert ratios[0] > 0.8
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[2] < 0.05


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.method)
def test_same_seed_same_bits(train_run, run):
    one, other = train_run("one", run), train_run("other", run)
    assert same(one, other)
    assert one.weights.read_bytes() == other.weights.read_bytes()
    assert timeless(one.metrics) == timeless(other.metrics)
    assert not same(one, train_run("seed", run.model_copy(update={"seed": 1})))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.method)
def test_stopped_in_an_epoch_goes_on_to_the_same_bits(train_run, run):
    asked = iter(range(100))
    with pytest.raises(loop.InterruptedTrainingError, match="after step 6"):
        # asked after each step, and before each of the two validation pairs of the first epoch
        train_run("stopped", run, interrupted=lambda: next(asked) == 7)
    steps: list[int] = []
    resumed = train_run("stopped", run, progress=lambda done, total, text: steps.append(done))
    assert steps[:2] == [6, 7]
    assert steps[-1] == 12
    whole = train_run("whole", run)
    assert same(resumed, whole)
    assert timeless(resumed.metrics) == timeless(whole.metrics)
    assert not resumed.checkpoint.exists()


def test_checkpoint_of_other_settings_is_not_used(train_run):
    short = TRAINING.model_copy(update={"epochs": 1})
    files = train_run("short", RUNS[0], short, progress=lambda *_: None)
    assert not files.checkpoint.exists()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run("run", RUNS[0], progress=stop)
    changed = TRAINING.model_copy(update={"learning_rate": 1e-3})
    assert same(train_run("run", RUNS[0], changed), train_run("fresh", RUNS[0], changed))


def test_a_loss_that_is_not_finite_names_the_step(train_run):
    wild = TRAINING.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0})
    with pytest.raises(InputError, match=r"stopped at step \d+: expected a finite loss"):
        train_run("run", RUNS[0], wild)


def command(pair_files: tuple[Path, Path], folder: Path, run: Run) -> list[str]:
    settings = {"run": run, "network": NETWORK, "settings": LONGER}
    files = {"weights": "weights.pt", "metrics": "metrics.jsonl", "run-file": "run.json", "checkpoint": "c.pt"}
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    options += [f"--{name}={model.model_dump_json()}" for name, model in settings.items()]
    return [sys.executable, "-c", "from ctmar.cli import main; main()", "train", *map(str, pair_files), *options]


def test_killed_at_any_moment_goes_on_to_the_same_bits(pair_files, tmp_path):
    moments = random.Random(0)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(pair_files, tmp_path / "whole", SPECTRAL), check=True, env=environment, **quiet)
    n_kills = 0
    folder = tmp_path / "killed"
    for _ in range(4):
        process = subprocess.Popen(command(pair_files, folder, SPECTRAL), env=environment, **quiet)
        before = checkpoint_time(folder)
        # wait until this process has come at least one epoch further, so that every kill hits the training
        while process.poll() is None and checkpoint_time(folder) == before:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.2)
        if process.poll() is None:
            n_kills += 1
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert n_kills >= 3
    done = subprocess.run(
        command(pair_files, folder, SPECTRAL), check=True, env=environment, text=True, capture_output=True
    )
    assert done.returncode == 0
    whole, killed = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert timeless(tmp_path / "whole" / "metrics.jsonl") == timeless(folder / "metrics.jsonl")


def checkpoint_time(folder: Path) -> int:
    path = folder / "c.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


def test_state_of_a_method_comes_back(tmp_path):
    loaded: list[dict] = []
    method = Method(parameter_groups=list, state=lambda: {"block": torch.ones(2)}, load_state=loaded.append)
    state = replace(start(RUNS[0], NETWORK, TRAINING, 4, 1), method=method)
    save_checkpoint(tmp_path / "c.pt", loop.snapshot(state, "me"))
    loop.resume(state, load_checkpoint(tmp_path / "c.pt", "me"))
    assert [value.tolist() for entry in loaded for value in entry.values()] == [[1.0, 1.0]]
