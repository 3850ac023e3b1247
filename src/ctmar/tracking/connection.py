"""Where the mirror is, and how MLflow is reached there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ctmar.store.atomic import atomic_path
from ctmar.tracking.bounded import MirrorError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DATABASE = "mlflow.db"
_ENVIRONMENT = {
    # by default an unreachable server blocks each call for four minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # nothing about a study goes to anybody whom the user did not name
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def own_database(folder: Path) -> str:
    """The address of the database in ``folder``."""
    return f"sqlite:///{folder.resolve() / _DATABASE}"


def tracking_uri(folder: Path) -> str:
    """Where the mirror is: the user's ``MLFLOW_TRACKING_URI``, else the database in ``folder``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or own_database(folder)


def prepare_environment() -> None:
    """Settings of MLflow where the user has none: it gives up soon; a run of the user's shell is left alone."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.pop("MLFLOW_RUN_ID", None)


def connect(folder: Path) -> "MlflowClient":
    """A client of the mirror; the database in ``folder`` is made if it is the mirror and not there.

    Raises:
        MirrorError: MLflow could not read the path of the study.
    """
    prepare_environment()
    from mlflow import MlflowClient  # only now, because it reads the environment

    uri = tracking_uri(folder)
    if uri == own_database(folder):
        _create_database(folder.resolve() / _DATABASE)
    return MlflowClient(uri)


def _create_database(database: Path) -> None:
    """Make an empty database, whole or not at all: MLflow cannot open one again that it was killed in creating."""
    from mlflow import MlflowClient

    if "?" in str(database):
        raise MirrorError(
            "the path of the study has a question mark, behind which MLflow reads options;"
            " rename the folder or name another place in MLFLOW_TRACKING_URI"
        )
    if not database.exists():
        with atomic_path(database) as temporary:
            MlflowClient(f"sqlite:///{temporary}").search_experiments(max_results=1)


def find_experiment(client: "MlflowClient", folder: Path, name: str) -> str:
    """The id of the experiment, which is created if there is none.

    Raises:
        MirrorError: the experiment was deleted, or the database was made in another folder, where MLflow would go on to
            put images.
    """
    own = tracking_uri(folder) == own_database(folder)
    location = (folder.resolve() / "artefacts").as_uri() if own else None
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=location))
    if experiment.lifecycle_stage != "active":
        raise MirrorError(
            f"the experiment {name!r} was deleted in MLflow: restore it (mlflow experiments restore --experiment-id"
            f" {experiment.experiment_id}) or set tracking.experiment to another name"
        )
    if own and experiment.artifact_location != location:
        raise MirrorError(f"the study was moved; delete {_DATABASE} in its folder mlflow and run again")
    return str(experiment.experiment_id)
