"""Rows of runs: what sets each apart, and what its folder, its job and the mirror know of it."""

import time
from datetime import datetime
from pathlib import Path

import pytest
from tests.ctmar.run_folders import epoch, finish_run

from ctmar.config import Config, Run, validate_section
from ctmar.reporting.run_rows import RunRow, run_rows, settings_of_all
from ctmar.store.attempt_records import AttemptsFile, End, Granted, Start
from ctmar.store.mirrored_runs import read_mirrored, write_mirrored
from ctmar.store.planned_runs import planned_runs
from ctmar.store.provenance import sha256_of, write_checksums
from ctmar.store.run_folder import RunFolder
from ctmar.store.writer import this_writer

RUNS = [
    {"method": "plain", "start": ["drawn"]},
    {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1, 1.0], "start": ["drawn"], "asymmetry": [0.4]},
]


@pytest.fixture
def config() -> Config:
    return validate_section(Config, {"study": {"networks": {"n": {}}, "seeds": [3], "runs": RUNS, "name": "s"}}, "test")


def rows(results: Path, config: Config) -> list[RunRow]:
    return run_rows(planned_runs(results, config), results, config)


def finish(results: Path, run: Run, seconds_ago: float = 3.0) -> RunFolder:
    return finish_run(results, run, [epoch(validation_psnr=31.5, loss=0.25)], seconds_ago, seconds_total=12.5)


def test_a_row_says_what_not_every_run_has(tmp_path, config):
    found = rows(tmp_path, config)
    assert settings_of_all([row.planned for row in found]) == ["drawn start"]
    assert [row.settings for row in found] == [
        [],
        ["λ⊥\xa0=\xa010⁻¹", "ε\xa0=\xa00.4"],
        ["λ⊥\xa0=\xa01", "ε\xa0=\xa00.4"],
    ]
    assert found[1].name == "Projection, Frobenius, λ⊥\xa0=\xa010⁻¹, ε\xa0=\xa00.4"


def test_what_nobody_knows_is_empty(tmp_path, config):
    facts = rows(tmp_path, config)[0].facts
    assert facts["state"] == "not run"
    unknown = ("validation_psnr", "loss", "seconds_total", "gpu_kj")
    assert [facts[name] for name in unknown] == [None] * 4
    assert {facts[name] for name in ("hardware", "mlflow_run_id", "log", "weights", "weights_sha256")} == {""}


def test_a_finished_run_names_its_files_by_digest_its_log_and_its_mirror(tmp_path, config):
    run = config.study.expand()[1]
    folder = finish(tmp_path, run)
    attempts = AttemptsFile(tmp_path / "jobs" / "n-asymmetry-0.4-0.attempts.jsonl")
    start = Start(attempt="a", runs=[run.folder_name], granted=Granted(), writer=this_writer(), time=stamp(-5))
    attempts.append(start)
    attempts.append(End(attempt="a", outcome="finished", message="", seconds=1.0))
    write_checksums(tmp_path / "jobs" / "n-asymmetry-0.4-0.sha256", tmp_path / "runs", folder.results)
    write_mirrored(tmp_path, {run.folder_name: "0123abc"})
    row = rows(tmp_path, config)[1]
    assert row.planned.state == "finished"
    assert row.log == "logs/s/train/n-asymmetry-0.4-0.log"
    assert row.weights == f"results/s/runs/{run.folder_name}/weights.pt"
    assert row.weights_sha256 == sha256_of(folder.weights)
    assert row.short_sha256 == row.weights_sha256[:12]
    assert row.mlflow_run_id == "0123abc"
    assert (row.facts["validation_psnr"], row.facts["loss"], row.facts["seconds_total"]) == (31.5, 0.25, 12.5)
    assert row.hardware == "CPU with AVX2, 1 thread"
    assert row.resumed == 0


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds).astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")


@pytest.mark.parametrize(
    ("begun", "attempts", "resumed"), [(-100, [-110], 0), (-100, [-110, -50, -20], 2), (-10, [-110, -50], 0)]
)
def test_a_run_was_resumed_as_often_as_an_attempt_began_within_it(tmp_path, config, begun, attempts, resumed):
    run = config.study.expand()[0]
    finish(tmp_path, run, -begun)
    file = AttemptsFile(tmp_path / "jobs" / "n-0.attempts.jsonl")
    for seconds in attempts:
        name = f"{seconds}"
        file.append(
            Start(attempt=name, runs=[run.folder_name], granted=Granted(), writer=this_writer(), time=stamp(seconds))
        )
        file.append(End(attempt=name, outcome="stopped", message="", seconds=1.0))
    assert rows(tmp_path, config)[0].resumed == resumed


def test_what_a_killed_run_would_go_on_from_is_named(tmp_path, config):
    run = config.study.expand()[0]
    folder = finish(tmp_path, run)
    folder.run.unlink()
    folder.checkpoint.touch()
    row = rows(tmp_path, config)[0]
    assert row.planned.state == "killed"
    assert row.weights.endswith("seed-3/checkpoint.pt")
    assert row.weights_sha256 == ""


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", '{"a": 3}'])
def test_a_broken_note_of_the_mirror_is_no_error(tmp_path, text):
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "runs.json").write_text(text)
    assert read_mirrored(tmp_path) == {}


def test_a_broken_list_of_digests_hides_no_run(tmp_path, config):
    finish(tmp_path, config.study.expand()[0])
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "n-0.sha256").write_text("not a digest\n")
    assert rows(tmp_path, config)[0].weights_sha256 == ""
