"""A small study, really trained and measured, and its mirror read back with MLflow's own client."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun

from ctmar.config import Config, Run, RunSettings
from ctmar.evaluation.measured_run import evaluate_run
from ctmar.evaluation.references import evaluate_references
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.run_folder import RunFolder
from ctmar.tracking.connection import connect
from ctmar.tracking.mirror import Mirror
from ctmar.tracking.mirror_summary import Summary
from ctmar.training.loop import train

PATIENT = "canary-patient"
VALUES = {
    "study": {
        "name": "little",
        "seeds": [0, 1],
        "runs": [{"method": "plain"}],
        "networks": {"dncnn": {"settings": {"fields": 1, "depth": 2}}},
    },
    "training": {"epochs": 2, "steps_per_epoch": 2, "batch_size": 1, "patch_size": 16, "validation_pairs": 1},
    "evaluation": {"examples": 1},
}
CONFIG = Config.model_validate(VALUES)


def train_run(pairs: Path, folder: RunFolder, run: Run, config: Config = CONFIG, **options: object) -> None:
    """One run as a job of the study trains it."""
    settings = RunSettings(run=run, network=config.study.networks["dncnn"], training=config.training)
    train(pairs, pairs, settings, folder, **options)


class LittleStudy:
    """One study in its own folder."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.pairs = results.parent / "pairs.h5"
        self.runs = [RunFolder(results / "runs" / run.slug / f"seed-{run.seed}") for run in CONFIG.study.expand()]

    def configure(self, **sections: dict) -> Config:
        """Write the configuration, sections changed as named."""
        values = {**VALUES, **{name: VALUES.get(name, {}) | section for name, section in sections.items()}}
        config = Config.model_validate(values)
        (self.results / "config.yaml").write_text(json.dumps(config.published()))
        return config

    def train(self, seed: int, config: Config = CONFIG, **options: object) -> RunFolder:
        """Train and measure a run."""
        train_run(self.pairs, self.runs[seed], config.study.expand()[seed], config, **options)
        evaluate_run(self.runs[seed], self.pairs, config.evaluation)
        return self.runs[seed]

    def synchronise(self) -> Summary:
        """What `ctmar sync` does."""
        return Mirror(self.results).synchronise()

    @property
    def client(self) -> MlflowClient:
        """A client of the study's own database."""
        return MlflowClient(f"sqlite:///{self.results / 'mlflow' / 'mlflow.db'}")

    def stored(self, kind: str, state: str = "current") -> list[StoredRun]:
        """Runs of a kind, by seed."""
        return stored(self.client, kind, state)

    def history(self, run: StoredRun, name: str = "training/loss") -> list[tuple[int, float]]:
        """The points of a metric."""
        return [(metric.step, metric.value) for metric in self.client.get_metric_history(run.info.run_id, name)]


def stored(client: MlflowClient, kind: str, state: str = "current") -> list[StoredRun]:
    """Runs of a kind, by seed."""
    experiment = client.get_experiment_by_name("equiproj")
    wanted = f"tags.`workflow.kind` = '{kind}' AND tags.`workflow.state` = '{state}'"
    found = client.search_runs([experiment.experiment_id], wanted)
    return sorted(found, key=lambda run: (run.data.params["seed"], run.info.start_time))


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a study of two runs, and an empty database, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    images = [random.uniform(0.1, 0.3, (32, 32)).astype(np.float32) for _ in range(5)]
    mask = np.zeros((32, 32), np.uint8)
    mask[10:12, 10:13] = 1
    slices = [SliceRecord(images[0], images[1], PATIENT, f"{PATIENT}/1/0000", 1.0)]
    pairs = [PairRecord(images[2], images[3], mask, 0, k, "titanium") for k in range(2)]
    write_pairs(folder / "pairs.h5", slices, pairs, "test", {})
    (folder / "results").mkdir()
    study = LittleStudy(folder / "results")
    study.configure()
    for seed in (0, 1):
        study.train(seed)
    evaluate_references(study.pairs, CONFIG.evaluation, study.results / "references")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        connect(study.results / "mlflow")
    return folder


@pytest.fixture
def study(made_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LittleStudy:
    """A finished study that is not mirrored."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(made_study, tmp_path, dirs_exist_ok=True)
    return LittleStudy(tmp_path / "results")


@pytest.fixture
def begun_study(study: LittleStudy) -> LittleStudy:
    """The same, of which nothing is trained yet."""
    shutil.rmtree(study.results / "runs")
    return study


Stop = Callable[[], bool]


def after_questions(n_questions: int) -> Stop:
    """Asks a training to stop at the n-th question: one for each step and each validation pair."""
    left = iter(range(n_questions))
    return lambda: next(left, None) is None
