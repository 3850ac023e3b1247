"""A run: what it writes, that it learns, and that a kill at any moment changes nothing."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

import ctmar.training.loop as loop
from ctmar.config import Run, RunSettings
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.store.pairs import PairFile
from ctmar.store.provenance import sha256_of
from ctmar.store.run_folder import RunFolder
from ctmar.training.checkpoint import load_checkpoint, save_checkpoint
from ctmar.training.method import Method
from ctmar.training.patches import collate, validation_batches
from ctmar.training.state import start
from equiproj import project_
from equiproj.baselines import GroupAveraged
from equiproj.groups import CyclicGroup

SPECTRAL = Run(network="n", method="projection", norm="spectral", lam_perp=1e-3)
RUNS = [
    Run(network="n", method="plain"),
    Run(network="n", method="augmentation"),
    Run(network="n", method="eqreg", lam_perp=1e-4),
    SPECTRAL,
]


def settings_of(run: Run) -> RunSettings:
    return RunSettings(run=run, network=NETWORK, training=TRAINING)


def weights(files: RunFolder) -> dict[str, torch.Tensor]:
    return torch.load(files.weights, weights_only=True)


def same(one: RunFolder, other: RunFolder) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def timeless(path: Path) -> list[dict]:
    times = ("seconds", "seconds_per_step", "images_per_second", "system")
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in path.read_text().splitlines()]


def test_writes_its_results_and_leaves_nothing_else(train_run):
    files = train_run("run", SPECTRAL)
    names = sorted(path.name for path in files.weights.parent.iterdir())
    assert names == [
        "checkpoint.pt",
        "kernels.npz",
        "layers.jsonl",
        "metrics.jsonl",
        "run.json",
        "started.json",
        "weights.pt",
    ]
    records = [json.loads(line) for line in files.metrics.read_text().splitlines()]
    assert [(record["epoch"], record["step"]) for record in records] == [(1, 4), (2, 8), (3, 12)]
    assert all(record["penalty"] > 0 for record in records)
    assert records[0]["loss"] == pytest.approx(records[0]["task_loss"] + records[0]["penalty"])
    description = json.loads(files.run.read_text())
    assert description["run"] == SPECTRAL.model_dump()
    assert description["n_parameters"] == sum(tensor.numel() for tensor in weights(files).values())
    assert len(description["layers"]) == 6  # three weights, three biases
    assert str(files.weights.parent) not in files.run.read_text()


def test_validation_is_that_of_what_the_run_predicts_with(train_run, pair_files):
    own, averaged = train_run("own", RUNS[0]), train_run("averaged", Run(network="n", method="test_time_average"))
    assert same(own, averaged)
    network = start(RUNS[0], NETWORK, TRAINING, "C4").network
    network.load_state_dict(weights(averaged))
    expected = loop.validate(GroupAveraged(network, CyclicGroup(4)), validation_batches(pair_files[1], 2)).fields
    found = [timeless(files.metrics) for files in (own, averaged)]
    for name, value in expected.items():
        assert found[1][-1][name] == pytest.approx(value, rel=1e-6)
        assert all(one[name] != other[name] for one, other in zip(*found, strict=True))


def test_learns(train_run, pair_files):
    long = TRAINING.model_copy(update={"epochs": 4, "steps_per_epoch": 60, "learning_rate": 5e-3})
    files = train_run("run", RUNS[0], long)
    untrained = start(RUNS[0], NETWORK, TRAINING, "C4").network
    before = loop.validate(untrained, validation_batches(pair_files[1], 2)).psnr
    after = json.loads(files.metrics.read_text().splitlines()[-1])["validation_psnr"]
    assert after > before + 3


@pytest.mark.slow
def test_the_weight_of_the_penalty_makes_the_weights_equivariant(train_run):
    long = TRAINING.model_copy(update={"epochs": 2, "steps_per_epoch": 60, "learning_rate": 5e-3})
    ratios = []
    for lam_perp in (1e-8, 1e-3, 1.0):
        run = Run(network="n", method="projection", norm="frobenius", lam_perp=lam_perp, start="drawn")
        layers = json.loads(train_run(str(lam_perp), run, long).run.read_text())["layers"]
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
    assert resumed.layers.read_bytes() == whole.layers.read_bytes()
    assert resumed.kernels.read_bytes() == whole.kernels.read_bytes()


@pytest.mark.parametrize(
    "lost", [("layers.jsonl",), ("kernels.npz",), ("run.json",), ("weights.pt", "metrics.jsonl", "run.json")]
)
@pytest.mark.parametrize("changes", [{}, {"ema_decay": 0.5}, {"early_stopping_epochs": 1, "learning_rate": 0.1}])
def test_lost_results_are_written_again_without_a_step(train_run, monkeypatch, changes, lost):
    # a workflow engine deletes the outputs of a job that dies after its work
    training = TRAINING.model_copy(update=changes)
    files = train_run("run", SPECTRAL, training)
    before = {path.name: path.read_bytes() for path in (*files.of_network, files.metrics)}
    for name in lost:
        (files.path / name).unlink()
    monkeypatch.setattr(loop.Loop, "take_step", lambda *_: pytest.fail("a step is taken again"))
    train_run("run", SPECTRAL, training)
    assert {path.name: path.read_bytes() for path in (*files.of_network, files.metrics)} == before
    assert files.read_description().training == training


class StopAfter:
    """Asks a training to stop at the n-th question, and keeps what its folder said each time."""

    def __init__(self, folder: RunFolder, n_questions: int) -> None:
        self.folder, self.left, self.n_epochs = folder, n_questions, []

    def __call__(self) -> bool:
        self.n_epochs.append(len(self.folder.read_epochs()) if self.folder.metrics.exists() else 0)
        self.left -= 1
        return self.left < 0


def test_every_epoch_is_there_to_be_read_while_the_run_goes_on(train_run, tmp_path, monkeypatch):
    folder, readings = RunFolder(tmp_path / "run"), []
    read = loop.system_facts
    monkeypatch.setattr(loop, "system_facts", lambda device: readings.append(device) or read(device))
    asked = StopAfter(folder, 100)
    train_run("run", RUNS[0], interrupted=asked)
    # four steps and two validation pairs in each of three epochs
    assert asked.n_epochs == [0] * 6 + [1] * 6 + [2] * 6
    assert folder.read_epochs()[0].system["process_memory_mb"] > 10
    assert len(readings) == 3  # a driver is asked once in an epoch, not in each step


def test_a_resumed_run_began_once_and_a_new_one_anew(train_run, tmp_path):
    folder = RunFolder(tmp_path / "run")
    before = time.time()
    with pytest.raises(loop.InterruptedTrainingError):
        train_run("run", RUNS[0], interrupted=StopAfter(folder, 8))
    start = folder.read_start()
    assert before < start.begun < time.time()
    assert start.origin.run == RUNS[0]
    assert len(folder.read_epochs()) == 1
    train_run("run", RUNS[0])
    assert folder.read_start() == start
    assert all(getattr(folder.read_description(), name) == value for name, value in start.origin)
    train_run("run", SPECTRAL)
    assert folder.read_start().begun > start.begun
    assert folder.read_start().origin.run == SPECTRAL


def test_what_was_finished_is_not_once_another_run_has_begun_in_its_place(train_run, tmp_path):
    folder = train_run("run", RUNS[0])
    origin = folder.read_start().origin
    assert folder.is_finished(origin)
    with pytest.raises(loop.InterruptedTrainingError):
        train_run("run", SPECTRAL, interrupted=StopAfter(folder, 8))
    assert not folder.is_finished(origin)
    assert not folder.is_finished(folder.read_start().origin)
    with pytest.raises(InputError, match=r"run\.json: expected a file written by `ctmar train`"):
        folder.read_description()


def test_checkpoint_of_other_settings_is_not_used(train_run):
    short = TRAINING.model_copy(update={"epochs": 1})
    assert not same(train_run("first", RUNS[0], short), train_run("whole", RUNS[0]))
    # the checkpoint of a finished run is that of its settings, too
    assert same(train_run("first", RUNS[0]), train_run("whole", RUNS[0]))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run("run", RUNS[0], progress=stop)
    changed = TRAINING.model_copy(update={"learning_rate": 1e-3})
    assert same(train_run("run", RUNS[0], changed), train_run("fresh", RUNS[0], changed))


def test_state_of_a_method_comes_back(tmp_path):
    loaded: list[dict] = []
    method = Method(parameter_groups=list, state=lambda: {"block": torch.ones(2)}, load_state=loaded.append)
    state = replace(start(RUNS[0], NETWORK, TRAINING, "C4"), method=method)
    save_checkpoint(tmp_path / "c.pt", loop.snapshot(state, "me"))
    loop.resume(state, load_checkpoint(tmp_path / "c.pt", "me"))
    assert [value.tolist() for entry in loaded for value in entry.values()] == [[1.0, 1.0]]


def test_early_stopping_keeps_the_best_weights(train_run, monkeypatch):
    psnrs = iter([30.0, 32.0, 31.0, 31.5, 99.0, 32.0])  # the fifth would be the epoch that is not run
    monkeypatch.setattr(loop, "validate", lambda *_: loop.Scores(0.1, next(psnrs), None))
    patient = TRAINING.model_copy(update={"epochs": 6, "early_stopping_epochs": 2, "schedule": "constant"})
    stopped = train_run("stopped", RUNS[0], patient)
    assert len(stopped.metrics.read_text().splitlines()) == 4
    assert json.loads(stopped.run.read_text())["kept_epoch"] == 2
    monkeypatch.undo()
    two = TRAINING.model_copy(update={"epochs": 2, "schedule": "constant"})
    assert same(stopped, train_run("two", RUNS[0], two))


def test_early_stopping_never_looks_at_the_training_loss(train_run, monkeypatch):
    monkeypatch.setattr(loop, "validate", lambda *_: loop.Scores(0.1, 30.0, None))
    stopped = train_run("stopped", RUNS[0], TRAINING.model_copy(update={"epochs": 9, "early_stopping_epochs": 3}))
    assert len(stopped.metrics.read_text().splitlines()) == 4  # the loss fell, the validation did not move


def test_the_average_of_weights_is_validated_and_kept(train_run, pair_files):
    averaged = TRAINING.model_copy(update={"ema_decay": 0.9})
    files = train_run("run", RUNS[0], averaged)
    state = start(RUNS[0], NETWORK, averaged, "C4")
    sampler, validation = loop.open_data(*pair_files, RunSettings(run=RUNS[0], network=NETWORK, training=averaged))
    expected = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
    for step in range(12):
        loop.set_learning_rate(state.optimiser, loop.learning_rate(averaged, step))
        loop.training_step(state, sampler.batch(step).to(state.device), step)
        for name, tensor in state.network.state_dict().items():
            expected[name] = 0.9 * expected[name] + 0.1 * tensor
    for name, tensor in weights(files).items():
        torch.testing.assert_close(tensor, expected[name])
    state.network.load_state_dict(expected)
    scores = loop.validate(state.network, validation)
    assert json.loads(files.metrics.read_text().splitlines()[-1])["validation_psnr"] == pytest.approx(
        scores.psnr, abs=1e-3
    )


@pytest.mark.parametrize("run", [*RUNS[1:], Run(network="n", method="strict")], ids=lambda run: run.method)
def test_methods_of_a_seed_are_paired(run, pair_files):
    """Equal first weights, equal patches: what differs between two methods is the method."""
    plain, other = start(RUNS[0], NETWORK, TRAINING, "C4"), start(run, NETWORK, TRAINING, "C4")
    drawn, changed = ([layer.weight for layer in state.network.layers] for state in (plain, other))
    if run.method == "strict":  # it starts from the projection of those weights, at their scale
        group = CyclicGroup(4)
        project_(plain.network, group, layers=layer_types(plain.network, group))
        drawn, changed = ([w / w.norm().clamp(min=1e-9) for w in weights] for weights in (drawn, changed))
    for one, two in zip(drawn, changed, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6 if run.method == "strict" else 0)
    one, two = (loop.open_data(*pair_files, settings_of(each))[0] for each in (RUNS[0], run))
    assert all(one.origins(step) == two.origins(step) for step in range(8))


@pytest.mark.slow
def test_reader_processes_change_nothing(train_run):
    read_ahead = TRAINING.model_copy(update={"reader_processes": 2})
    assert same(train_run("ahead", RUNS[1], read_ahead), train_run("here", RUNS[1]))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_goes_on_to_the_same_bits(train_run, precision):
    half = TRAINING.model_copy(update={"precision": precision})
    asked = iter(range(100))
    with pytest.raises(loop.InterruptedTrainingError, match="after step 3"):
        train_run("stopped", SPECTRAL, half, interrupted=lambda: next(asked) == 2)
    resumed, whole = train_run("stopped", SPECTRAL, half), train_run("whole", SPECTRAL, half)
    assert same(resumed, whole)
    assert not same(whole, train_run("float32", SPECTRAL))


def test_starts_from_given_weights(train_run, pair_files, tmp_path):
    first = train_run("first", RUNS[0])
    network = NETWORK.model_copy(update={"weights": first.weights})
    state = start(SPECTRAL, network, TRAINING, "C4")
    assert all(torch.equal(tensor, weights(first)[name]) for name, tensor in state.network.state_dict().items())
    files = RunFolder(tmp_path / "own")
    loop.train(*pair_files, RunSettings(run=SPECTRAL, network=network, training=TRAINING), files)
    description = json.loads(files.run.read_text())
    assert description["provenance"]["initial_weights_sha256"] == sha256_of(first.weights)
    assert str(tmp_path) not in files.run.read_text()
    with pytest.raises(InputError, match=r"missing\.pt"):
        start(SPECTRAL, NETWORK.model_copy(update={"weights": tmp_path / "missing.pt"}), TRAINING, "C4")


def test_one_file_holds_validation_out(pair_files, tmp_path):
    files = RunFolder(tmp_path / "own")
    loop.train(pair_files[0], None, RunSettings(run=RUNS[0], network=NETWORK, training=TRAINING), files)
    assert json.loads(files.run.read_text())["provenance"]["pairs_validation_sha256"] is None
    sampler, validation = loop.open_data(pair_files[0], None, settings_of(SPECTRAL))
    trained = {origin.slice_id for step in range(20) for origin in sampler.origins(step)}
    assert trained == {"patient-0/1/0000", "patient-1/1/0001"}
    with PairFile(pair_files[0]) as file:
        assert all(torch.equal(validation[i].target, collate([file.read_pair(4 + i)]).target) for i in range(2))


@pytest.mark.parametrize("taken", ["weights.pt", "run.json", "checkpoint.pt"])
def test_a_folder_in_the_place_of_a_result_is_refused_before_the_first_step(train_run, tmp_path, taken):
    (tmp_path / "run" / taken).mkdir(parents=True)
    with pytest.raises(InputError, match=f"{taken}: expected a file to write, found a folder"):
        train_run("run", Run(network="n", method="plain"), progress=lambda *_: pytest.fail("training has begun"))
