"""A run folder is written and read by one room; what somebody else put into it is refused in one line."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from tests.ctmar.run_folders import description, epoch, measurements

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.store.atomic import temporary_path
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Divergence, LayersAtEpoch
from ctmar.store.writer import this_writer

RECORDS = {
    "run": description(run=Run(network="n", method="projection", norm="mixed:2,1", lam_perp=1e-3, seed=3)),
    "model": measurements(defect_at_angles={"22.5": 0.1}, defect_floor_at_angles={"22.5": 0.0}),
}

LAYERS = [LayersAtEpoch(epoch=k, norms={"a.weight": (2.0, 0.25 * k), "a.bias": (0.0, math.inf)}) for k in (0, 1)]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.write_description(RECORDS["run"])
    run.write_measurements(RECORDS["model"])
    run.write_epochs([epoch(epoch=k) for k in (1, 2)])
    run.write_layers(LAYERS)
    return run


def test_what_is_written_is_read_back(folder):
    assert folder.read_description() == RECORDS["run"]
    assert folder.read_measurements() == RECORDS["model"]
    assert folder.read_epochs() == [epoch(epoch=1), epoch(epoch=2)]
    assert folder.read_layers() == LAYERS


def test_measured_numbers_may_be_infinite_or_none_at_all(folder):
    folder.write_epochs([epoch(validation_psnr=math.inf, validation_loss=math.nan)])
    (read,) = folder.read_epochs()
    assert read.validation_psnr == math.inf
    assert math.isnan(read.validation_loss)


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "model.json", "layers.jsonl"])
def test_a_file_that_is_not_there_says_who_writes_it(folder, name):
    (folder.path / name).unlink()
    command = "evaluate" if name == "model.json" else "train"
    with pytest.raises(InputError, match=rf"{name}: expected a file written by `ctmar {command}`, found No such file"):
        read(folder, name)


def read(folder: RunFolder, name: str) -> object:
    readers = {"run.json": folder.read_description, "metrics.jsonl": folder.read_epochs}
    return (readers | {"model.json": folder.read_measurements, "layers.jsonl": folder.read_layers})[name]()


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "model.json", "layers.jsonl"])
@pytest.mark.parametrize(
    "content", [b"[]", b"not json", b"\xff\xfe", b"{", b"[" * 100_000, b'"' + b"x" * 10**6 + b'"', b"1" * 5000, b"\0"]
)
def test_what_is_no_record_is_one_short_line(folder, name, content):
    (folder.path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        read(folder, name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(folder.path))


@pytest.mark.parametrize(
    ("name", "keys", "value", "message"),
    [
        ("run.json", ("run", "method"), "magic", "'run.method': "),
        ("run.json", ("run", "norm"), "secret-file", "'run.norm': "),
        ("run.json", ("network", "architecture"), ["dncnn"], "'network.architecture': "),
        ("run.json", ("network", "weight"), "x.pt", "unknown key 'network.weight'"),
        ("run.json", ("training", "epochs"), -1, "'training.epochs': "),
        ("run.json", ("group",), "E4", "'group': expected C<n>.*found 'E4'"),
        ("run.json", ("grid", "image_size"), 3.5, "'grid.image_size': .*integer, found 3.5"),
        ("run.json", ("grid",), None, "'grid': .*found None"),
        ("run.json", ("seconds_total",), "1.0", "'seconds_total': .*number, found '1.0'"),
        ("run.json", ("provenance", "software", "torch"), 2, "'provenance.software.torch': expected text .*, found 2"),
        ("run.json", ("layers",), {"a": 1}, "'layers': "),
        ("model.json", ("defect_mean",), True, "'defect_mean': .*number, found True"),
        ("model.json", ("defect_at_angles",), {"north": 0.1}, "'defect_at_angles': .*'north'"),
        ("model.json", ("defect_at_angles",), {"30": 0.1}, "expected the same angles"),
        ("model.json", ("surname",), "Doe", "unknown key 'surname'"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(folder, name, keys, value, message):
    path = folder.path / name
    content = place = json.loads(path.read_text())
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{name}: .*{message}") as caught:
        read(folder, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("norms", [{"a.weight": [1.0]}, {"a.weight": 1.0}, {"a.weight": ["1", 2.0]}, [1.0]])
def test_a_wrong_layer_is_named_with_its_line(folder, norms):
    folder.layers.write_text(folder.layers.read_text() + json.dumps({"epoch": 2, "norms": norms}) + "\n")
    with pytest.raises(InputError, match=r"layers\.jsonl, line 3: .*'norms"):
        folder.read_layers()


@pytest.mark.parametrize(("key", "value"), [("loss", "0.1"), ("epoch", 1.5), ("validation_psnr", None)])
def test_a_wrong_epoch_is_named_with_its_line(folder, key, value):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    lines[1][key] = value
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match=rf"metrics\.jsonl, line 2: '{key}': "):
        folder.read_epochs()


def test_a_missing_key_is_named(folder):
    content = json.loads(folder.run.read_text())
    del content["training"], content["kept_epoch"]
    folder.run.write_text(json.dumps(content))
    expected = "run.json: expected the key 'training', found none; expected the key 'kept_epoch', found none"
    with pytest.raises(InputError) as caught:
        folder.read_description()
    assert str(caught.value).endswith(expected)


def test_a_run_that_diverged_has_other_results_and_is_finished_with_them(folder):
    finished = RECORDS["run"]
    for path in (folder.weights, folder.kernels, folder.slices, folder.examples):
        path.write_text("x")
    assert folder.results == (
        folder.weights,
        folder.layers,
        folder.kernels,
        folder.metrics,
        folder.run,
        folder.slices,
        folder.model,
        folder.examples,
    )
    where = Divergence(step=7, where="output", layer="layers.0", loss=math.inf)
    diverged = finished.model_copy(update={"diverged": where, "kept_epoch": None, "seconds_per_step_median": math.nan})
    folder.write_description(diverged)
    assert not folder.is_finished(diverged)  # its diagnosis comes before its description
    folder.write_epochs([])
    folder.write_divergence(diverged, {"step": 7})
    assert folder.read_description().diverged == where
    assert folder.read_epochs() == []
    assert folder.results == (folder.metrics, folder.run, folder.diagnosis)
    assert all(path.is_file() for path in folder.results)
    of_network = (*folder.of_network, folder.slices, folder.model, folder.examples)
    assert [path for path in of_network if path.exists()] == []
    assert folder.is_finished(diverged)
    assert not folder.is_finished(diverged.model_copy(update={"group": "C8"}))


@pytest.mark.parametrize(
    ("where", "layer", "text"),
    [
        ("penalty", None, "at step 7 (penalty, loss inf)"),
        ("weights", "a.b", "at step 7 (weights of layer a.b, loss inf)"),
        ("validation", "a.b", "at step 7 (validation, output of layer a.b, loss inf)"),
        ("test image", None, "at step 7 (test image, loss inf)"),
    ],
)
def test_a_divergence_in_words(where, layer, text):
    assert str(Divergence(step=7, where=where, layer=layer, loss=math.inf)) == text


@pytest.mark.parametrize(
    ("kept", "diverged", "found"),
    [(None, None, "none"), (3, {"step": 1, "where": "loss", "layer": None, "loss": math.inf}, "both")],
)
def test_a_run_has_kept_an_epoch_or_diverged(folder, kept, diverged, found):
    content = json.loads(folder.run.read_text()) | {"kept_epoch": kept, "diverged": diverged}
    folder.run.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"run\.json: .*kept_epoch and diverged: expected one of them, found {found}"):
        folder.read_description()


def test_a_folder_is_made_ready_for_training(folder):
    leftover = temporary_path(folder.weights, dataclasses.replace(this_writer(), started=0))
    for path in (leftover, folder.checkpoint):
        path.write_text("x")
    folder.prepare()
    assert not leftover.exists()
    assert folder.checkpoint.exists()
    folder.weights.mkdir()
    with pytest.raises(InputError, match=r"weights\.pt: expected a file to write, found a folder"):
        folder.prepare()
