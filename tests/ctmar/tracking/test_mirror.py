"""The MLflow mirror, read back with MLflow's own client."""

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from tests.ctmar.tracking.conftest import PATIENT, LittleStudy, after_questions

from ctmar.config import Config
from ctmar.errors import InputError
from ctmar.store.tables import read_rows, write_rows
from ctmar.tracking import mirror as tracking
from ctmar.tracking.mirror import Mirror
from ctmar.tracking.parameters import LONGEST
from ctmar.tracking.pictures import example_images
from ctmar.training.loop import InterruptedTrainingError

USER, HOST = "canary-user", "canary-host"
DEAD = "http://127.0.0.1:9"  # the port where everything is discarded; nobody answers


def test_run_is_read_back_as_its_files_say(study: LittleStudy) -> None:
    summary = study.synchronise()
    assert (summary.n_runs, summary.n_mirrored, summary.not_mirrored) == (2, 2, {})
    assert summary.said == "2 of 2 runs are mirrored to MLflow"
    run, folder = study.stored("run")[1], study.runs[1]
    start, model = folder.read_start(), folder.read_measurements()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "dncnn/plain seed 1"
    assert run.info.start_time == pytest.approx(1000 * start.begun, abs=2)
    assert run.info.end_time == pytest.approx(1000 * folder.model.stat().st_mtime, abs=2)
    expected = {"method": "plain", "norm": "none", "lam_perp": "0.0", "lam_equi": "0.0", "seed": "1"}
    expected |= {"network": "dncnn", "network.settings.depth": "2", "training.epochs": "2", "group": "C4"}
    assert expected.items() <= run.data.params.items()
    epochs = folder.read_epochs()
    assert study.history(run, "validation/psnr") == [(epoch.step, epoch.validation_psnr) for epoch in epochs]
    memory = [(epoch.step, epoch.system["process_memory_mb"]) for epoch in epochs]
    assert study.history(run, "system/process_memory_mb") == memory
    table = np.genfromtxt(folder.slices, delimiter=",", names=True, dtype=None, encoding=None)
    assert run.data.metrics["test/psnr_db"] == pytest.approx(table["psnr_db"].mean())
    assert run.data.metrics["test/rmse_hu"] == pytest.approx(table["rmse_hu"].mean())
    assert run.data.metrics["network/defect_mean"] == pytest.approx(model.defect_mean)
    assert run.data.metrics["cost/seconds_total"] == pytest.approx(folder.read_description().seconds_total)
    for name in ("code_sha256", "pairs_train_sha256", "pairs_validation_sha256"):
        assert run.data.tags[f"provenance.{name}"] == getattr(start.origin.provenance, name)


def test_data_and_model_are_told_by_digest_with_the_signature_and_without_a_copy(study: LittleStudy) -> None:
    study.synchronise()
    run, origin = study.stored("run")[0], study.runs[0].read_start().origin
    inputs = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(inputs) == {"training", "validation"}
    assert json.loads(inputs["training"].source) == {"sha256": origin.provenance.pairs_train_sha256}
    (output,) = run.outputs.model_outputs
    model = study.client.get_logged_model(output.model_id)
    assert model.status == "READY"
    assert model.tags["weights"] == "runs/dncnn/plain/seed-0/weights.pt"
    folder = study.results / "mlflow"
    (described,) = folder.rglob(f"{model.model_id}/**/MLmodel")
    assert "float32" in described.read_text()
    assert not list(folder.rglob("*.pt"))


def test_runs_are_nested_under_the_study(study: LittleStudy) -> None:
    study.synchronise()
    (parent,) = study.stored("study")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "little: 2 runs"
    assert {"method": "plain", "seed": "0 1", "n_runs": "2"}.items() <= parent.data.params.items()
    parents = [run.data.tags["mlflow.parentRunId"] for run in study.stored("run")]
    assert parents == [parent.info.run_id] * 2
    text = Path(study.client.download_artifacts(parent.info.run_id, "configuration.json")).read_text()
    assert Config.model_validate_json(text).study.name == "little"


