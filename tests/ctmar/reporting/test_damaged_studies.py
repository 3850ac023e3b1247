"""Always a page: whatever is missing, damaged or not finite, there is one, it says what, and it makes nothing up."""

import json
import math
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.ctmar.reporting.conftest import NETWORK, planned, study_config, write_study
from tests.ctmar.reporting.test_page import MIXED, PENALTY, PLAIN, check_without_holes
from tests.ctmar.run_folders import PROVENANCE, description
from typer.testing import CliRunner

from ctmar.cli.app import app
from ctmar.config import Training
from ctmar.store.attempt_records import AttemptsFile, End, Granted, Start
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Divergence, Grid, RunOrigin
from ctmar.store.tables import read_rows, write_rows
from ctmar.store.writer import Writer

SETTINGS, SEEDS = [PLAIN, PENALTY, MIXED], [0, 1]
GONE = Writer(host="node7", machine="01234567", job="42", pid=1, started=1)


class Study:
    """A copy of a finished study that a test damages."""

    def __init__(self, root: Path) -> None:
        self.root, self.results, self.summary = root, root / "results", root / "results" / "summary"

    def run(self, setting: tuple = PENALTY, seed: int = 0) -> RunFolder:
        return RunFolder.of(self.results / "runs", planned(setting, seed))

    def start_again(self, setting: tuple, seed: int) -> RunFolder:
        """A training that began and left nothing yet."""
        folder, run = self.run(setting, seed), planned(setting, seed)
        shutil.rmtree(folder.path)
        folder.path.mkdir()
        grid = Grid(image_size=96, pixel_mm=3.0, preset=None)
        settings = {"run": run, "network": NETWORK, "training": Training(), "grid": grid, "provenance": PROVENANCE}
        folder.begin(RunOrigin(**settings), 1.0)
        return folder

    def attempt(self, *runs: tuple[tuple, int], outcome: str | None, message: str = "") -> None:
        names = [planned(*run).folder_name for run in runs]
        file = AttemptsFile(self.results / "jobs" / "dncnn-asymmetry-0-0.attempts.jsonl")
        file.append(Start(attempt="a", runs=names, granted=Granted(), writer=GONE, time="2026-11-28T15:00:00+0000"))
        if outcome:
            file.append(End(attempt="a", outcome=outcome, message=message, seconds=1.0))

    def change_config(self, **study: object) -> None:
        path = self.results / "config.yaml"
        values = yaml.safe_load(path.read_text())
        values["study"] |= study
        path.write_text(yaml.safe_dump(values))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(path: Path, column: str, value: str, row: int = 0) -> None:
    rows = read_rows(path, (column,))
    rows[row][column] = value
    write_rows(path, list(rows[0]), rows)


def perfect_image(study: Study) -> None:
    change(study.run().slices, "psnr_db", "inf", row=3)


def no_number(study: Study) -> None:
    change(study.run().slices, "ssim", "nan", row=3)


def validation_without_number(study: Study) -> None:
    for seed in SEEDS:
        folder = study.run(seed=seed)
        folder.write_epochs([epoch.model_copy(update={"validation_psnr": math.nan}) for epoch in folder.read_epochs()])


def no_validation_at_all(study: Study) -> None:
    for setting in SETTINGS:
        for seed in SEEDS:
            folder = study.run(setting, seed)
            epochs = [epoch.model_copy(update={"validation_psnr": math.nan}) for epoch in folder.read_epochs()]
            folder.write_epochs(epochs)


def without_plain(study: Study) -> None:
    for seed in SEEDS:
        shutil.rmtree(study.run(PLAIN, seed).path)


def many_never_run(study: Study) -> None:
    study.change_config(seeds=list(range(10)))


def another_configuration(study: Study) -> None:
    path = study.results / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"training": {"epochs": 3}}))


def diverged(study: Study) -> None:
    where = Divergence(step=7, where="loss", layer=None, loss=math.inf)
    facts = {"network": NETWORK, "diverged": where, "kept_epoch": None}
    study.run().write_divergence(description(run=planned(PENALTY, 0), **facts), {})


def killed(study: Study) -> None:
    study.start_again(PENALTY, 1)
    study.attempt((PENALTY, 1), outcome=None)


