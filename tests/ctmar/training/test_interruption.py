"""Killed, stopped or asked to stop at any moment, a run goes on to the same bits."""

import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

import ctmar.training.loop as loop
from ctmar.config import Run, RunSettings, Training
from ctmar.store.run_folder import RunFolder

N_KILLS = 20
RUN = Run(network="n", method="projection", norm="spectral", lam_perp=1e-3)
LONG = TRAINING.model_copy(update={"epochs": 48, "steps_per_epoch": 8, "ema_decay": 0.9, "early_stopping_epochs": 50})
N_STEPS_BETWEEN_KILLS = 15  # at most; fewer than what twenty kills share, and enough for three checkpoints
TIMES = ("seconds", "seconds_per_step", "images_per_second", "system")


def train_in(folder: Path, pair_files: tuple[Path, Path], training: Training = LONG) -> None:
    """Train to the end, without a checkpoint within epochs."""
    loop.SECONDS_BETWEEN_CHECKPOINTS = 60.0
    loop.train(*pair_files, RunSettings(run=RUN, network=NETWORK, training=training), RunFolder(folder))


def train_until_killed(folder: Path, pair_files: tuple[Path, Path]) -> None:
    """Train some steps with a checkpoint after each, then wait for whoever kills."""
    questions = itertools.count()

    def wait_after_some_steps() -> bool:
        if next(questions) == N_STEPS_BETWEEN_KILLS:
            time.sleep(600)
        return False

    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    settings = RunSettings(run=RUN, network=NETWORK, training=LONG)
    loop.train(*pair_files, settings, RunFolder(folder), interrupted=wait_after_some_steps)


def timeless(folder: Path) -> list[dict]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in record.items() if name not in TIMES} for record in lines]


def assert_same_run(one: Path, other: Path) -> None:
    assert (one / "weights.pt").read_bytes() == (other / "weights.pt").read_bytes()
    assert timeless(one) == timeless(other)
    for name in ("layers.jsonl", "kernels.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    names = ["checkpoint.pt", "kernels.npz", "layers.jsonl", "metrics.jsonl", "run.json", "started.json", "weights.pt"]
    assert sorted(path.name for path in other.iterdir()) == names


def modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.fixture
def own_pace(monkeypatch):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", loop.SECONDS_BETWEEN_CHECKPOINTS)


@pytest.mark.slow
@pytest.mark.usefixtures("own_pace")
def test_killed_twenty_times_ends_with_the_same_bits(pair_files, tmp_path):
    # imports once (the last one is torch's own, at the first step), so that twenty restarts take seconds
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])
    moments, steps_at_kills = random.Random(0), set()
    (tmp_path / "killed").mkdir()
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    for _ in range(N_KILLS):
        process = context.Process(target=train_until_killed, args=(tmp_path / "killed", pair_files))
        process.start()
        for _ in range(moments.randint(1, 3)):  # so many checkpoints further, then anywhere in the next steps
            before = modified(checkpoint)
            while process.is_alive() and modified(checkpoint) == before:
                time.sleep(0.0005)
        time.sleep(moments.random() * 0.02)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        steps_at_kills.add(torch.load(checkpoint, weights_only=True)["step"])
        leftovers = [path for path in checkpoint.parent.iterdir() if path.name.startswith(".")]
        assert len(leftovers) <= 2  # those of earlier kills were removed; a lock may have been moved away
    assert any(step % LONG.steps_per_epoch for step in steps_at_kills)
    assert len(steps_at_kills) > N_KILLS // 2
    train_in(tmp_path / "killed", pair_files)
    train_in(tmp_path / "whole", pair_files)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def command(pair_files: tuple[Path, Path], folder: Path, training: Training) -> list[str]:
    options = [f"--run={RUN.model_dump_json()}", f"--network={NETWORK.model_dump_json()}"]
    options += [f"--settings={training.model_dump_json()}", f"--output={folder}"]
    return [sys.executable, "-c", "from ctmar.cli import main; main()", "train", *map(str, pair_files), *options]


def start_command(pair_files: tuple[Path, Path], folder: Path, training: Training) -> subprocess.Popen:
    """Start training and wait until steps are running: until the progress shows the first of them."""
    process = subprocess.Popen(
        command(pair_files, folder, training),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "train projection spectral" in process.stderr.readline()
    return process


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reader_processes"), [(signal.SIGTERM, 0), (signal.SIGUSR1, 0), (signal.SIGTERM, 1)]
)
def test_a_signal_saves_within_an_epoch_and_ends_resumable(pair_files, tmp_path, number, reader_processes):
    # an epoch that would take minutes: what is saved can only be the middle of it
    training = LONG.model_copy(
        update={"epochs": 1, "steps_per_epoch": 50_000, "reader_processes": reader_processes, "schedule": "constant"}
    )
    process = start_command(pair_files, tmp_path, training)
    time.sleep(0.3)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "stopped by a signal after step" in stderr.splitlines()[-1]
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert 0 < saved["step"] < 50_000
    assert len(saved["epoch"]["losses"]) == saved["step"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt", "started.json"]


@pytest.mark.slow
@pytest.mark.usefixtures("own_pace")
def test_saved_by_a_signal_goes_on_to_the_same_bits(pair_files, tmp_path):
    training = LONG.model_copy(update={"epochs": 16})  # the signal comes before its end on a busy machine too
    process = start_command(pair_files, tmp_path / "stopped", training)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 75
    train_in(tmp_path / "stopped", pair_files, training)
    train_in(tmp_path / "whole", pair_files, training)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_second_signal_ends_at_once():
    code = (
        "import os, signal, time\n"
        "from ctmar.cli.stopping import stop_requests\n"
        "with stop_requests() as asked:\n"
        "    assert not asked()\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    time.sleep(0.01)\n"
        "    assert asked()\n"
        "    print('first', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(100)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "first\n"
    assert done.returncode == -signal.SIGTERM


def test_asked_during_the_validation(pair_files, tmp_path, train_run):
    asked = iter(range(1000))
    with pytest.raises(loop.InterruptedTrainingError, match="after step 4"):
        train_run("stopped", RUN, interrupted=lambda: next(asked) == 5)  # four steps, then the second validation pair
    saved = torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)
    assert (saved["step"], saved["records"]) == (4, [])
    train_run("stopped", RUN)
    train_run("whole", RUN)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
