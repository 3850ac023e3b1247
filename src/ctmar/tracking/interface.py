"""MLflow's own interface, opened on a study."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ctmar.errors import InputError
from ctmar.tracking.bounded import reason_of, shown_address
from ctmar.tracking.connection import connect, find_experiment, own_database, prepare_environment, tracking_uri
from ctmar.tracking.study_folder import StudyFolder

_HOST = "127.0.0.1"  # whoever wants others to see it starts a server


def show(results: Path, port: int, said: Callable[[str], None]) -> None:
    """Print where a study is to be seen; for a database, start the interface and wait until it is ended.

    Args:
        results: folder of the study's results.
        port: of this machine; 0 takes a free one.
        said: is told the address.

    Raises:
        InputError: the study is not mirrored, or MLflow does not answer.
    """
    study = StudyFolder.read(results)
    uri = tracking_uri(study.folder)
    if uri == own_database(study.folder) and not (study.folder / "mlflow.db").is_file():
        raise InputError(f"{study.folder}: expected the study's mirror, found none; run `ctmar sync {results}` first")
    try:
        experiment_id = find_experiment(connect(study.folder), study.folder, study.config.tracking.experiment)
    except Exception as error:  # see `ctmar.tracking.mirror`
        raise InputError(f"MLflow: {reason_of(error, uri)}") from None
    page = f"/#/experiments/{experiment_id}/runs?viewStateShareKey={study.name}"
    if uri.startswith("http"):
        said(f"the study is at {shown_address(uri)}{page}")
        return
    prepare_environment()
    port = port or _free_port()
    said(f"the study is at http://{_HOST}:{port}{page} (in some seconds; Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port), "--workers", "1"]
    # in the environment and not on the command line, where others could read a password; and a study gives MLflow no
    # jobs: the processes that would wait for them take as long to start as the interface
    settings = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with suppress(KeyboardInterrupt):
        subprocess.run(command, check=False, env=os.environ | settings)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])