def failed(study: Study) -> None:
    study.start_again(MIXED, 0)
    shutil.rmtree(study.run(MIXED, 1).path)
    message = "/home/somebody/study/my_networks.py: expected a class"
    study.attempt((MIXED, 0), (MIXED, 1), outcome="error", message=message)


def out_of_memory(study: Study) -> None:
    study.start_again(MIXED, 0)
    study.attempt((MIXED, 0), outcome="out of memory", message="MemoryError")


def without_kernels(study: Study) -> None:
    for path in study.results.rglob("kernels.npz"):
        path.unlink()


def wrong_thumbnails(study: Study) -> None:
    np.savez(study.results / "data" / "thumbnails.npz", series=np.array(["a"]))


def infinite_cell(study: Study) -> None:
    change(study.summary / "models.csv", "psnr_db_mean", "inf")


def text_in_a_cell(study: Study) -> None:
    change(study.summary / "models.csv", "psnr_db_mean", "thirty")


def removed(*names: str) -> Callable[[Study], None]:
    def damage(study: Study) -> None:
        for name in names:
            path = study.results / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def cut(name: str) -> Callable[[Study], None]:
    return lambda study: cut_off(study.results / name)


def of_run(act: Callable[[Path], None], name: str) -> Callable[[Study], None]:
    return lambda study: act(getattr(study.run(), name))


