"""What one who watches sees of folders in every state, in words, and as a page."""

import json
import os
from pathlib import Path

import pytest
from tests.ctmar.run_folders import begin_run, epoch, finish_run

from ctmar.config import Config, Run, validate_section
from ctmar.config.optimisation import Training
from ctmar.errors import InputError
from ctmar.jobs.attempts import start_attempt
from ctmar.reporting import live_study
from ctmar.reporting.live_page import render_live_page
from ctmar.reporting.live_study import LiveStudy, Watcher
from ctmar.reporting.live_text import lines, one_line
from ctmar.store.attempt_records import AttemptsFile, Granted
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import hold_lock
from ctmar.store.run_records import Epoch

SEEDS = list(range(6))
TRAINING = {"epochs": 4, "steps_per_epoch": 10}


@pytest.fixture
def config() -> Config:
    study = {"networks": {"n": {}}, "seeds": SEEDS, "runs": [{"method": "plain"}], "name": "little"}
    return validate_section(Config, {"training": TRAINING, "study": study}, "test")


@pytest.fixture
def results(tmp_path, config) -> Path:
    """A study of which nothing has begun."""
    (tmp_path / "config.yaml").write_text(json.dumps(config.published()))
    return tmp_path


def run_of(seed: int) -> Run:
    return Run(network="n", method="plain", seed=seed)


def folder_of(results: Path, seed: int) -> RunFolder:
    return RunFolder.of(results / "runs", run_of(seed))


def epochs(n_epochs: int) -> list[Epoch]:
    return [
        epoch(epoch=n, step=10 * n, validation_psnr=30.0 + n, images_per_second=80.0) for n in range(1, n_epochs + 1)
    ]


def begin(results: Path, seed: int, n_epochs: int) -> None:
    begin_run(results, run_of(seed), epochs(n_epochs), 5.0, training=Training(**TRAINING))


def finish(results: Path, seed: int, took: float = 20.0) -> None:
    finish_run(results, run_of(seed), epochs(4), took, training=Training(**TRAINING))


def fail(results: Path, seeds: list[int], message: str) -> None:
    """The job of these runs ends in an error; the first of them had begun."""
    begin(results, seeds[0], 1)
    runs = [run_of(seed).folder_name for seed in seeds]
    start_attempt(AttemptsFile(results / "jobs" / "n-0.attempts.jsonl"), Granted(), runs).end("error", message)


def look(results: Path) -> LiveStudy:
    return Watcher(results, n_shown=8).look()


def test_without_a_configuration_there_is_nothing_to_watch(tmp_path):
    with pytest.raises(InputError, match=r"config.yaml: expected the configuration of a study"):
        look(tmp_path)


def test_a_study_that_has_not_begun_waits(results):
    study = look(results)
    assert (study.n_runs, study.n_over, study.n_waiting, study.is_done) == (6, 0, 6, False)
    assert study.seconds_left is None
    assert "nothing runs now; 6 runs to come" in one_line(study)


def test_every_state_is_seen_at_once(results):
    finish(results, 0)
    fail(results, [1, 2], "learning_rate: expected less")
    with hold_lock(folder_of(results, 3).lock):
        begin(results, 3, 2)
        study = look(results)
    assert (study.n_over, len(study.running), study.n_waiting, study.is_done) == (1, 1, 2, False)
    assert [one.run.seed for one in study.broken] == [1, 2]
    assert [one.planned.run.seed for one in study.over] == [0]
    text = "\n".join(lines(study, 200))
    assert "epoch 3 of 4, 80 images/s" in text
    assert "seed 1: failed, an error: learning_rate: expected less" in text
    assert "▁" in text


def test_the_end_is_told_from_the_pace_of_what_is_over(results):
    finish(results, 0, took=20.0)
    finish(results, 1, took=20.0)
    with hold_lock(folder_of(results, 2).lock):
        begin(results, 2, 2)
        study = look(results)
    # three whole runs and half of one, twenty seconds each
    assert study.seconds_left == pytest.approx(3.5 * 20.0, rel=0.05)
    assert "about 70 s left" in one_line(study) or "about 71 s left" in one_line(study)


def test_a_study_is_done_when_all_is_over(results):
    for seed in SEEDS:
        finish(results, seed)
    study = look(results)
    assert study.is_done
    assert not study.broken
    assert one_line(study) == "6 of 6 runs over: 6 finished; nothing is left to run"


def test_it_is_done_too_when_nothing_is_left_but_what_failed(results, monkeypatch):
    for seed in SEEDS[2:]:
        finish(results, seed)
    fail(results, [0, 1], "no good")
    assert look(results).is_done
    watcher = Watcher(results, n_shown=8)
    with hold_lock(folder_of(results, 0).lock):
        watcher.look()
    assert not watcher.look().is_done  # it ran just now: Snakemake may try again
    monkeypatch.setattr(live_study, "_SECONDS_OF_PARALLELISM", 0.0)
    assert watcher.look().is_done


def test_what_is_over_is_not_read_again_but_is_seen_to_be_gone_a_minute_later(results, monkeypatch):
    finish(results, 0)
    watcher = Watcher(results, n_shown=8)
    assert watcher.look().n_over == 1
    folder_of(results, 0).run.unlink()
    assert watcher.look().n_over == 1
    monkeypatch.setattr(live_study, "_SECONDS_BETWEEN_WHOLE_LOOKS", 0.0)
    assert watcher.look().n_over == 0


def test_another_configuration_is_another_study(results, config):
    watcher = Watcher(results, n_shown=8)
    assert watcher.look().n_runs == 6
    changed = config.published()
    changed["study"]["seeds"] = [0, 1]
    (results / "config.yaml").write_text(json.dumps(changed))
    os.utime(results / "config.yaml", (1, 1))
    assert watcher.look().n_runs == 2


def test_looking_leaves_no_trace(results):
    finish(results, 0)
    with hold_lock(folder_of(results, 3).lock):
        begin(results, 3, 2)
        before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
        look(results)
        assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


def test_no_line_is_wider_than_the_terminal(results):
    fail(results, [1, 2], "long " * 100)
    assert max(map(len, lines(look(results), 60))) <= 60


def test_the_page_shows_itself_anew_until_the_study_is_done(results):
    finish(results, 0)
    fail(results, [1, 2], "<script>alert(1)</script>")
    html = render_live_page(look(results), every=5.0)
    assert "location.reload()" in html
    assert 'content="5"' in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert html.count('class="spark"') == 1
    for seed in SEEDS:
        finish(results, seed)
    html = render_live_page(look(results), every=5.0)
    assert "location.reload()" not in html
    assert 'http-equiv="refresh"' not in html
    assert "It is done." in html
