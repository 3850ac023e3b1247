"""In Lightning and in transformers a penalty trains as the loop that adds it by hand does, resumed or not."""

import logging
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.bridges import lightning_callback, trainer_callback

pytestmark = pytest.mark.slow  # both libraries take seconds to import
N_STEPS = 6
FEATURES = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
TYPES = {"input_type": "regular", "output_type": "regular"}
KINDS = {
    "given": lambda module: ProjectionPenalty(module, "C4", weight_perpendicular=0.3, **TYPES),
    "target": lambda module: ProjectionPenalty(module, "C4", target=0.3, **TYPES),
    "scheduled": lambda module: ProjectionPenalty(module, "C4", schedule=lambda step: 0.5**step, **TYPES),
    "proximal": lambda module: ProximalPenalty(module, "C4", target=0.3, **TYPES),
}
BOUNDS = {"given": 0.2}  # of the gradient that this kind is trained with
every_kind = pytest.mark.parametrize("kind", KINDS)
with_state = pytest.mark.parametrize("kind", ["target", "scheduled", "proximal"])


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))


def by_hand(kind):
    module = network()
    penalty = KINDS[kind](module)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for _ in range(N_STEPS):
        optimiser.zero_grad()
        loss = (module(FEATURES) - TARGETS).square().mean()
        (loss if kind == "proximal" else loss + penalty()).backward()
        if kind != "proximal":
            penalty.update()
        nn.utils.clip_grad_norm_(module.parameters(), BOUNDS.get(kind, torch.inf))
        optimiser.step()
        if kind == "proximal":
            penalty.step(optimiser)
    return module, penalty


def assert_same(trained, penalty, kind):
    expected, other = by_hand(kind)
    for a, b in zip(trained.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a.detach().cpu(), b.detach(), atol=1e-5, rtol=1e-5)
    assert penalty.weight_perpendicular == pytest.approx(other.weight_perpendicular, rel=1e-4)


def lightning_module():
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network()

        def training_step(self, batch, index):
            features, targets = batch
            return (self.network(features) - targets).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

        def train_dataloader(self):
            return DataLoader(TensorDataset(FEATURES, TARGETS), batch_size=8)

    return Module()


def fit(module, penalty, folder, n_steps, bound=None):
    lightning = pytest.importorskip("lightning.pytorch")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        max_steps=n_steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[lightning_callback(penalty, max_gradient_norm=bound)],
    )
    return trainer


@every_kind
def test_lightning_trains_as_by_hand(kind, tmp_path):
    module = lightning_module()
    penalty = KINDS[kind](module.network)
    trainer = fit(module, penalty, tmp_path, N_STEPS, BOUNDS.get(kind))
    trainer.fit(module)
    assert_same(module.network, penalty, kind)
    logged = trainer.callback_metrics
    assert float(logged["penalty_weight"]) == pytest.approx(penalty.weight_perpendicular, rel=1e-5)
    assert ("penalty" in logged) == (kind != "proximal")
    assert not trainer.optimizers[0]._optimizer_step_pre_hooks
    assert not trainer.optimizers[0]._optimizer_step_post_hooks


@with_state
def test_lightning_resumes_the_penalty(kind, tmp_path):
    module = lightning_module()
    trainer = fit(module, KINDS[kind](module.network), tmp_path, N_STEPS // 2)
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    module = lightning_module()
    penalty = KINDS[kind](module.network)
    fit(module, penalty, tmp_path, N_STEPS).fit(module, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert_same(module.network, penalty, kind)


def test_lightning_that_is_interrupted_lets_go(tmp_path):
    module = lightning_module()
    trainer = fit(module, KINDS["given"](module.network), tmp_path, N_STEPS)
    module.on_train_batch_end = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.fit(module)
    assert not trainer.optimizers[0]._optimizer_step_pre_hooks


@pytest.mark.parametrize("older", [True, False])
def test_the_older_package_will_do_and_none_is_named(older, monkeypatch):
    pytorch_lightning = pytest.importorskip("pytorch_lightning")
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    penalty = KINDS["given"](network())
    if older:
        assert isinstance(lightning_callback(penalty), pytorch_lightning.Callback)
        return
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    with pytest.raises(ImportError, match="expected the package lightning, or pytorch_lightning, found neither"):
        lightning_callback(penalty)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = network()

    def forward(self, features, labels):
        predicted = self.network(features)
        return {"loss": (predicted - labels).square().mean(), "logits": predicted}


def trainer_of(model, penalty, folder, n_steps, bound=None, **settings):
    transformers = pytest.importorskip("transformers")
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=n_steps,
        per_device_train_batch_size=8,
        learning_rate=0.1,
        optim="sgd",
        optim_args="momentum=0.9",
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        logging_steps=1,
        save_steps=N_STEPS // 2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **settings,
    )
    rows = [{"features": x, "labels": y} for x, y in zip(FEATURES, TARGETS, strict=True)]
    callback = trainer_callback(penalty, max_gradient_norm=bound)
    return transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[callback])


@every_kind
def test_transformers_trains_as_by_hand(kind, tmp_path):
    model = Model()
    penalty = KINDS[kind](model.network)
    trainer = trainer_of(model, penalty, tmp_path, N_STEPS, BOUNDS.get(kind))
    trainer.train()
    assert_same(model.network, penalty, kind)
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logs) == N_STEPS
    assert logs[-1]["penalty_weight"] == pytest.approx(penalty.weight_perpendicular)
    assert all(("penalty" in entry) == (kind != "proximal") for entry in logs)
    assert not trainer.optimizer.optimizer._optimizer_step_pre_hooks


@with_state
def test_transformers_resumes_the_penalty(kind, tmp_path):
    model = Model()
    trainer_of(model, KINDS[kind](model.network), tmp_path, N_STEPS // 2).train()
    assert (tmp_path / f"checkpoint-{N_STEPS // 2}" / "equiproj_penalty.pt").is_file()
    model = Model()
    penalty = KINDS[kind](model.network)
    trainer_of(model, penalty, tmp_path, N_STEPS).train(resume_from_checkpoint=True)
    assert_same(model.network, penalty, kind)


def test_a_checkpoint_without_a_penalty_is_named(tmp_path):
    model = Model()
    trainer_of(model, KINDS["target"](model.network), tmp_path, N_STEPS // 2).train()
    (tmp_path / f"checkpoint-{N_STEPS // 2}" / "equiproj_penalty.pt").unlink()
    model = Model()
    trainer = trainer_of(model, KINDS["target"](model.network), tmp_path, N_STEPS)
    with pytest.raises(FileNotFoundError, match=r"equiproj_penalty\.pt: expected the penalty's state"):
        trainer.train(resume_from_checkpoint=True)


def test_accumulated_batches_of_transformers_have_one_penalty(tmp_path):
    model = Model()
    penalty = KINDS["given"](model.network)
    trainer = trainer_of(model, penalty, tmp_path, N_STEPS, BOUNDS["given"], gradient_accumulation_steps=2)
    trainer.args.per_device_train_batch_size = trainer._train_batch_size = 4
    trainer.train()
    assert_same(model.network, penalty, "given")
