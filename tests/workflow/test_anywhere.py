"""The workflow from any folder, as a module of another, and after everything has been moved."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).resolve().parents[2]
TINY = yaml.safe_load(Path(__file__).with_name("d4.yaml").read_text(encoding="utf-8"))
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run() -> Run:
    """Snakemake in a folder, as typed there."""

    def in_folder(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY / "src")}
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            "--workflow-profile",
            "none",
            "--scheduler",
            "greedy",
            *map(str, arguments),
        ]
        return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, timeout=1200)

    return in_folder


@pytest.mark.parametrize(
    ("snakefile", "study"),
    [
        ("Snakefile", "config"),
        ("workflow/Snakefile", "config"),
        ("Snakefile", "workstation"),
        ("workflow/Snakefile", "paper"),
    ],
)
def test_every_study_is_planned_from_a_folder_of_the_users(run, tmp_path, snakefile, study):
    chosen = () if study == "config" else ("--configfile", REPOSITORY / "config" / f"{study}.yaml")
    results = tmp_path / "my results"
    done = run(tmp_path, "-s", REPOSITORY / snakefile, "--directory", results, "--dry-run", "--printshellcmds", *chosen)
    assert done.returncode == 0, done.stderr
    assert f"reports/{study}/index.html" in done.stdout
    manifests = re.findall(r"ctmar idc-download (\S+)", done.stdout)
    assert manifests == ([] if study == "config" else [str(REPOSITORY / "config" / f"idc_{study}.csv")])


def test_a_relative_configuration_is_found_where_snakemake_was_called(run, tmp_path):
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
def test_a_file_that_is_missing_is_named_before_anything_is_planned(run, tmp_path, section, values, names):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**TINY, section: values}))
    done = run(tmp_path, "-s", REPOSITORY / "Snakefile", "--configfile", "mine.yaml", "--dry-run")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"equiproj: {names}{tmp_path}/")]
    assert len(lines) == 1, done.stderr


# Moved


def finish(run: Run, folder: Path, *arguments: str | Path) -> None:
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


def again(run: Run, folder: Path, *arguments: str | Path) -> set[str]:
    """The rules that Snakemake would run again."""
    done = run(folder, *arguments, "--dry-run")
    assert done.returncode == 0, done.stderr
    rules = set(re.findall(r"^(\w+) +\d+$", done.stdout, re.MULTILINE)) - {"total"}
    assert rules or "Nothing to be done" in done.stdout + done.stderr
    return rules


def test_a_configuration_that_moves_with_its_files_runs_nothing_again(run, tmp_path):
    workflow = ("-s", REPOSITORY / "Snakefile", "--configfile")
    work = tmp_path / "work"
    work.mkdir()
    before = with_files({}, tmp_path / "before")
    finish(run, work, *workflow, before)
    assert again(run, work, *workflow, before) == set()
    after = before.parent.rename(tmp_path / "after and with blanks") / "mine.yaml"
    assert again(run, work, *workflow, after) == set()
    (after.parent / "start.pt").write_text("other weights")
    assert "train" in again(run, work, *workflow, after)


def test_a_working_directory_that_moves_with_its_data_runs_nothing_again(run, tmp_path):
    work = tmp_path / "work"
    own = {"source": {"kind": "dicom_dir", "folder": "../CT"}, "split": {}}
    masks = {"masks": "folder", "mask_folder": "../masks", "masks_per_slice": {"train": 1, "validation": 1, "test": 1}}
    study = with_files({**own, "simulation": masks}, work / "config")
    for name in ("CT", "masks"):
        (work / name).mkdir()
    workflow = ("-s", REPOSITORY / "Snakefile", "--configfile", study.relative_to(work))
    finish(run, work, *workflow)
    moved = work.rename(tmp_path / "moved")
    assert again(run, moved, *workflow) == set()
    (moved / "CT").rename(moved / "other CT")
    changed = (moved / "config" / "mine.yaml").read_text().replace("../CT", "../other CT")
    (moved / "config" / "mine.yaml").write_text(changed)
    assert "ingest" in again(run, moved, *workflow)


# As a module of another workflow


def workflow_of(folder: Path, **copies: str) -> Path:
    """A workflow that takes ours in once for each prefix, and asks for what every copy makes."""
    modules = [
        f"""
module {name}:
    snakefile: {str(REPOSITORY / "workflow" / "Snakefile")!r}
    prefix: {prefix!r}
    config: config
use rule * from {name} as {name}_*
"""
        for name, prefix in copies.items()
    ]
    targets = ", ".join(f"rules.{name}_all.input" for name in copies)
    text = f"""configfile: "own/mine.yaml"
{"".join(modules)}
rule everything:
    default_target: True
    input: {targets}
"""
    (folder / "Snakefile").write_text(text)
    return folder / "Snakefile"


def test_two_copies_side_by_side_run_to_their_reports_each_below_its_prefix(run, finished_study, tmp_path):
    folder = tmp_path / "a folder of mine"
    with_files({"study": TINY["study"]}, folder / "own")  # its weights would have to be real
    workflow_of(folder, first="one/first", second="second")
    for prefix in ("one/first", "second"):
        (folder / prefix / "resources").mkdir(parents=True)
        (folder / prefix / "resources" / "packages").symlink_to(finished_study / "resources" / "packages")
    done = run(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    made = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert made == {"Snakefile", ".snakemake", "own", "one", "second"}
    for prefix in ("one/first", "second"):
        below = folder / prefix
        assert {path.name for path in below.iterdir()} == {"benchmarks", "logs", "reports", "resources", "results"}
        page = (below / "reports" / "mine" / "index.html").read_text()
        assert "Let G = D4 be the group of the study, the turns by 90° and the mirror images." in page
        (strict,) = below.glob("results/mine/runs/*/strict/*/model.json")
        assert json.loads(strict.read_text())["defect_max"] < 1e-5  # over all eight elements
        assert (below / "results" / "mine" / "mlflow" / "synchronised.json").is_file()
    (folder / "second" / "results" / "mine" / "kernels.json").write_text("{}")
    assert again(run, folder) == {"everything", "second_report", "second_paper", "second_provenance"}
