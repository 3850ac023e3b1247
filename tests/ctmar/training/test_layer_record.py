"""The norms of the layers through training: those of the weights, for every method, and without a trace in them."""

import math

import numpy as np
import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING
from tests.ctmar.training.test_methods_of_weights import EVERY_METHOD, EXACT

import ctmar.training.loop as loop
from ctmar.config import Run
from ctmar.training.layer_record import MOST_EPOCHS
from ctmar.training.state import start


@pytest.mark.parametrize("run", EVERY_METHOD, ids=lambda run: run.method)
def test_every_method_records_its_layers_and_ends_with_those_of_its_weights(train_run, run):
    folder = train_run("run", run)
    records = folder.read_layers()
    assert [record.epoch for record in records] == [0, 1, 2, 3]
    described = {row.name: (row.norm_equivariant, row.norm_perpendicular) for row in folder.read_description().layers}
    assert records[-1].norms == described
    assert all(record.norms.keys() == described.keys() for record in records)
    weights = torch.load(folder.weights, weights_only=True)
    for name, (equivariant, perpendicular) in records[-1].norms.items():
        # both parts are orthogonal, and together they are what was written
        assert math.hypot(equivariant, perpendicular) == pytest.approx(float(weights[name].norm()), rel=1e-5)
        assert records[0].norms[name][1] < 1e-5  # methods start from equivariant weights
        if run in EXACT:
            assert perpendicular < 1e-5


def test_the_start_is_that_of_the_drawn_weights(train_run):
    run = Run(network="n", method="plain", start="drawn")
    first = train_run("run", run).read_layers()[0]
    expected = start(run, NETWORK, TRAINING, "C4").start_norms
    assert math.hypot(*(norms[1] for norms in first.norms.values())) == pytest.approx(expected.norm_perpendicular)
    assert expected.norm_perpendicular > 0.1


@pytest.mark.parametrize("method", ["plain", "strict", "softness"])
def test_recording_leaves_no_trace_in_the_weights(train_run, monkeypatch, method):
    run = Run(network="n", method=method, softness=0.5 if method == "softness" else 0.0)
    recorded = train_run("recorded", run, TRAINING.model_copy(update={"ema_decay": 0.5}))
    for name in ("record_layers", "record_kept_layers"):
        monkeypatch.setattr(loop, name, lambda *_: None)
    without = train_run("without", run, TRAINING.model_copy(update={"ema_decay": 0.5}))
    assert without.read_layers() == []
    assert recorded.weights.read_bytes() == without.weights.read_bytes()
    psnr = [[epoch.validation_psnr for epoch in folder.read_epochs()] for folder in (recorded, without)]
    assert psnr[0] == psnr[1]


def test_a_long_training_has_a_short_record(train_run):
    long = TRAINING.model_copy(update={"epochs": 2 * MOST_EPOCHS + 1, "steps_per_epoch": 1, "validation_pairs": 1})
    epochs = [record.epoch for record in train_run("run", Run(network="n", method="plain"), long).read_layers()]
    assert epochs[:2] == [0, 1]
    assert epochs[-1] == long.epochs
    assert len(epochs) == MOST_EPOCHS + 1


def test_where_training_stops_early_the_kept_epoch_has_the_record_of_what_is_kept(train_run):
    early = TRAINING.model_copy(update={"epochs": 30, "early_stopping_epochs": 1, "learning_rate": 0.1})
    folder = train_run("run", Run(network="n", method="plain"), early)
    kept, n_epochs = folder.read_description().kept_epoch, len(folder.read_epochs())
    assert kept < n_epochs < 30
    by_epoch = {record.epoch: record.norms for record in folder.read_layers()}
    for row in folder.read_description().layers:
        assert by_epoch[kept][row.name] == (row.norm_equivariant, row.norm_perpendicular)


def test_kernels_are_those_of_the_written_weights(train_run):
    folder = train_run("run", Run(network="n", method="projection", norm="frobenius", lam_perp=1e-3))
    weights = torch.load(folder.weights, weights_only=True)
    with np.load(folder.kernels, allow_pickle=False) as kernels:
        assert sorted(kernels) == ["layers.0.weight", "layers.1.weight", "layers.2.weight"]
        for name in kernels:
            assert np.array_equal(kernels[name][0], weights[name][:4, :4].numpy())
