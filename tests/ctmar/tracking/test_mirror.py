"""The MLflow mirror, read back with MLflow's own client."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.entities import Run as StoredRun

from ctmar.config import Evaluation, Network, Report, Run, RunSettings, Study, Tracking, Training
from ctmar.errors import InputError
from ctmar.evaluation.measured_run import evaluate_run
from ctmar.evaluation.references import evaluate_references
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import write_rows
from ctmar.tracking import mirror as tracking
from ctmar.tracking.connection import connect
from ctmar.tracking.mirror import initialise, synchronise
from ctmar.tracking.mirrored_run import TEST_METRICS, mean_metrics
from ctmar.training.loop import train

PATIENT, USER, HOST = "canary-patient", "canary-user", "canary-host"
SETTINGS = Tracking()
REPORT = Report()
STUDY = Study(seeds=[0, 1], runs=[{"method": "plain"}])
DEAD = "http://127.0.0.1:9"  # the port where everything is discarded; nobody answers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A really trained and evaluated study of two runs, and an empty database, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    images = [random.uniform(0.1, 0.3, (32, 32)).astype(np.float32) for _ in range(5)]
    mask = np.zeros((32, 32), np.uint8)
    mask[10:12, 10:13] = 1
    pairs = folder / "pairs.h5"
    slices = [SliceRecord(images[0], images[1], PATIENT, f"{PATIENT}/1/0000", 1.0)]
    write_pairs(pairs, slices, [PairRecord(images[2], images[3], mask, 0, k, "titanium") for k in range(2)], "test", {})
    training, evaluation = Training(epochs=2, steps_per_epoch=2, batch_size=1, patch_size=16), Evaluation(examples=1)
    for seed in STUDY.seeds:
        run = RunFolder(folder / "results" / "runs" / f"seed-{seed}")
        network = Network(settings={"fields": 1, "depth": 2})
        one = Run(network="dncnn", method="plain", seed=seed)
        train(pairs, pairs, RunSettings(run=one, network=network, training=training), run)
        evaluate_run(run, pairs, evaluation)
    references = folder / "results" / "references"
    evaluate_references(pairs, evaluation, references)
    (folder / "results" / "mlflow").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        connect(folder / "results" / "mlflow")
    return folder


class Mirror:
    """One study in its own folder."""

    def __init__(self, results: Path) -> None:
        self.folder = results / "mlflow"
        self.parent = self.folder / "parent.json"
        self.runs = sorted((results / "runs").iterdir())

    def initialise(self, study: Study = STUDY) -> dict:
        initialise(self.parent, SETTINGS, study)
        return json.loads(self.parent.read_text())

    def synchronise(self, runs: list[Path] | None = None, report: Report = REPORT) -> dict:
        output = self.folder / "synchronised.json"
        synchronise(self.parent, self.runs if runs is None else runs, output, report)
        return json.loads(output.read_text())

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def stored(self, kind: str) -> list[StoredRun]:
        experiment = self.client.get_experiment_by_name(SETTINGS.experiment)
        return self.client.search_runs(
            [experiment.experiment_id], f"tags.`workflow.kind` = '{kind}'", order_by=["params.seed"]
        )


def statuses(synchronised: dict) -> list[str]:
    return [run["status"] for run in synchronised["runs"]]


@pytest.fixture
def mirror(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(made / "results", tmp_path / "results")
    return Mirror(tmp_path / "results")


def test_run_is_read_back_as_its_files_say(mirror: Mirror) -> None:
    parent = mirror.initialise()
    assert parent["warning"] is None
    assert parent["tracking"] == "sqlite"
    assert statuses(mirror.synchronise()) == ["written", "written"]
    run = mirror.stored("run")[1]
    description = json.loads((mirror.runs[1] / "run.json").read_text())
    records = [json.loads(line) for line in (mirror.runs[1] / "metrics.jsonl").read_text().splitlines()]
    assert run.info.status == "FINISHED"
    assert run.info.end_time == pytest.approx(1000 * (mirror.runs[1] / "run.json").stat().st_mtime, abs=2)
    assert run.info.end_time - run.info.start_time == pytest.approx(1000 * description["seconds_total"], abs=2)
    expected = {"method": "plain", "norm": "none", "lam_perp": "0.0", "lam_equi": "0.0", "seed": "1"}
    expected |= {"network": "dncnn", "network.settings.depth": "2", "training.epochs": "2"}
    assert expected.items() <= run.data.params.items()
    history = mirror.client.get_metric_history(run.info.run_id, "validation_psnr")
    assert [(metric.step, metric.value) for metric in history] == [
        (record["step"], record["validation_psnr"]) for record in records
    ]
    table = np.genfromtxt(mirror.runs[1] / "slices.csv", delimiter=",", names=True, dtype=None, encoding=None)
    model = json.loads((mirror.runs[1] / "model.json").read_text())
    assert run.data.metrics["test_psnr_db"] == pytest.approx(table["psnr_db"].mean())
    assert run.data.metrics["test_rmse_hu"] == pytest.approx(table["rmse_hu"].mean())
    assert run.data.tags["not_finite"] == "non_equivariance_of_start"  # it starts from nothing
    assert "non_equivariance_of_start" not in run.data.metrics
    for name in ("relative_non_equivariance", "defect_mean"):
        assert run.data.metrics[name] == pytest.approx(model[name])
    for name in ("code_sha256", "pairs_train_sha256", "pairs_validation_sha256"):
        assert run.data.tags[f"provenance.{name}"] == description["provenance"][name]


def test_runs_are_nested_under_the_study(mirror: Mirror) -> None:
    parent_id = mirror.initialise()["parent_run_id"]
    mirror.synchronise()
    (study,) = mirror.stored("study")
    assert study.info.run_id == parent_id
    assert study.info.status == "FINISHED"
    assert {"method": "plain", "seed": "0 1", "n_runs": "2"}.items() <= study.data.params.items()
    assert [run.data.tags["mlflow.parentRunId"] for run in mirror.stored("run")] == [parent_id] * 2
    text = Path(mirror.client.download_artifacts(parent_id, "study.json")).read_text()
    assert Study.model_validate_json(text) == STUDY


@pytest.mark.parametrize(("low", "high"), [(-175.0, 275.0), (-1000.0, 400.0)])
def test_images_show_truth_input_li_and_prediction_in_the_window_of_the_study(
    mirror: Mirror, low: float, high: float
) -> None:
    from skimage.io import imread

    mirror.initialise()
    run_id = mirror.synchronise(report=Report(window_hu=(low, high)))["runs"][0]["run_id"]
    (artefact,) = mirror.client.list_artifacts(run_id, "examples")
    shown = imread(mirror.client.download_artifacts(run_id, artefact.path))
    arrays = np.load(mirror.folder.parent / "references" / "examples.npz")
    prediction = np.load(mirror.runs[0] / "examples.npz")["prediction"][0]
    images = np.hstack([arrays["image"][0], arrays["ma_CT"][0], arrays["LI_CT"][0], prediction])
    window = np.clip((1000 * (images / 0.192 - 1) - low) / (high - low), 0, 1)
    assert shown.shape == (32, 4 * 32)
    np.testing.assert_allclose(shown / 255, window, atol=0.51 / 255)


def test_prediction_of_another_pair_stands_alone(mirror: Mirror) -> None:
    references = mirror.folder.parent / "references" / "examples.npz"
    arrays = dict(np.load(references))
    np.savez(references, **arrays | {"mask_index": arrays["mask_index"] + 5})
    (image,) = tracking.example_images(mirror.runs[0] / "examples.npz", references, REPORT.window_hu)
    assert image.shape == (32, 32)


def contents(mirror: Mirror) -> list:
    """Everything about every run, and every artefact."""
    # two trainings of a moment may begin in the same one, and then MLflow has no order
    runs = sorted([*mirror.stored("study"), *mirror.stored("run")], key=lambda run: run.info.run_id)
    files = sorted(str(file) for file in (mirror.folder / "artefacts").rglob("*") if file.is_file())
    history = [mirror.client.get_metric_history(run.info.run_id, "loss") for run in runs]
    return [run.to_dictionary() for run in runs] + [[dict(metric) for metric in metrics] for metrics in history] + files


def test_second_time_changes_nothing(mirror: Mirror) -> None:
    mirror.initialise()
    mirror.synchronise()
    before = contents(mirror)
    mirror.initialise()
    assert statuses(mirror.synchronise()) == ["present", "present"]
    assert contents(mirror) == before


def test_other_results_are_another_run_of_the_same_study(mirror: Mirror) -> None:
    parent_id = mirror.initialise()["parent_run_id"]
    mirror.synchronise()
    slices = mirror.runs[0] / "slices.csv"
    slices.write_text(slices.read_text().replace(",1,", ",2,", 1))
    assert mirror.initialise()["parent_run_id"] == parent_id
    assert statuses(mirror.synchronise()) == ["written", "present"]
    assert [run.data.params["seed"] for run in mirror.stored("run")] == ["0", "0", "1"]


def test_runs_of_a_study_that_grew_move_to_its_parent(mirror: Mirror) -> None:
    first = mirror.initialise(Study(seeds=[0], runs=STUDY.runs))["parent_run_id"]
    assert statuses(mirror.synchronise(mirror.runs[:1])) == ["written"]
    second = mirror.initialise()["parent_run_id"]
    assert statuses(mirror.synchronise()) == ["present", "written"]
    assert first != second
    assert [run.data.tags["mlflow.parentRunId"] for run in mirror.stored("run")] == [second] * 2


def test_run_that_was_killed_half_way_is_completed_without_doubles(mirror: Mirror) -> None:
    mirror.initialise()
    run_id = mirror.synchronise(mirror.runs[:1])["runs"][0]["run_id"]
    mirror.client.update_run(run_id, status="RUNNING")
    mirror.client.log_batch(run_id, metrics=[Metric("only_there_before", 1.0, 0, 0)])
    shutil.rmtree(mirror.folder / "artefacts" / run_id)
    assert statuses(mirror.synchronise()) == ["written", "written"]
    run = mirror.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["only_there_before"] == 1.0  # the same run, not a new one
    assert len(mirror.client.get_metric_history(run_id, "loss")) == 2
    assert len(mirror.client.list_artifacts(run_id, "examples")) == 1
    assert len(mirror.stored("run")) == 2


def test_unreachable_server_costs_a_line_and_little_time(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD.replace("//", "//somebody:secret@"))
    begin = time.monotonic()
    parent = mirror.initialise()
    first = capfd.readouterr()
    synchronised = mirror.synchronise()
    assert time.monotonic() - begin < 15
    assert statuses(synchronised) == ["failed", "failed"]
    assert parent["parent_run_id"] is None
    assert parent["tracking"] == "http"
    for captured, written in ((first, parent), (capfd.readouterr(), synchronised)):
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert "not mirrored to MLflow" in captured.err
        assert written["warning"] == "not mirrored to MLflow: MlflowException"
        assert "secret" not in captured.err + json.dumps(written)
        assert "127.0.0.1" not in json.dumps(written)


def test_server_that_was_away_at_the_start_gets_everything_later(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD)
    assert mirror.initialise()["warning"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert statuses(mirror.synchronise()) == ["written", "written"]
    assert len(mirror.stored("study")) == 1


def test_mlflow_that_breaks_between_runs_breaks_nothing(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.initialise()
    monkeypatch.setattr(MlflowClient, "log_image", broken_after(1, MlflowClient.log_image))
    assert statuses(mirror.synchronise()) == ["written", "failed"]
    assert "disk full" in capsys.readouterr().err
    assert mirror.stored("study")[0].info.status == "RUNNING"
    monkeypatch.undo()
    assert statuses(mirror.synchronise()) == ["present", "written"]


def broken_after(n_calls: int, method: Callable) -> Callable:
    calls = iter(range(n_calls))

    def call(*arguments: object, **named: object) -> object:
        if next(calls, None) is None:
            raise OSError("disk full")
        return method(*arguments, **named)

    return call


def test_mlflow_that_never_answers_is_left(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda *_: time.sleep(60))
    begin = time.monotonic()
    assert mirror.initialise()["warning"] == "not mirrored to MLflow: OutOfTimeError"
    assert statuses(mirror.synchronise()) == ["failed", "failed"]
    assert time.monotonic() - begin < 15


def test_killed_creation_leaves_no_half_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half a database")
        raise OSError("disk full")

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("mlflow.MlflowClient", half)
    initialise(tmp_path / "parent.json", SETTINGS, STUDY)
    assert "disk full" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["parent.json"]


def test_path_that_mlflow_would_misread_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    initialise(tmp_path / "why?" / "parent.json", SETTINGS, STUDY)
    assert "question mark" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["why?"]


def test_moved_study_is_told_apart(mirror: Mirror, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror.initialise()
    results = mirror.folder.parent
    moved = Mirror(results.rename(results.with_name("moved")))
    assert statuses(moved.synchronise()) == ["failed", "failed"]
    assert "delete mlflow.db" in capsys.readouterr().err
    # a new database in yet another place, because MLflow keeps deleted ones open as long as the process lives
    again = Mirror(moved.folder.parent.rename(results.with_name("again")))
    shutil.copy(made / "results" / "mlflow" / "mlflow.db", again.folder)
    assert statuses(again.synchronise()) == ["written", "written"]


def test_neither_patient_nor_user_nor_host_is_mirrored(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setattr("socket.gethostname", lambda: HOST)
    monkeypatch.setattr("sys.argv", [f"/home/{USER}/bin/ctmar"])
    mirror.initialise()
    mirror.synchronise()
    for run in [*mirror.stored("study"), *mirror.stored("run")]:
        assert not {"mlflow.user", "mlflow.source.name", "mlflow.host"} & set(run.data.tags)
    written = [file for file in mirror.folder.rglob("*") if file.is_file()]
    assert len(written) >= 6
    for file in written:
        for name in (PATIENT, USER, HOST):
            assert name.encode() not in file.read_bytes(), file


def test_run_of_the_users_shell_is_not_written_to(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    mirror.initialise()
    assert statuses(mirror.synchronise()) == ["written", "written"]
    assert "MLFLOW_RUN_ID" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "slices.csv", "model.json", "examples.npz"])
def test_missing_result_is_named(mirror: Mirror, name: str) -> None:
    mirror.initialise()
    (mirror.runs[0] / name).unlink()
    with pytest.raises(InputError, match=name):
        mirror.synchronise()


def test_wrong_parent_is_named(mirror: Mirror) -> None:
    with pytest.raises(InputError, match=r"parent\.json: parent run not found"):
        mirror.synchronise()
    mirror.parent.write_text("{}")
    with pytest.raises(InputError, match=r"parent\.json: expected a file made by"):
        mirror.synchronise()


def test_a_patient_counts_once_whatever_its_number_of_slices(tmp_path):
    rows = [{"patient": name, **dict.fromkeys(TEST_METRICS, value)} for name, value in (("a", 1), ("a", 3), ("b", 5))]
    write_rows(tmp_path / "slices.csv", ("patient", *TEST_METRICS), rows)
    assert mean_metrics(tmp_path / "slices.csv") == {f"test_{name}": 3.5 for name in TEST_METRICS}
