"""`ctmar compare`: what was changed is told and nothing else, errors name the folder, no patient is named."""

import json
import math
from pathlib import Path

import pytest
from tests.ctmar.bundles.conftest import FinishedStudy
from typer.testing import CliRunner

from ctmar.bundles.study_comparison import compare_finished_studies
from ctmar.cli import app
from ctmar.errors import InputError
from ctmar.reporting.comparison_page import answer, render_comparison
from ctmar.store.tables import read_rows, write_rows


def compare(one: Path, other: Path, output: Path) -> str:
    done = CliRunner().invoke(app, ["compare", str(one), str(other), "--output", str(output)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.output.split())


def change(study: FinishedStudy) -> None:
    """Other numbers of one setting, another training, machine and verdict."""
    for seed in (0, 1):
        path = study.results / f"runs/dncnn/plain/seed-{seed}/slices.csv"
        rows = read_rows(path, ("psnr_db",))
        write_rows(path, list(rows[0]), [row | {"psnr_db": str(float(row["psnr_db"]) + 0.5)} for row in rows])
    path = study.results / "summary/questions.json"
    questions = json.loads(path.read_text())
    questions[0] |= {"verdict": "agrees", "role": "primary", "measured": "<b>much</b>"}
    path.write_text(json.dumps(questions))
    path = study.results / "provenance.json"
    record = json.loads(path.read_text())
    record["configuration"]["published"]["training"]["epochs"] = 7
    record["hardware"]["cores"] = 99
    record["data"]["pairs/x/test.h5"] = "ab" * 32
    path.write_text(json.dumps(record))


def test_identical_studies_differ_by_nothing(tiny_study, tmp_path):
    said = compare(tiny_study.results, tiny_study.results, tmp_path / "out")
    assert said.startswith("The two studies share 2 settings; ")
    assert "no verdict changed of " in said
    assert read_rows(tmp_path / "out/origins.csv", ("area", "name", "a", "b")) == []
    assert {float(row["psnr_diff_db_mean"]) for row in read_rows(tmp_path / "out/settings.csv", ())} == {0.0}
    assert read_rows(tmp_path / "out/only.csv", ("study", "why")) == []
    page = (tmp_path / "out/index.html").read_text()
    assert "Configuration, code, environment, machine, trainings and data are the same." in page
    assert "patient-2" not in page


def test_what_was_changed_is_told_and_nothing_else(tiny_study, copied, tmp_path):
    change(copied)
    said = compare(tiny_study.results, copied.results, tmp_path / "out")
    found = {(row["area"], row["name"], row["b"]) for row in read_rows(tmp_path / "out/origins.csv", ())}
    assert found == {
        ("configuration", "training.epochs", "7"),
        ("machine", "cores", "99"),
        ("data", "pairs/x/test.h5", "ab" * 32),
    }
    gained = {row["method"]: row for row in read_rows(tmp_path / "out/settings.csv", ())}
    assert float(gained["plain"]["psnr_diff_db_mean"]) == pytest.approx(0.5)
    assert float(gained["projection"]["psnr_diff_db_mean"]) == 0.0
    changed = [row for row in read_rows(tmp_path / "out/verdicts.csv", ()) if row["verdict_a"] != row["verdict_b"]]
    (verdict,) = changed
    assert verdict["verdict_b"] == "agrees"
    claim = verdict["claim"].rstrip(".")
    assert f"changed: {claim} (from {verdict['verdict_a']} to agrees)." in said
    page = (tmp_path / "out/index.html").read_text()
    assert "&lt;b&gt;much&lt;/b&gt;" in page
    assert "training.epochs" in page
    compare(tiny_study.results, copied.results, tmp_path / "out")  # it takes the place of its own folder
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[0] == "index.html"


def test_studies_without_a_common_patient_say_so_and_name_none(tiny_study, own_study):
    found = compare_finished_studies(tiny_study.results, own_study.results)
    assert all(math.isnan(row["psnr_diff_db_mean"]) for row in found.settings)
    assert "no difference can be paired" in answer(found)
    page = render_comparison(found)
    assert "somebody" not in page
    assert "p-" + own_study.results.name not in page
    for patient in ("patient-2", *(row["patient"] for row in read_rows(own_study.results / "data/split.csv", ()))):
        assert patient not in page


def test_errors_name_what_is_no_finished_study(tiny_study, copied, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: expected the results of a study"):
        compare_finished_studies(tiny_study.results, tmp_path / "nowhere")
    (copied.results / "config.yaml").write_text("study: {name: tiny}")
    with pytest.raises(InputError, match=r"expected a finished study, found a provenance.json of another config.yaml"):
        compare_finished_studies(copied.results, tiny_study.results)
    (copied.results / "provenance.json").unlink()
    with pytest.raises(InputError, match=r"provenance.json: expected what `ctmar provenance` writes"):
        compare_finished_studies(copied.results, tiny_study.results)


@pytest.mark.parametrize("missing", ["summary/claims.json", "runs/dncnn/plain/seed-1/run.json"])
def test_a_missing_file_is_named(tiny_study, copied, missing):
    (copied.results / missing).unlink()
    with pytest.raises(InputError, match=Path(missing).name):
        compare_finished_studies(tiny_study.results, copied.results)


def test_a_folder_of_somebody_else_stays(tiny_study, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    arguments = ["compare", str(tiny_study.results), str(tiny_study.results), "--output", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "mine.txt").read_text() == "precious"
