"""The workflow from any folder, and after everything has been moved."""

import re
from pathlib import Path

import pytest
import yaml
from tests.workflow.as_typed import REPOSITORY, run, run_again
from tests.workflow.planned import jobs_planned

from ctmar.config import load_config

pytestmark = pytest.mark.workflow
TINY = yaml.safe_load(Path(__file__).with_name("d4.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", sorted(path.stem for path in (REPOSITORY / "config").glob("*.yaml")))
def test_every_job_of_every_study_is_planned_from_a_folder_of_the_users(tmp_path, study):
    file = REPOSITORY / "config" / f"{study}.yaml"
    chosen = () if study == "config" else ("--configfile", file)
    snakefile = REPOSITORY / ("workflow/Snakefile" if study == "config" else "Snakefile")
    where = ("-s", snakefile, "--directory", tmp_path / "my results")
    done = run(tmp_path, *where, "--dry-run", "--printshellcmds", *chosen)
    assert done.returncode == 0, done.stderr
    jobs = jobs_planned(done.stdout)
    assert jobs["train"] == len(load_config(file).study.jobs())
    assert jobs["report"] == 1
    assert f"reports/{study}/index.html" in done.stdout
    manifests = re.findall(r"ctmar idc-download (\S+)", done.stdout)
    assert manifests == ([] if study == "config" else [str(REPOSITORY / "config" / f"idc_{study}.csv")])


def test_a_relative_configuration_is_found_where_snakemake_was_called(tmp_path):
    (tmp_path / "studies").mkdir()
    study = {**TINY, "source": {"kind": "idc", "manifest": "list.csv"}}
    (tmp_path / "studies" / "mine.yaml").write_text(yaml.safe_dump(study))
    (tmp_path / "studies" / "list.csv").write_text("x")
    where = ("-s", REPOSITORY / "Snakefile", "--directory", "elsewhere")
    done = run(tmp_path, *where, "--configfile", "studies/mine.yaml", "--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stderr
    assert f"ctmar idc-download {tmp_path}/studies/list.csv " in done.stdout


@pytest.mark.parametrize(
    ("section", "values", "names"),
    [
        ("source", {"kind": "idc", "manifest": "no.csv"}, "source.manifest: "),
        ("ingest", {"salt_file": "no salt"}, "ingest.salt_file: "),
        (
            "study",
            {"networks": {"a": {"weights": "no.pt"}}, "runs": [{"method": "plain"}]},
            "study.networks.a.weights: ",
        ),
    ],
)
def test_a_file_that_is_missing_is_named_before_anything_is_planned(tmp_path, section, values, names):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**TINY, section: values}))
    done = run(tmp_path, "-s", REPOSITORY / "Snakefile", "--configfile", "mine.yaml", "--dry-run")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"equiproj: {names}{tmp_path}/")]
    assert len(lines) == 1, done.stderr


# Moved


def finish(folder: Path, *arguments: str | Path) -> None:
    """Let Snakemake believe that all was made: empty files, and its own record of them."""
    planned = run(folder, *arguments, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    outputs = [
        path for line in re.findall(r"^ +output: (.*)$", planned.stdout, re.MULTILINE) for path in line.split(", ")
    ]
    for path in outputs:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).mkdir() if path.endswith(("packages", "inputs", "/paper")) else (folder / path).write_text("x")
    touched = run(folder, *arguments, "--touch", "--forceall")
    assert touched.returncode == 0, touched.stderr


def with_files(study: dict, folder: Path) -> Path:
    """A study that names a file of each kind, all of them beside it."""
    folder.mkdir(parents=True)
    (folder / "salt").write_text("a secret")
    (folder / "start.pt").write_text("weights")
    (folder / "mine_too.py").write_text("def mean(prediction, truth, metal):\n    return float(prediction.mean())\n")
    networks = {"dncnn": {**TINY["study"]["networks"]["dncnn"], "weights": "start.pt"}}
    study = {
        **TINY,
        "extensions": ["mine_too.py"],
        "evaluation": {"metrics": ["mine_too:mean"]},
        "ingest": {**TINY["ingest"], "salt_file": "salt"},
        "study": {**TINY["study"], "networks": networks},
        **study,
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(study))
    return folder / "mine.yaml"


def test_a_configuration_that_moves_with_its_files_runs_nothing_again(tmp_path):
    workflow = ("-s", REPOSITORY / "Snakefile", "--configfile")
    work = tmp_path / "work"
    work.mkdir()
    before = with_files({}, tmp_path / "before")
    finish(work, *workflow, before)
    assert run_again(work, *workflow, before) == set()
    after = before.parent.rename(tmp_path / "after and with blanks") / "mine.yaml"
    assert run_again(work, *workflow, after) == set()
    (after.parent / "start.pt").write_text("other weights")
    assert "train" in run_again(work, *workflow, after)


def test_a_working_directory_that_moves_with_its_data_runs_nothing_again(tmp_path):
    work = tmp_path / "work"
    own = {"source": {"kind": "dicom_dir", "folder": "../CT"}, "split": {}}
    masks = {"masks": "folder", "mask_folder": "../masks", "masks_per_slice": {"train": 1, "validation": 1, "test": 1}}
    study = with_files({**own, "simulation": masks}, work / "config")
    for name in ("CT", "masks"):
        (work / name).mkdir()
    workflow = ("-s", REPOSITORY / "Snakefile", "--configfile", study.relative_to(work))
    finish(work, *workflow)
    moved = work.rename(tmp_path / "moved")
    assert run_again(moved, *workflow) == set()
    (moved / "CT").rename(moved / "other CT")
    changed = (moved / "config" / "mine.yaml").read_text().replace("../CT", "../other CT")
    (moved / "config" / "mine.yaml").write_text(changed)
    assert "ingest" in run_again(moved, *workflow)