REPORT, UNFINISHED = "report", "report-unfinished"
PENALTY_NAME = "Projection, Frobenius, λ⊥ = 10⁻²"
DAMAGES = {  # what is done to the study, by which command the page is made, what its banner says
    "a run is gone": (lambda study: shutil.rmtree(study.run().path), REPORT, "What training says of 1 run"),
    "its description is cut off": (
        of_run(cut_off, "run"),
        REPORT,
        f"1 run damaged, whose numbers are in the tables: runs/dncnn/{planned(PENALTY, 0).slug[6:]}",
    ),
    "examples of a model are gone": (
        of_run(Path.unlink, "examples"),
        REPORT,
        "1 run damaged, whose numbers are in the tables: expected examples.npz, found no such file",
    ),
    "examples of a model are cut off": (of_run(cut_off, "examples"), REPORT, "examples.npz: expected arrays"),
    "slices of a model are cut off": (of_run(cut_off, "slices"), REPORT, "slices.csv: "),
    "reference images are gone": (removed("references/examples.npz"), REPORT, "references/examples.npz"),
    "reference images are cut off": (
        cut("references/examples.npz"),
        REPORT,
        "references/examples.npz: expected arrays",
    ),
    "the table of models is gone": (
        removed("summary/models.csv"),
        REPORT,
        "Every comparison of models: summary/models.csv",
    ),
    "the table of models is cut off": (cut("summary/models.csv"), REPORT, "summary/models.csv: expected whole rows"),
    "a text in the table of models": (text_in_a_cell, REPORT, "summary/models.csv: expected numbers"),
    "infinity in the table of models": (infinite_cell, REPORT, ""),
    "the list of runs is gone": (removed("summary/runs.csv"), REPORT, "Of 6 planned runs, 6 are missing"),
    "learning curves are gone": (removed("summary/curves.csv"), REPORT, "Learning curves: summary/curves.csv"),
    "costs are gone": (removed("cost.csv"), REPORT, "The cost of a training step: cost.csv"),
    "claims are cut off": (cut("summary/claims.json"), REPORT, "The paper’s claims: summary/claims.json"),
    "thumbnails are cut off": (cut("data/thumbnails.npz"), REPORT, "Pictures of the series: data/thumbnails.npz"),
    "thumbnails of another kind": (wrong_thumbnails, REPORT, "data/thumbnails.npz: expected array(s) position"),
    "tables of the data are gone": (removed("data/catalogue.csv", "data/split.csv"), REPORT, "The series of the data"),
    "all tables are gone": (removed("summary"), REPORT, "Of 6 planned runs, 6 are missing"),
    "an infinite metric": (perfect_image, UNFINISHED, f"{PENALTY_NAME}, seed 0: PSNR on 1 of 12 test pairs"),
    "a metric without number": (no_number, UNFINISHED, f"{PENALTY_NAME}, seed 0: SSIM on 1 of 12 test pairs"),
    "a validation without number": (validation_without_number, UNFINISHED, f"{PENALTY_NAME}, seed 0: validation PSNR"),
    "no validation at all": (no_validation_at_all, UNFINISHED, "validation PSNR"),
    "no plain model": (without_plain, UNFINISHED, "2 runs not run: its job has not begun. Plain, seeds 0 and 1"),
    "many never run": (many_never_run, UNFINISHED, "Of 30 planned runs, 24 are missing"),
    "another configuration": (another_configuration, UNFINISHED, "trained by another configuration"),
    "a diverged run": (diverged, UNFINISHED, "1 run diverged"),
    "a killed run": (killed, UNFINISHED, f"1 run killed: its process ended without a word. {PENALTY_NAME}, seed 1"),
    "a failed run": (failed, UNFINISHED, "1 run failed: an error: my_networks.py: expected a class"),
    "a run without memory": (out_of_memory, UNFINISHED, "1 run failed: the memory did not suffice: MemoryError"),
    "slices that cannot be joined": (of_run(cut_off, "slices"), UNFINISHED, "slices.csv"),
    "kernels of every run are gone": (
        without_kernels,
        UNFINISHED,
        "none are missing from the numbers below. 6 runs damaged, whose numbers are in the tables: expected kernels",
    ),
    "no run at all": (removed("runs"), UNFINISHED, "Of 6 planned runs, 6 are missing"),
    "nothing but a configuration": (
        removed("runs", "summary", "references", "data", "cost.csv"),
        UNFINISHED,
        "Of 6 planned runs, 6 are missing",
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    write_study(root, SETTINGS, SEEDS)
    values = study_config(SETTINGS, SEEDS).model_dump(mode="json")
    (root / "results" / "config.yaml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Study:
    return Study(shutil.copytree(whole, tmp_path / "study"))


def made_page(study: Study, command: str) -> str:
    """The page that a command makes; it must end well and say nothing of a mistake of its own."""
    results, reports = str(study.results), study.root / "reports" / "a"
    options = [results, str(reports)]
    page = reports / "unfinished" / "index.html"
    if command == REPORT:
        page = reports / "index.html"
        cards = ["--model-card", str(reports / "model.md"), "--dataset-card", str(reports / "data.md")]
        described = ["--description", str(reports / "study.json")]
        options = [results, "--config", f"{results}/config.yaml", "--output", str(page), *cards, *described]
    done = CliRunner().invoke(app, [command, *options])
    assert done.exit_code == 0, "".join(traceback.format_exception(done.exception))
    return page.read_text(encoding="utf-8")


def banners(text: str) -> str:
    found = " ".join(re.findall(r'<aside class="banner".*?</aside>', text, re.DOTALL))
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", found)).replace("\xa0", " ")


@pytest.mark.parametrize("name", DAMAGES)
def test_whatever_is_damaged_there_is_a_page_that_says_so(study, name):
    damage, command, said = DAMAGES[name]
    damage(study)
    text = made_page(study, command)
    assert re.sub(r"\s+", " ", said) in banners(text)
    assert "a mistake of this program" not in banners(text)
    assert str(study.root) not in text
    assert "/home/" not in text
    below = re.sub(r'<aside class="banner".*?</aside>', "", text, flags=re.DOTALL)
    check_without_holes(below)
    assert ("This study is not finished" in text) == (command == UNFINISHED)
    if command == UNFINISHED:
        assert not (study.root / "reports" / "a" / "index.html").exists()
        listed = (study.root / "reports" / "index.html").read_text()
        assert '<a href="a/unfinished/index.html">' in listed
        assert "not finished" in listed


def test_a_whole_study_has_no_banner_and_its_report_removes_the_unfinished_page(study):
    assert banners(made_page(study, UNFINISHED)).startswith(" This study is not finished")
    assert json.loads((study.root / "reports" / "a" / "unfinished" / "study.json").read_text())["n_runs"] == 6
    assert banners(made_page(study, REPORT)) == ""
    assert not (study.root / "reports" / "a" / "unfinished").exists()


def test_without_a_plain_model_nothing_is_said_to_begin_there(study):
    without_plain(study)
    text = made_page(study, UNFINISHED)
    assert "this study has no plain training" in text.lower()
    assert "From plain training" not in text


def test_what_validation_cannot_prefer_is_not_called_preferred(study):
    no_validation_at_all(study)
    text = made_page(study, UNFINISHED)
    assert "the setting that validation prefers, reaches" not in text
    assert "No model with a projection penalty was trained" not in text
    assert "Projection, Frobenius" in text