@pytest.mark.parametrize(("low", "high"), [(-175.0, 275.0), (-1000.0, 400.0)])
def test_images_show_truth_input_li_and_prediction_in_the_window_of_the_study(
    study: LittleStudy, low: float, high: float
) -> None:
    from skimage.io import imread

    study.configure(report={"window_hu": (low, high)})
    study.synchronise()
    run_id = study.stored("run")[0].info.run_id
    (artefact,) = study.client.list_artifacts(run_id, "examples")
    shown = imread(study.client.download_artifacts(run_id, artefact.path))
    arrays = np.load(study.results / "references" / "examples.npz")
    prediction = np.load(study.runs[0].examples)["prediction"][0]
    images = np.hstack([arrays["image"][0], arrays["ma_CT"][0], arrays["LI_CT"][0], prediction])
    window = np.clip((1000 * (images / 0.192 - 1) - low) / (high - low), 0, 1)
    assert shown.shape == (32, 4 * 32)
    np.testing.assert_allclose(shown / 255, window, atol=0.51 / 255)


def test_prediction_of_another_pair_stands_alone(study: LittleStudy) -> None:
    references = study.results / "references" / "examples.npz"
    arrays = dict(np.load(references))
    np.savez(references, **arrays | {"mask_index": arrays["mask_index"] + 5})
    (image,) = example_images(study.runs[0].examples, references, (-175.0, 275.0))
    assert image.shape == (32, 32)


def contents(study: LittleStudy) -> list:
    """Everything about every run, and every artefact."""
    runs = sorted([*study.stored("study"), *study.stored("run")], key=lambda run: run.info.run_id)
    files = sorted(str(file) for file in (study.results / "mlflow" / "artefacts").rglob("*") if file.is_file())
    return [run.to_dictionary() for run in runs] + [study.history(run) for run in runs] + files


def test_second_time_changes_nothing(study: LittleStudy) -> None:
    study.synchronise()
    before = contents(study)
    assert study.synchronise().n_mirrored == 2
    assert contents(study) == before


def test_another_measurement_of_the_same_training_comes_after_the_first(study: LittleStudy) -> None:
    study.synchronise()
    rows = read_rows(study.runs[0].slices, ())
    changed = [row | {"psnr_db": str(float(row["psnr_db"]) + 1)} for row in rows]
    write_rows(study.runs[0].slices, tuple(rows[0]), changed)
    os.utime(study.runs[0].model, (time.time() + 5, time.time() + 5))
    before = study.stored("run")[0].data.metrics["test/psnr_db"]
    assert study.synchronise().n_mirrored == 2
    (first, _) = study.stored("run")
    assert first.data.metrics["test/psnr_db"] == pytest.approx(before + 1)
    assert len(study.history(first)) == 2
    assert len(first.outputs.model_outputs) == 1


def test_a_changed_study_has_another_parent_and_no_two_runs_of_one_name(study: LittleStudy) -> None:
    study.synchronise()
    (old_parent,) = study.stored("study")
    config = study.configure(training={"epochs": 3})
    # nothing of the new settings is trained: what lies there is of the old ones
    assert (study.synchronise().n_mirrored, study.stored("run")) == (0, [])
    assert [run.info.status for run in study.stored("run", "superseded")] == ["FINISHED"] * 2
    for seed in (0, 1):
        study.train(seed, config)
    assert study.synchronise().n_mirrored == 2
    (parent,) = study.stored("study")
    current, old = study.stored("run"), study.stored("run", "superseded")
    assert {run.data.tags["mlflow.parentRunId"] for run in current} == {parent.info.run_id}
    assert {run.data.tags["mlflow.parentRunId"] for run in old} == {old_parent.info.run_id}
    assert [run.info.run_name for run in current] == ["dncnn/plain seed 0", "dncnn/plain seed 1"]
    assert [run.info.run_name for run in old] == [f"{run.info.run_name} (superseded)" for run in current]
    assert [run.data.params["training.epochs"] for run in current] == ["3", "3"]


def test_a_run_that_is_trained_again_takes_the_place_of_the_first(study: LittleStudy) -> None:
    study.synchronise()
    shutil.rmtree(study.runs[0].path)
    study.train(0)
    assert study.synchronise().n_mirrored == 2
    assert [run.info.run_name for run in study.stored("run")] == ["dncnn/plain seed 0", "dncnn/plain seed 1"]
    (old,) = study.stored("run", "superseded")
    assert old.info.run_name == "dncnn/plain seed 0 (superseded)"


