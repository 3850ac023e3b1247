"""A study as MLflow holds it: what is there, and the few ways in which it is changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctmar.tracking.model import log_model
from ctmar.tracking.parameters import cut
from ctmar.tracking.run_state import MirroredEpoch, RunState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric
    from mlflow.entities import Run as StoredRun

KEY, STUDY, KIND, STATE, RESULTS = (f"workflow.{name}" for name in ("key", "study", "kind", "state", "results_sha256"))
CURRENT, SUPERSEDED = "current", "superseded"
PARENT = "mlflow.parentRunId"
_METRICS_PER_REQUEST = 1000  # MLflow's own limit
_RUNS_PER_REQUEST = 1000
_LONGEST_TAG = 5000

Images = Callable[[Path], list[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Entry:
    """What MLflow holds of one run."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    n_epochs: int = 0

    @classmethod
    def of(cls, run: "StoredRun") -> "Entry":
        """What a run that was found says."""
        n_epochs = int(run.data.metrics.get("training/epoch", 0))
        return cls(run.info.run_id, run.info.run_name, run.info.status, dict(run.data.tags), n_epochs)


class StoredStudy:
    """The runs of one folder of results in an experiment.

    Args:
        client: how they are reached.
        experiment_id: where they are.
        study: the folder's own name for itself, so that two checkouts that share a server stay apart.
    """

    def __init__(self, client: "MlflowClient", experiment_id: str, study: str) -> None:
        self.client, self.experiment_id, self.study = client, experiment_id, study
        self.entries = {entry.tags[KEY]: entry for entry in self._search()}

    def _search(self) -> Iterator[Entry]:
        wanted, page = f"tags.`{STUDY}` = '{self.study}'", None
        while True:
            found = self.client.search_runs([self.experiment_id], wanted, 1, _RUNS_PER_REQUEST, None, page)
            yield from map(Entry.of, found)
            page = found.token
            if not page:
                return

    def create(self, key: str, kind: str, name: str, **given: Any) -> Entry:
        """Create a run that is not there: ``tags``, ``parameters`` and, where known, ``start_time``."""
        short, whole = cut(given["parameters"])
        tags = {KEY: key, STUDY: self.study, KIND: kind, STATE: CURRENT, **given.get("tags", {})}
        run = self.client.create_run(self.experiment_id, given.get("start_time"), _short(tags), name)
        self.client.log_batch(run.info.run_id, params=_parameters(short))
        if whole:
            self.client.log_dict(run.info.run_id, whole, "long-parameters.json")
        self.entries[key] = Entry(run.info.run_id, name, run.info.status, dict(run.data.tags))
        return self.entries[key]

    def update(self, key: str, *, status: str, name: str, tags: dict[str, str], ended_ms: int | None = None) -> None:
        """Make a run say this; what it says already is not sent again."""
        from mlflow.entities import RunTag

        entry = self.entries[key]
        new = {name: text for name, text in _short(tags).items() if entry.tags.get(name) != text}
        if new:
            self.client.log_batch(entry.run_id, tags=[RunTag(*item) for item in new.items()])
        if entry.name != name:
            self.client.update_run(entry.run_id, name=name)
        if entry.status != status:
            if status == "RUNNING":
                self.client.update_run(entry.run_id, status=status)
            else:
                self.client.set_terminated(entry.run_id, status, ended_ms)
        n_epochs = self.entries[key].n_epochs
        self.entries[key] = Entry(entry.run_id, name, status, entry.tags | new, n_epochs)

    def write_run(self, run: RunState, parent: Entry, images: Images, source: dict[str, str]) -> None:
        """Bring a run up to date: epochs, results, pictures, model, and at last its status.

        Args:
            run: as its folder tells it.
            parent: the run of the study.
            images: pictures of a file of examples.
            source: tags of the code that trained it, as far as they are known.
        """
        entry = self.entries.get(run.key) or self.create(
            run.key, "run", run.name, start_time=run.begun_ms, parameters=run.parameters, tags={PARENT: parent.run_id}
        )
        if entry.n_epochs == 0:
            self.client.log_inputs(entry.run_id, datasets(run))
        self._write_epochs(run.key, run.epochs)
        tags = {**run.tags, **source, PARENT: parent.run_id, STATE: CURRENT}
        if run.results_sha256 and entry.tags.get(RESULTS) != run.results_sha256:
            self._write_results(entry, run, images)
            tags[RESULTS] = run.results_sha256
        self.update(run.key, status=run.status, name=run.name, tags=tags, ended_ms=run.ended_ms)

    def _write_epochs(self, key: str, epochs: list[MirroredEpoch]) -> None:
        """Write the epochs that are not there, whole ones in each request."""
        entry = self.entries[key]
        new = [epoch for epoch in epochs if epoch.number > entry.n_epochs]
        per_request = _METRICS_PER_REQUEST // max([1, *(len(epoch.metrics) for epoch in new)])
        for some in (new[first : first + per_request] for first in range(0, len(new), per_request)):
            self.client.log_batch(entry.run_id, metrics=[metric for epoch in some for metric in _metrics(epoch)])
            self.entries[key] = Entry(entry.run_id, entry.name, entry.status, entry.tags, some[-1].number)

    def _write_results(self, entry: Entry, run: RunState, images: Images) -> None:
        """Write what is known of the finished run; values of a measurement that was repeated come after the first."""
        step = run.epochs[-1].step if run.epochs else 0
        final = MirroredEpoch(0, step, run.ended_ms or run.begun_ms, run.results)
        self.client.log_batch(entry.run_id, metrics=_metrics(final))
        if run.status == "FAILED":
            if run.folder.diagnosis.exists():
                self.client.log_artifact(entry.run_id, str(run.folder.diagnosis))
            return
        for number, image in enumerate(images(run.folder.examples), start=1):
            self.client.log_image(entry.run_id, image, artifact_file=f"examples/pair-{number}.png")
        log_model(self.client, self.experiment_id, entry.run_id, run)


def _metrics(epoch: MirroredEpoch) -> list["Metric"]:
    from mlflow.entities import Metric

    return [Metric(name, value, epoch.time_ms, epoch.step) for name, value in epoch.metrics.items()]


def _parameters(values: dict[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in values.items()]


def _short(tags: dict[str, str]) -> dict[str, str]:
    return {name: text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 1] + "…" for name, text in tags.items()}


def datasets(run: RunState) -> list["DatasetInput"]:
    """The pair files that a run trains and validates on, by digest: neither path nor patient."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    provenance = run.origin.provenance
    files = {"training": provenance.pairs_train_sha256, "validation": provenance.pairs_validation_sha256}
    source = {name: f'{{"sha256": "{digest}"}}' for name, digest in files.items() if digest}
    return [
        DatasetInput(
            Dataset(f"{name} pairs", str(files[name])[:36], "file with this SHA-256", text),
            [InputTag("mlflow.data.context", name)],
        )
        for name, text in source.items()
    ]
