"""A training that diverges is a result: it says where, leaves no network, and is not tried again."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Network, Run, RunSettings, Training
from ctmar.config.methods import METHODS
from ctmar.errors import InputError
from ctmar.store.run_folder import RunFolder
from ctmar.training import loop
from ctmar.training.losses import masked_mean_square
from ctmar.training.patches import Batch
from ctmar.training.state import TrainingState
from ctmar.training.validation import validate

PLAIN = Run(network="n", method="plain")
WILD = TRAINING.model_copy(update={"learning_rate": 1e38, "warmup_steps": 0})
RUNS = [
    Run(network="n", method=name, norm=norm, lam_perp=1e-3 * facts.reads_lam_perp, softness=0.5 * facts.reads_softness)
    for name, facts in METHODS.items()
    for norm in (("spectral", "nuclear", "schatten:3") if facts.reads_norm else ("none",))
]


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


@contextmanager
def at(step: int, change: Callable[[TrainingState], object], monkeypatch) -> Iterator[None]:
    """Change the state before a step, counted from 1."""
    with monkeypatch.context() as patched:
        take_step = loop.Loop.take_step

        def spoilt(self, batch):
            if self.state.step == step - 1:
                change(self.state)
            return take_step(self, batch)

        patched.setattr(loop.Loop, "take_step", spoilt)
        yield


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.slug)
def test_every_method_that_diverges_says_so_and_is_finished(train_run, run):
    folder = train_run("run", run, WILD)
    description = folder.read_description()
    diverged = description.diverged
    assert diverged is not None
    assert 1 <= diverged.step <= 3
    assert not math.isfinite(diverged.loss)
    assert description.kept_epoch is None
    assert description.layers == []
    assert folder.read_epochs() == []  # it was the first epoch
    assert {path.name for path in folder.results} == {"run.json", "metrics.jsonl", "not-finite.json"}
    assert names(folder) == {path.name for path in folder.results} | {"started.json"}
    assert folder.is_finished(description)
    facts = json.loads(folder.diagnosis.read_text())
    assert (facts["step"], facts["layer"]) == (diverged.step, diverged.layer)
    assert len(facts["batch"]) == TRAINING.batch_size


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
def test_in_every_precision(train_run, precision):
    folder = train_run("run", PLAIN, WILD.model_copy(update={"precision": precision}))
    assert folder.read_description().diverged is not None


def test_the_same_training_is_not_tried_again(train_run, monkeypatch):
    folder = train_run("run", PLAIN, WILD)
    before = {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}
    monkeypatch.setattr(loop, "start", None)
    again = train_run("run", PLAIN, WILD)
    assert {path.name: path.stat().st_mtime_ns for path in again.path.iterdir()} == before


def test_epochs_that_there_were_are_kept(train_run, monkeypatch):
    with at(6, lambda state: state.network.layers[1].weight.data.fill_(math.nan), monkeypatch):
        folder = train_run("run", PLAIN)
    assert str(folder.read_description().diverged) == "at step 6 (weights of layer layers.1, loss nan)"
    (epoch,) = folder.read_epochs()
    assert epoch.step == 4
    assert folder.read_description().seconds_total > epoch.seconds


def test_the_very_first_step(train_run, monkeypatch):
    with at(1, lambda state: state.network.layers[0].weight.data.fill_(math.nan), monkeypatch):
        description = train_run("run", PLAIN).read_description()
    assert description.diverged.step == 1
    assert description.seconds_total == 0
    assert math.isnan(description.seconds_per_step_median)


def test_a_killed_training_diverges_at_the_same_step(train_run, monkeypatch):
    def stop(done: int, *_: object) -> None:
        if done == 5:
            raise KeyboardInterrupt

    def spoil(state: TrainingState) -> None:
        state.network.layers[0].bias.data.fill_(math.inf)

    with at(6, spoil, monkeypatch):
        whole = train_run("whole", PLAIN).read_description().diverged
        with pytest.raises(KeyboardInterrupt):
            train_run("run", PLAIN, progress=stop)
        assert str(train_run("run", PLAIN).read_description().diverged) == str(whole)


def test_nothing_of_an_older_network_stays_beside_it_nor_its_diagnosis_beside_a_newer(train_run):
    folder = train_run("run", PLAIN)
    for path in (folder.slices, folder.model, folder.examples):
        path.write_text("of the older network")
    train_run("run", PLAIN, WILD)
    folder.checkpoint.unlink()
    assert names(folder) == {"started.json", "run.json", "metrics.jsonl", "not-finite.json"}
    train_run("run", PLAIN)
    folder.checkpoint.unlink()
    assert names(folder) == {path.name for path in (*folder.of_network, folder.started, folder.run, folder.metrics)}
    assert folder.read_description().diverged is None


def test_a_gradient_alone(train_run, monkeypatch):
    def spoil(state: TrainingState) -> None:
        state.network.layers[1].weight.register_hook(lambda gradient: gradient * math.nan)

    with at(2, spoil, monkeypatch):
        diverged = train_run("run", PLAIN).read_description().diverged
    assert (diverged.step, diverged.where, diverged.layer) == (2, "gradient", "layers.1")
    assert math.isfinite(diverged.loss)


def test_a_penalty_alone(train_run):
    heavy = Run(network="n", method="projection", norm="frobenius", lam_perp=1e38)
    fast = TRAINING.model_copy(update={"learning_rate": 1e3, "warmup_steps": 0})
    diverged = train_run("run", heavy, fast).read_description().diverged
    assert (diverged.where, diverged.loss) == ("penalty", math.inf)


def test_a_norm_of_ones_own_that_cannot_be_decomposed(train_run, monkeypatch):
    def refuse(*_: object) -> torch.Tensor:
        return torch.linalg.svdvals(torch.full((2, 2), math.nan)).sum()

    with at(3, lambda state: object.__setattr__(state.method, "penalty", refuse), monkeypatch):
        diverged = train_run("run", PLAIN).read_description().diverged
    assert (diverged.step, diverged.where) == (3, "penalty")


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_images_of_the_validation_alone(train_run, monkeypatch, epochs_before):
    def spoil(state: TrainingState) -> None:
        state.network.layers[1].register_forward_hook(
            lambda module, inputs, output: output if module.training else output + math.inf
        )

    with at(4 * epochs_before + 1, spoil, monkeypatch):
        folder = train_run("run", PLAIN)
    diverged = folder.read_description().diverged
    assert (diverged.step, diverged.where, diverged.layer) == (4 * epochs_before + 4, "validation", "layers.1")
    assert len(folder.read_epochs()) == epochs_before
    assert json.loads(folder.diagnosis.read_text())["epoch"] == epochs_before + 1


def test_the_average_of_weights_alone(train_run, monkeypatch):
    averaged = TRAINING.model_copy(update={"ema_decay": 0.9})
    with at(2, lambda state: state.average["layers.2.weight"].fill_(math.nan), monkeypatch):
        diverged = train_run("run", PLAIN, averaged).read_description().diverged
    assert (diverged.step, diverged.where, diverged.layer) == (4, "weights", "layers.2")


def test_weights_that_no_image_shows(train_run, monkeypatch):
    # a layer that is cut off by the activation behind it: −∞ becomes 0
    finish = loop.finish

    def spoil(state: TrainingState) -> int:
        kept = finish(state)
        state.network.layers[0].bias.data[0] = -math.inf
        return kept

    monkeypatch.setattr(loop, "finish", spoil)
    monkeypatch.setattr(loop, "validate", lambda *_: loop.Scores(0.1, 30.0, None))
    folder = train_run("run", PLAIN)
    diverged = folder.read_description().diverged
    assert (diverged.step, diverged.where, diverged.layer, diverged.loss) == (12, "weights", "layers.0", 0.1)
    assert len(folder.read_epochs()) == 3
    assert not folder.weights.exists()


def test_an_image_without_error_has_an_infinite_psnr_and_has_not_diverged():
    class Perfect(torch.nn.Conv2d):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs[:, :1]

    images = torch.rand(1, 3, 8, 8)
    batch = Batch(images, images[:, :1], torch.ones(1, 1, 8, 8))
    assert masked_mean_square(images[:, :1], batch) == 0
    scores = validate(Perfect(3, 1, 1), [batch])
    assert (scores.loss, scores.psnr, scores.broken) == (0.0, math.inf, None)


def test_a_finite_but_useless_network_is_a_network(train_run):
    fast = TRAINING.model_copy(update={"learning_rate": 1e3, "warmup_steps": 0})
    assert train_run("run", PLAIN, fast).read_description().diverged is None


def test_broken_pairs_are_no_divergence(pair_files, tmp_path, monkeypatch):
    from ctmar.training.patches import PatchSampler

    batch = PatchSampler.batch

    def broken(self, step):
        good = batch(self, step)
        return Batch(good.inputs * math.nan, good.target, good.outside_metal)

    monkeypatch.setattr(PatchSampler, "batch", broken)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match=r"step 1: the pairs hold NaN or infinity; the patches .*not-finite\.json"):
        loop.train(*pair_files, RunSettings(run=PLAIN, network=NETWORK, training=TRAINING), folder)
    assert not folder.run.exists()


@pytest.mark.slow
def test_a_compiled_training(pair_files, tmp_path):
    folder = RunFolder(tmp_path / "run")
    settings = WILD.model_copy(update={"compile": True})
    assert loop.train(*pair_files, RunSettings(run=PLAIN, network=NETWORK, training=settings), folder) is not None


@pytest.mark.parametrize("early_stopping", [None, 1])
def test_early_stopping_does_not_hide_it(train_run, monkeypatch, early_stopping):
    training = Training(**TRAINING.model_dump() | {"epochs": 3, "early_stopping_epochs": early_stopping})
    with at(6, lambda state: state.network.layers[1].weight.data.fill_(math.nan), monkeypatch):
        assert train_run("run", PLAIN, training).read_description().diverged.step == 6


def test_a_network_with_stages(pair_files, tmp_path):
    network = Network(architecture="oscnetplus", settings={"n_stages": 2, "n_blocks": 1, "n_maps": 4})
    training = WILD.model_copy(update={"loss": "stages"})
    folder = RunFolder(tmp_path / "run")
    diverged = loop.train(*pair_files, RunSettings(run=PLAIN, network=network, training=training), folder)
    assert diverged is not None
    assert str(folder.read_description().diverged) == str(diverged)