def test_runs_of_a_study_that_grew_move_to_its_parent(study: LittleStudy) -> None:
    study.configure(study={"seeds": [0]})
    assert study.synchronise().n_runs == 1
    study.configure()
    assert study.synchronise().n_mirrored == 2
    (parent,) = study.stored("study")
    assert {run.data.tags["mlflow.parentRunId"] for run in study.stored("run")} == {parent.info.run_id}
    assert study.stored("run", "superseded") == []


def test_what_is_only_shown_makes_no_other_study(study: LittleStudy) -> None:
    study.synchronise()
    before = study.stored("study")[0].info.run_id
    study.configure(report={"title": "Another"})
    study.synchronise()
    assert [run.info.run_id for run in study.stored("study")] == [before]


def test_an_interrupted_run_is_seen_while_it_trains_killed_and_finished(begun_study: LittleStudy) -> None:
    study, seen = begun_study, []

    def look() -> bool:
        Mirror(study.results, following=True).synchronise()
        seen.append([(run.info.status, len(study.history(run))) for run in study.stored("run")])
        return len(seen) == 4

    with pytest.raises(InterruptedTrainingError):
        study.train(0, interrupted=look)  # two steps, a validation pair, and the first step of the second epoch
    assert seen == [[("RUNNING", 0)]] * 3 + [[("RUNNING", 1)]]
    assert study.synchronise().n_not_finished == 2
    assert [run.info.status for run in study.stored("run")] == ["KILLED"]
    assert study.stored("study")[0].info.status == "KILLED"
    study.train(0)
    study.synchronise()
    (run,) = study.stored("run")
    assert run.info.status == "FINISHED"
    assert study.history(run) == [(epoch.step, epoch.loss) for epoch in study.runs[0].read_epochs()]


def test_a_run_that_diverged_has_failed_and_says_where(begun_study: LittleStudy) -> None:
    study = begun_study
    wild = study.configure(training={"learning_rate": 1e38, "warmup_steps": 0})
    from tests.ctmar.tracking.conftest import train_run

    train_run(study.pairs, study.runs[0], wild.study.expand()[0], wild)
    assert study.synchronise().n_mirrored == 1
    (run,) = study.stored("run")
    assert run.info.status == "FAILED"
    assert run.data.tags["diverged"] == str(study.runs[0].read_description().diverged)
    assert [file.path for file in study.client.list_artifacts(run.info.run_id)] == ["not-finite.json"]


def test_what_is_not_finite_is_left_out_and_named(study: LittleStudy) -> None:
    epochs = study.runs[0].read_epochs()
    study.runs[0].write_epochs([epochs[0].model_copy(update={"penalty": math.inf, "loss": math.nan}), epochs[1]])
    measured = study.runs[0].read_measurements()
    study.runs[0].write_measurements(measured.model_copy(update={"defect_max": -math.inf}))
    study.synchronise()
    run = study.stored("run")[0]
    told = run.data.tags["not_finite"].split("; ")
    assert {"training/loss (epochs 1)", "training/penalty (epochs 1)", "network/defect_max"} <= set(told)
    assert len(study.history(run)) == 1
    assert "network/defect_max" not in run.data.metrics
    assert all(math.isfinite(value) for value in run.data.metrics.values())


def test_a_parameter_too_long_for_mlflow_is_cut_with_its_digest_and_kept_whole(begun_study: LittleStudy) -> None:
    study, text = begun_study, "x" * (LONGEST + 1)
    config = study.configure(study={"networks": {"dncnn": {"settings": {"fields": 1, "depth": 2}}}})
    study.train(0, config)
    start = json.loads(study.runs[0].started.read_text())
    start["origin"]["network"]["settings"]["note"] = text
    study.runs[0].started.write_text(json.dumps(start))
    study.runs[0].run.unlink()
    study.configure(study={"networks": {"dncnn": {"settings": {"fields": 1, "depth": 2, "note": text}}}})
    study.synchronise()
    (run,) = study.stored("run")
    shown = run.data.params["network.settings.note"]
    assert len(shown) == LONGEST
    assert shown.startswith("xxx")
    assert "6001 characters, sha256" in shown
    whole = study.client.download_artifacts(run.info.run_id, "long-parameters.json")
    assert json.loads(Path(whole).read_text()) == {"network.settings.note": text}


