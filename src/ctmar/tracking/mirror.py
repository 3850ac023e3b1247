"""A mirror of a study in MLflow: one parent run, and under it one run for each training.

The result files are the truth. The mirror can be deleted and written again, and it can neither fail a study nor hold
it up.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from ctmar.config import Report, Study, Tracking
from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.run_folder import RunFolder
from ctmar.tracking.bounded import attempt, time_limit
from ctmar.tracking.connection import connect, find_experiment, tracking_uri
from ctmar.tracking.mirrored_run import MirroredRun, example_images, read_run, study_parameters

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

KEY = "workflow.key"
_PARENT = "mlflow.parentRunId"
KIND = "workflow.kind"
FINISHED = "FINISHED"
LIMIT_SECONDS = 120.0  # to connect, and again for each run; a new database alone takes 5 to 15
_METRICS_PER_REQUEST = 1000  # MLflow's own limit


class Parent(BaseModel):
    """What `parent.json` holds: which study, and where its parent run is, if MLflow could be reached."""

    tracking: str
    experiment: str
    study: Study
    experiment_id: str | None = None
    parent_run_id: str | None = None
    warning: str | None = None


class OpenStudy(NamedTuple):
    """A study whose experiment and parent run exist."""

    client: "MlflowClient"
    experiment_id: str
    parent_run_id: str


def initialise(output: Path, settings: Tracking, study: Study) -> None:
    """Create the database, the experiment and the study's parent run, or find them.

    The mirror is a database beside ``output`` unless the environment variable ``MLFLOW_TRACKING_URI`` names another
    place. Where MLflow cannot be reached, ``output`` says so and nothing else happens.

    Args:
        output: JSON file to write: kind of place (no address, no password), experiment, parent run, study.
        settings: name of the experiment.
        study: what is trained; the same study has the same parent run.
    """
    parent = Parent(
        tracking=urlsplit(tracking_uri(output.parent)).scheme or "path", experiment=settings.experiment, study=study
    )
    found: dict[str, str] = {}

    def work() -> None:
        with time_limit(LIMIT_SECONDS):
            _, experiment_id, run_id = _open_study(output.parent, parent)
        found.update(experiment_id=experiment_id, parent_run_id=run_id)

    warning = attempt(work)
    with atomic_path(output) as temporary:
        temporary.write_text(parent.model_copy(update={**found, "warning": warning}).model_dump_json(indent=2) + "\n")


def synchronise(parent: Path, run_folders: list[Path], output: Path, settings: Report) -> None:
    """Write finished runs to MLflow; a run that is there already is not written again.

    A run is known by a digest of its results, so that a training with other results is another run. Images show
    ground truth, input and LI beside the prediction if the folder above that of ``parent`` has
    ``references/examples.npz``.

    Args:
        parent: file made by `initialise`.
        run_folders: folders of finished runs.
        output: JSON file to write: for each run its folder, key, status (written, present, failed) and MLflow id.
        settings: the CT window of the images.

    Raises:
        InputError: ``parent`` or a result file is missing or is not what it should be.
    """
    study = _read_parent(parent)
    runs = [read_run(RunFolder(folder)) for folder in run_folders]
    rows: list[dict[str, Any]] = [
        {"folder": str(folder), "key": run.key, "status": "failed", "run_id": None}
        for folder, run in zip(run_folders, runs, strict=True)
    ]
    references = parent.resolve().parent.parent / "references" / "examples.npz"
    images = partial(example_images, references=references, window_hu=settings.window_hu)

    def work() -> None:
        with time_limit(LIMIT_SECONDS):
            opened = _open_study(parent.parent, study)
        for row, run in zip(rows, runs, strict=True):
            with time_limit(LIMIT_SECONDS):
                row.update(write_run(opened, run, images))
        with time_limit(LIMIT_SECONDS):
            finish(opened)

    warning = attempt(work)
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps({"runs": rows, "warning": warning}, indent=2) + "\n")


def _read_parent(path: Path) -> Parent:
    """Read `parent.json`.

    Raises:
        InputError: the file is missing or is not one that `initialise` writes.
    """
    try:
        return Parent.model_validate_json(path.read_text())
    except OSError:
        raise InputError(f"{path}: parent run not found; run `ctmar track-initialise` first") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"{path}: expected a file made by `ctmar track-initialise` ({key}: {problem['msg']})"
        ) from None


def _open_study(folder: Path, parent: Parent) -> OpenStudy:
    """Connect, and find or create the experiment and the parent run."""
    client = connect(folder)
    experiment_id = find_experiment(client, folder, parent.experiment)
    study = parent.study.published()
    key = hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()
    stored = _find_run(client, experiment_id, key) or client.create_run(
        experiment_id,
        run_name=f"study of {len(parent.study.expand())} runs",
        tags={KEY: key, KIND: "study"},
    )
    run_id = stored.info.run_id
    if stored.info.status != FINISHED:
        _write_parameters(client, run_id, study_parameters(parent.study))
        client.log_dict(run_id, study, "study.json")
    return OpenStudy(client, experiment_id, run_id)


def _find_run(client: "MlflowClient", experiment_id: str, key: str) -> "StoredRun | None":
    """The run with this key, if there is one."""
    found = client.search_runs([experiment_id], filter_string=f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0] if found else None


def write_run(study: OpenStudy, run: MirroredRun, images: Callable[[Path], list[NDArray[np.uint8]]]) -> dict[str, str]:
    """Write a run that is not there or only half; gives its status and MLflow id."""
    client = study.client
    stored = _find_run(client, study.experiment_id, run.key) or client.create_run(
        study.experiment_id,
        start_time=run.start_ms,
        run_name=run.name,
        tags={KEY: run.key, _PARENT: study.parent_run_id, KIND: "run"} | run.tags,
    )
    run_id = stored.info.run_id
    if stored.data.tags[_PARENT] != study.parent_run_id:
        # a study that grew has another parent run, and all of its runs belong there
        client.set_tag(run_id, _PARENT, study.parent_run_id)
    if stored.info.status == FINISHED:
        return {"status": "present", "run_id": run_id}
    _write_parameters(client, run_id, run.parameters)
    _write_metrics(client, run_id, run, stored.info.start_time)
    for number, image in enumerate(images(run.examples), start=1):
        client.log_image(run_id, image, artifact_file=f"examples/pair-{number}.png")
    client.set_terminated(run_id, FINISHED, end_time=run.end_ms)
    return {"status": "written", "run_id": run_id}


def finish(study: OpenStudy) -> None:
    """End the parent run, which stays as it is when it has ended before."""
    if study.client.get_run(study.parent_run_id).info.status != FINISHED:
        study.client.set_terminated(study.parent_run_id, FINISHED)


def _write_parameters(client: "MlflowClient", run_id: str, parameters: dict[str, str]) -> None:
    """Write parameters; those that are there already are left."""
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, value) for name, value in parameters.items()])


def _write_metrics(client: "MlflowClient", run_id: str, run: MirroredRun, start_ms: int) -> None:
    """Write the metrics of every epoch and, at the last step, the results on the test pairs.

    Times count from ``start_ms`` of the stored run: MLflow keeps a value of the same step and time only once, so that
    a half-written run is completed without doubles.
    """
    from mlflow.entities import Metric

    last_step = run.epochs[-1].step
    metrics = [
        Metric(name, value, run.end_ms - run.start_ms + start_ms, last_step) for name, value in run.results.items()
    ]
    for epoch in run.epochs:
        time_ms = start_ms + int(1000 * epoch.seconds)
        metrics += [Metric(name, value, time_ms, epoch.step) for name, value in epoch.metrics.items()]
    for first in range(0, len(metrics), _METRICS_PER_REQUEST):
        client.log_batch(run_id, metrics=metrics[first : first + _METRICS_PER_REQUEST])
