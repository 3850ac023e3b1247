"""Training on a GPU: every method beside the CPU, the waits of a step, a restart, and reading ahead."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ctmar.config import Network, Run, RunSettings, Training
from ctmar.config.methods import METHODS
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.run_folder import RunFolder
from ctmar.training.loop import InterruptedTrainingError, train
from ctmar.training.patches import Batch, PatchSampler
from ctmar.training.state import start
from ctmar.training.step import training_step

pytestmark = pytest.mark.gpu
NETWORK = Network(settings={"fields": 2, "depth": 4})
SIZE = 48


def training(device: torch.device, **changes: object) -> Training:
    usual = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 4, "patch_size": 16, "validation_pairs": 2}
    return Training(**(usual | {"warmup_steps": 2, "device": device.type} | changes))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slices of noise and smooth streaks."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pairs") / "pairs.h5"
    y, x = np.mgrid[:SIZE, :SIZE]
    slices, records = [], []
    for k in range(4):
        image = (0.2 + 0.05 * np.sin(x / (3 + k)) + 0.01 * random.random((SIZE, SIZE))).astype(np.float32)
        slices.append(SliceRecord(image, image, f"patient-{k}", f"patient-{k}/1/{k:04d}", 3.0))
        streaks = (0.05 * np.cos(y - 4 * k)).astype(np.float32)
        mask = ((y - 20) ** 2 + (x - 24) ** 2 < 9).astype(np.uint8)
        records.append(PairRecord(image + 2 * streaks, image + streaks, mask, k, 0, "titanium"))
    write_pairs(path, slices, records, "train", {"seed": 0})
    return path


def batch_of(pairs: Path, step: int = 0) -> Batch:
    return PatchSampler(pairs, 4, 16, seed=0).batch(step)


def run_of(method: str) -> Run:
    facts = METHODS[method]
    weights = {"norm": "spectral" if facts.reads_norm else "none", "softness": 0.5 if facts.reads_softness else 0.0}
    return Run(network="n", method=method, lam_perp=1e-3 if facts.reads_lam_perp else 0.0, **weights)


@pytest.mark.parametrize("method", METHODS)
def test_steps_of_every_method_are_those_of_the_cpu(method, pairs, device):
    losses = []
    for where in (torch.device("cpu"), device):
        state = start(run_of(method), NETWORK, training(where), "C4")
        losses.append([training_step(state, batch_of(pairs, k).to(where), k) for k in range(3)])
        state.method.finish()
        assert all(tensor.device.type == where.type for tensor in state.network.state_dict().values())
    assert losses[1] == [pytest.approx(pair, rel=2e-3, abs=1e-7) for pair in losses[0]]


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_every_precision_trains(precision, pairs, device):
    state = start(run_of("projection"), NETWORK, training(device, precision=precision, accumulation=2), "C4")
    losses = [training_step(state, batch_of(pairs).to(device), 0)[0] for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_waits_for_the_device_once(method, accumulation, pairs, device):
    if device.type == "cpu":
        pytest.skip("a CPU has no queue to wait for; the calls are counted in tests/ctmar/training")
    state = start(run_of(method), NETWORK, training(device, accumulation=accumulation), "C4")
    batch = batch_of(pairs)
    for k in range(3):
        training_step(state, batch.to(device), k)  # tables reach the device once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            training_step(state, batch.to(device), 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [f"{warning.filename}:{warning.lineno}" for warning in caught if "synchroniz" in str(warning.message)]
    assert len(waits) == 1, waits


def test_a_batch_reaches_the_device_in_the_layout_of_the_network(pairs, device):
    batch = batch_of(pairs)
    moved = batch.to(device)
    assert moved.inputs.device.type == device.type
    assert moved.inputs.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(moved.tensors, batch.tensors, strict=True):
        assert torch.equal(one.cpu(), other)


@pytest.mark.parametrize("method", ["projection", "residual_pathway"])
def test_a_killed_run_goes_on_where_it_was(method, pairs, tmp_path, device):
    settings = training(device, reader_processes=0, ema_decay=0.9, early_stopping_epochs=5)

    chosen = RunSettings(run=run_of(method), network=NETWORK, training=settings)

    def run(name: str, **options: object) -> dict[str, torch.Tensor]:
        folder = RunFolder(tmp_path / name)
        train(pairs, None, chosen, folder, **options)
        return torch.load(folder.weights, weights_only=True)

    whole = run("whole")
    calls = iter(range(100))
    with pytest.raises(InterruptedTrainingError):
        run("killed", interrupted=lambda: next(calls) == 4)
    assert RunFolder(tmp_path / "killed").checkpoint.is_file()
    resumed = run("killed")
    for name, expected in whole.items():
        assert expected.device.type == "cpu"
        torch.testing.assert_close(
            resumed[name], expected, rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_processes_that_read_ahead_feed_the_device(pairs, tmp_path, device):
    settings = training(device, epochs=1, reader_processes=2)
    train(pairs, None, RunSettings(run=run_of("plain"), network=NETWORK, training=settings), RunFolder(tmp_path))
    assert RunFolder(tmp_path).weights.is_file()