def test_run_that_was_killed_half_way_is_completed_without_doubles(study: LittleStudy) -> None:
    study.synchronise()
    run_id = study.stored("run")[0].info.run_id
    study.client.update_run(run_id, status="RUNNING")
    study.client.delete_tag(run_id, "workflow.results_sha256")
    study.client.log_batch(run_id, metrics=[Metric("only_there_before", 1.0, 0, 0)])
    shutil.rmtree(study.results / "mlflow" / "artefacts" / run_id)
    assert study.synchronise().n_mirrored == 2
    run = study.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["only_there_before"] == 1.0  # the same run, not a new one
    assert len(study.history(run)) == 2
    assert len(study.client.get_metric_history(run_id, "test/psnr_db")) == 1
    assert len(study.client.list_artifacts(run_id, "examples")) == 1
    assert len(study.stored("run")) == 2


@pytest.mark.parametrize("n_questions", [0, 1])
def test_what_an_interrupted_synchronisation_has_not_written_is_missing(study: LittleStudy, n_questions: int) -> None:
    summary = Mirror(study.results).synchronise(after_questions(n_questions))
    assert (summary.n_mirrored, summary.n_runs) == (0, 2)
    assert "interrupted" in summary.missing
    assert Mirror(study.results).synchronise().n_mirrored == 2


def test_unreachable_server_costs_a_line_and_little_time(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD.replace("//", "//somebody:secret@"))
    begin = time.monotonic()
    summary = study.synchronise()
    assert time.monotonic() - begin < 60  # MLflow by itself tries for many minutes
    assert summary.missing.startswith(
        "2 of 2 runs are not mirrored to MLflow: the server at http://127.0.0.1:9 does not answer; `ctmar sync "
    )
    assert "\n" not in summary.said
    assert "secret" not in summary.model_dump_json()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert study.synchronise().n_mirrored == 2
    assert len(study.stored("study")) == 1


def test_mlflow_that_breaks_between_runs_breaks_nothing(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MlflowClient, "log_image", broken_after(1, MlflowClient.log_image))
    summary = study.synchronise()
    assert summary.not_mirrored == {"runs/dncnn/plain/seed-1": "OSError: disk full"}
    assert summary.n_mirrored == 1
    assert study.stored("study")[0].info.status == "KILLED"
    monkeypatch.undo()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert study.synchronise().n_mirrored == 2
    assert study.stored("study")[0].info.status == "FINISHED"


def broken_after(n_calls: int, method: Callable) -> Callable:
    calls = iter(range(n_calls))

    def call(*arguments: object, **named: object) -> object:
        if next(calls, None) is None:
            raise OSError("disk full")
        return method(*arguments, **named)

    return call


def test_mlflow_that_never_answers_is_left(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda *_: time.sleep(600))
    begin = time.monotonic()
    assert study.synchronise().warning == "no answer within 0.2 s"
    assert time.monotonic() - begin < 300


def test_a_deleted_experiment_says_what_to_do(study: LittleStudy) -> None:
    study.synchronise()
    experiment = study.client.get_experiment_by_name("equiproj")
    study.client.delete_experiment(experiment.experiment_id)
    assert study.synchronise().warning == (
        "the experiment 'equiproj' was deleted in MLflow: restore it (mlflow experiments restore --experiment-id"
        f" {experiment.experiment_id}) or set tracking.experiment to another name"
    )
    study.client.restore_experiment(experiment.experiment_id)
    assert study.synchronise().warning is None


def test_a_run_deleted_in_the_interface_comes_back(study: LittleStudy) -> None:
    study.synchronise()
    for run in [*study.stored("run")[:1], *study.stored("study")]:
        study.client.delete_run(run.info.run_id)
    assert study.synchronise().n_mirrored == 2
    (parent,) = study.stored("study")
    assert {run.data.tags["mlflow.parentRunId"] for run in study.stored("run")} == {parent.info.run_id}


