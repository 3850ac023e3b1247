"""A finished study with the files of the workflow in their places, really trained, and one of a hospital's own CT."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ctmar.bundles.study_provenance import describe_study, write_study_provenance
from ctmar.config import Config, Job, load_config
from ctmar.datasets.split import COLUMNS
from ctmar.evaluation.collect import collect
from ctmar.evaluation.references import evaluate_references
from ctmar.jobs.one_run import JobFiles, Work
from ctmar.jobs.study_job import run_job
from ctmar.store.provenance import write_checksums
from ctmar.store.tables import write_rows

CONFIG = {
    "source": {"kind": "package"},
    "training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2, "patch_size": 16},
    "study": {
        "name": "tiny",
        "networks": {"dncnn": {"architecture": "dncnn", "settings": {"fields": 1, "depth": 2}}},
        "seeds": [0, 1],
        "runs": [{"method": "plain"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1]}],
    },
    "evaluation": {"defect_slices": 1, "examples": 1, "defect_angles_deg": [45.0]},
    "judgement": {"primary": [{"method": "projection", "against": "plain"}]},
}
SUBSETS = {"train": "patient-0", "validation": "patient-1", "test": "patient-2"}


@dataclass(frozen=True)
class FinishedStudy:
    """Where a study is: ``root`` holds results/tiny and reports/tiny."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results" / "tiny"

    @property
    def reports(self) -> Path:
        return self.root / "reports" / "tiny"

    @property
    def config(self) -> Config:
        return load_config(self.results / "config.yaml")

    def summarise(self) -> None:
        """Make the tables of the summary again."""
        folders = sorted(path.parent for path in (self.results / "runs").rglob("run.json"))
        references, cost = self.results / "references" / "slices.csv", self.results / "cost.csv"
        collect(folders, references, cost, self.config.judgement, self.results / "summary")

    def finish(self) -> None:
        """Write the lists of checksums and the provenance again, after a test has changed files."""
        for job, runs in self.config.study.jobs().items():
            folders = [self.results / "runs" / run.slug / f"seed-{run.seed}" for run in runs]
            files = [path for folder in folders for path in sorted(folder.iterdir())]
            write_checksums(self.results / "jobs" / f"{job}.sha256", self.results / "runs", files)
        record = describe_study(self.results, self.config, self.reports)
        write_study_provenance(record, self.results / "provenance.json")


def train_everything(study: FinishedStudy, pairs: Path) -> None:
    config = study.config
    for job, runs in config.study.jobs().items():
        work = Job(runs=runs, network=config.study.networks["dncnn"], group=config.study.group)
        finished = study.results / "jobs" / f"{job}.sha256"
        files = JobFiles(pairs, study.results / "data" / "split.csv", None, study.results / "runs", finished)
        run_job(Work(files, work, config.training, config.evaluation))


def write_tables(study: FinishedStudy) -> None:
    """What the workflow has of the data, the report and the costs."""
    data = study.results / "data"
    write_rows(
        data / "split.csv",
        COLUMNS,
        [{"fold": 0, "patient": patient, "subset": subset, "n_slices": 1} for subset, patient in SUBSETS.items()],
    )
    (data / "catalogue.csv").write_text("patient,series\npatient-0,1\npatient-1,1\npatient-2,1\n")
    (data / "quarantine.csv").write_text("file,reason,remedy\n")
    (data / "thumbnails.npz").write_bytes(b"pictures")
    study.reports.mkdir(parents=True)
    for name in ("index.html", "model_card.md", "dataset_card.md"):
        (study.reports / name).write_text(f"<p>{name} of patient-2</p>\n")
    columns = ("network", "method", "norm", "ratio_to_plain", "ratio_low", "ratio_high", "penalty_milliseconds")
    columns += ("n_parameters", "step_memory_mb", "ratio_coverage", "n_repeats")
    costs = {"plain": 1.0, "projection": 1.1}
    write_rows(
        study.results / "cost.csv",
        columns,
        [
            dict(zip(columns, ("dncnn", method, norm, *3 * (costs[method],), 1.0, 100, 10.0, 0.96, 9), strict=True))
            for method, norm in (("plain", "none"), ("projection", "frobenius"))
        ],
    )
    inputs = study.results / "inputs"
    inputs.mkdir()
    (inputs / "ctmar-sources.json").write_text("[]\n")
    (study.results / "data.sha256").write_text("")


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory, write_pair_file: Callable[..., Path]) -> FinishedStudy:
    """A finished study; tests must not write into it."""
    study = FinishedStudy(tmp_path_factory.mktemp("a study") / "Jörg's work")
    study.results.mkdir(parents=True)
    (study.results / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    write_tables(study)
    pairs = study.root / "pairs"
    pairs.mkdir()
    for seed, subset in enumerate(SUBSETS):
        write_pair_file(pairs / f"{subset}.h5", seed=seed)
    train_everything(study, pairs)
    evaluate_references(pairs / "test.h5", study.config.evaluation, study.results / "references", [["patient-2"]])
    shutil.rmtree(pairs)
    study.summarise()
    study.finish()
    return study


@pytest.fixture
def own_study(tiny_study: FinishedStudy, tmp_path: Path) -> FinishedStudy:
    """The same study as if of DICOM of a hospital's own: patients are pseudonyms; a test may change it."""
    study = FinishedStudy(tmp_path / "own")
    shutil.copytree(tiny_study.root, study.root)
    for path in study.root.rglob("*"):
        if path.suffix in (".csv", ".json", ".jsonl", ".html", ".md"):
            path.write_text(re.sub(r"patient-(\d)", lambda found: pseudonym_of(found.group(1)), path.read_text()))
    config = CONFIG | {"source": {"kind": "dicom_dir", "folder": "/somebody's/dicom", "licence": "none given"}}
    (study.results / "config.yaml").write_text(json.dumps(config))
    study.finish()
    return study


@pytest.fixture
def copied(tiny_study: FinishedStudy, tmp_path: Path) -> FinishedStudy:
    """A copy that a test may change."""
    study = FinishedStudy(tmp_path / "copy")
    shutil.copytree(tiny_study.root, study.root)
    return study


def pseudonym_of(number: str) -> str:
    return f"p-{hashlib.sha256(number.encode()).hexdigest()[:16]}"
