"""`ctmar train-and-evaluate`: each run on the patients of its fold, and none trained twice."""

import hashlib
import json
import math
import os
import signal
import sys

import pytest
import torch

from ctmar.cli import main
from ctmar.config import Job, Network, Run
from ctmar.datasets.split import write_split
from ctmar.evaluation import measured_run
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import read_rows
from ctmar.training.loop import Loop

NETWORK = Network(settings={"fields": 1, "depth": 2})
RUNS = [Run(network="small", method="plain", seed=seed) for seed in (0, 1)]
JOB = Job(runs=RUNS, network=NETWORK).model_dump_json()
SETTINGS = "{epochs: 1, steps_per_epoch: 2, batch_size: 2, patch_size: 8}"
PATIENTS = ("patient-0", "patient-1", "patient-2")
FOLDS = [dict(zip(PATIENTS[k:] + PATIENTS[:k], ("train", "validation", "test"), strict=True)) for k in range(3)]
EVALUATION = "{defect_slices: 1, examples: 1, defect_angles_deg: []}"


@pytest.fixture
def job(tmp_path, write_pair_file, monkeypatch):
    """Run the job and return its exit code: ``job()``."""
    for seed, subset in enumerate(("train", "validation", "test")):
        write_pair_file(tmp_path / f"{subset}.h5", seed=seed)
    write_split(tmp_path / "split.csv", FOLDS, dict.fromkeys(PATIENTS, 1))

    def run(text: str = JOB, settings: str = SETTINGS, evaluation: str = EVALUATION) -> int:
        words = ["--split", tmp_path / "split.csv", "--job", text, "--output", tmp_path / "runs"]
        words += ["--finished", tmp_path / "finished.sha256", "--settings", settings, "--evaluation", evaluation]
        monkeypatch.setattr(sys, "argv", ["ctmar", "train-and-evaluate", str(tmp_path), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


def epochs_trained(monkeypatch) -> list[Loop]:
    """The loops that have run an epoch since."""
    ran, run_epoch = [], Loop.run_epoch

    def noted(loop: Loop, batches) -> None:
        ran.append(loop)
        run_epoch(loop, batches)

    monkeypatch.setattr(Loop, "run_epoch", noted)
    return ran


def test_every_run_sees_the_patients_of_its_fold_and_is_listed_with_its_digest(job, tmp_path):
    assert job() == 0
    for seed in (0, 1):
        folder = tmp_path / "runs" / "small" / "plain" / f"seed-{seed}"
        expected = {subset: [p for p, own in FOLDS[seed].items() if own == subset] for subset in FOLDS[seed].values()}
        assert json.loads((folder / "run.json").read_text())["patients"] == expected
        assert {row["patient"] for row in read_rows(folder / "slices.csv", ("patient",))} == set(expected["test"])
    listed = [line.split("  ") for line in (tmp_path / "finished.sha256").read_text().splitlines()]
    assert len(listed) == 2 * 8
    # of a finished run nothing is left that only a training needs
    names = {path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert names - {"started.json"} == {name.rpartition("/")[2].strip() for _, name in listed}
    for digest, name in listed:
        assert hashlib.sha256((tmp_path / "runs" / name).read_bytes()).hexdigest() == digest


def test_what_is_finished_is_not_trained_again_but_measured_by_new_settings(job, tmp_path, monkeypatch):
    job()
    weights = (tmp_path / "runs" / "small" / "plain" / "seed-0" / "weights.pt").stat().st_mtime_ns
    trained = epochs_trained(monkeypatch)
    assert job(evaluation="{defect_slices: 2, examples: 1, defect_angles_deg: []}") == 0
    assert not trained
    assert (tmp_path / "runs" / "small" / "plain" / "seed-0" / "weights.pt").stat().st_mtime_ns == weights
    assert (
        json.loads((tmp_path / "runs" / "small" / "plain" / "seed-0" / "model.json").read_text())["defect_pairs"] == 2
    )


def test_a_new_seed_is_the_only_run_that_trains(job, monkeypatch):
    job()
    trained = epochs_trained(monkeypatch)
    more = [*RUNS, RUNS[0].model_copy(update={"seed": 2})]
    assert job(Job(runs=more, network=NETWORK).model_dump_json()) == 0
    assert [loop.state.seed for loop in trained] == [2]


def test_changed_settings_train_again(job, monkeypatch):
    job()
    trained = epochs_trained(monkeypatch)
    assert job(settings=SETTINGS.replace("batch_size: 2", "batch_size: 1")) == 0
    assert len(trained) == 2


def test_a_signal_saves_and_the_same_command_goes_on(job, tmp_path, monkeypatch):
    take_step = Loop.take_step

    def interrupted(loop: Loop, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return take_step(loop, batch)

    monkeypatch.setattr(Loop, "take_step", interrupted)
    assert job() == 75
    assert not (tmp_path / "finished.sha256").exists()
    monkeypatch.setattr(Loop, "take_step", take_step)
    assert job() == 0


def test_what_is_measured_is_not_measured_again_unless_its_weights_change(job, tmp_path):
    job()
    folder = tmp_path / "runs" / "small" / "plain" / "seed-0"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert job() == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert job(settings=SETTINGS.replace("batch_size: 2", "batch_size: 1")) == 0
    assert all(path.stat().st_mtime_ns > before[path.name] for path in folder.iterdir())


def test_one_job_trains_different_settings(job, tmp_path):
    other = Run(network="small", method="projection", norm="frobenius", lam_perp=0.1)
    assert job(Job(runs=[RUNS[0], other], network=NETWORK).model_dump_json()) == 0
    assert (tmp_path / "runs" / other.slug / "seed-0" / "model.json").is_file()


def test_a_run_that_diverges_ends_no_other_run_and_is_not_repeated(job, tmp_path, monkeypatch):
    heavy = Run(network="small", method="projection", norm="frobenius", lam_perp=1e38, seed=0)
    text = Job(runs=[RUNS[0], heavy, RUNS[1]], network=NETWORK).model_dump_json()
    settings = SETTINGS.replace("}", ", learning_rate: 1000.0, warmup_steps: 0}")
    assert job(text, settings=settings) == 0
    folder = RunFolder(tmp_path / "runs" / heavy.slug / "seed-0")
    assert folder.read_description().diverged.where == "penalty"
    listed = [line.split("  ")[1] for line in (tmp_path / "finished.sha256").read_text().splitlines()]
    own = [name for name in listed if name.startswith(heavy.slug)]
    assert [name.rpartition("/")[2] for name in own] == ["metrics.jsonl", "run.json", "not-finite.json"]
    assert len(listed) == 3 + 2 * 8
    trained = epochs_trained(monkeypatch)
    assert job(text, settings=settings) == 0
    assert not trained


def test_a_network_that_breaks_on_a_test_image_has_diverged_though_its_training_did_not_notice(
    job, tmp_path, monkeypatch
):
    load_network = measured_run.load_network

    def spoilt(*arguments: object) -> torch.nn.Module:
        network = load_network(*arguments)
        network.register_forward_hook(lambda module, inputs, output: output + math.inf)
        return network

    monkeypatch.setattr(measured_run, "load_network", spoilt)
    assert job() == 0
    folder = RunFolder(tmp_path / "runs" / "small" / "plain" / "seed-0")
    assert str(folder.read_description().diverged).startswith("at step 2 (test image, loss 0.")
    assert {path.name for path in folder.results} == {"metrics.jsonl", "run.json", "not-finite.json"}
    assert not folder.weights.exists()


def test_broken_test_pairs_are_a_mistake_and_no_divergence(job, tmp_path, monkeypatch, capsys):
    pair_input = measured_run.pair_input
    monkeypatch.setattr(measured_run, "pair_input", lambda pair: pair_input(pair) * math.nan)
    assert job() == 2
    assert "the test pairs hold NaN or infinity" in capsys.readouterr().err
    assert RunFolder(tmp_path / "runs" / "small" / "plain" / "seed-0").read_description().diverged is None


def test_runs_on_different_pairs_are_no_job():
    with pytest.raises(ValueError, match="one network and one asymmetry"):
        Job(runs=[RUNS[0], Run(network="small", method="plain", asymmetry=0.5)], network=NETWORK)