@pytest.mark.parametrize(
    ("scheme", "package"), [("postgresql", "psycopg2-binary"), ("mysql", "mysqlclient"), ("mysql+pymysql", "pymysql")]
)
def test_a_database_without_its_driver_is_named_with_the_package(
    study: LittleStudy, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:secret@db.invalid:5432/runs")
    summary = study.synchronise()
    assert summary.warning == f"the database at {scheme}://db.invalid:5432 needs a driver: pip install {package}"


def test_killed_creation_leaves_no_half_database(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half a database")
        raise OSError("disk full")

    shutil.rmtree(study.results / "mlflow")
    monkeypatch.setattr("mlflow.MlflowClient", half)
    assert study.synchronise().warning == "OSError: disk full"
    assert not list((study.results / "mlflow").glob("*.db"))


@pytest.mark.parametrize("name", ["a#b", "a%20b", "a+b", "a b", "Übung", "a;b&c=d"])
def test_any_path_holds_a_study(study: LittleStudy, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    moved = LittleStudy(study.results.rename(tmp_path / name / "results"))
    assert moved.synchronise().n_mirrored == 2
    run = moved.stored("run")[0]
    assert len(moved.client.list_artifacts(run.info.run_id, "examples")) == 1
    assert {path.name for path in (tmp_path / name).iterdir()} == {"results"}
    assert {path.name for path in tmp_path.iterdir()} == {name, "pairs.h5"}


def test_path_that_mlflow_would_misread_is_refused(study: LittleStudy, tmp_path: Path) -> None:
    (tmp_path / "why?").mkdir()
    moved = LittleStudy(study.results.rename(tmp_path / "why?" / "results"))
    assert "question mark" in (moved.synchronise().warning or "")
    assert {path.name for path in tmp_path.iterdir()} == {"why?", "pairs.h5"}


def test_moved_study_is_told_apart(study: LittleStudy, made_study: Path) -> None:
    study.synchronise()
    moved = LittleStudy(study.results.rename(study.results.with_name("moved")))
    assert "delete mlflow.db" in (moved.synchronise().warning or "")
    # a new database in yet another place, because MLflow keeps deleted ones open as long as the process lives
    again = LittleStudy(moved.results.rename(study.results.with_name("again")))
    shutil.copy(made_study / "results" / "mlflow" / "mlflow.db", again.results / "mlflow")
    assert again.synchronise().n_mirrored == 2


def test_neither_patient_nor_user_nor_host_is_mirrored(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setattr("socket.gethostname", lambda: HOST)
    monkeypatch.setattr("sys.argv", [f"/home/{USER}/bin/ctmar"])
    study.synchronise()
    for run in [*study.stored("study"), *study.stored("run")]:
        assert not {"mlflow.user", "mlflow.host"} & set(run.data.tags)
        assert run.data.tags.get("mlflow.source.name", "equiproj: ctmar train") == "equiproj: ctmar train"
    written = [file for file in (study.results / "mlflow").rglob("*") if file.is_file()]
    assert len(written) >= 6
    for file in written:
        for name in (PATIENT, USER, HOST):
            assert name.encode() not in file.read_bytes(), file


def test_run_of_the_users_shell_is_not_written_to(study: LittleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    assert study.synchronise().n_mirrored == 2
    assert "MLFLOW_RUN_ID" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "slices.csv", "model.json", "examples.npz"])
def test_a_damaged_result_is_named_and_the_others_are_mirrored(study: LittleStudy, name: str) -> None:
    (study.runs[0].path / name).write_bytes(b"\xff damaged")
    summary = study.synchronise()
    assert list(summary.not_mirrored) == ["runs/dncnn/plain/seed-0"]
    assert summary.n_mirrored == 1


def test_a_folder_that_is_no_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the folder of a study's results, results/NAME, with its config"):
        Mirror(tmp_path).synchronise()


def test_a_training_that_waits_for_its_first_step_is_no_failure(begun_study: LittleStudy) -> None:
    summary = begun_study.synchronise()
    assert (summary.n_not_finished, summary.missing) == (2, "")
    with pytest.raises(InterruptedTrainingError):
        begun_study.train(0, interrupted=after_questions(0))
    assert begun_study.synchronise().n_not_finished == 2
    assert [run.info.status for run in begun_study.stored("run")] == ["KILLED"]
