"""The mirror on a real MLflow server, which comes and goes."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.ctmar.tracking.conftest import PATIENT, LittleStudy, stored

from ctmar.tracking.mirror import Mirror


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """A server with its database in a folder."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    log = (folder / "server.log").open("ab")
    # no jobs are given to it; the processes that would wait for them take longer to start than the server
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        log.close()


def answers(port: int) -> bool:
    with suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).status == 200
    return False


@pytest.mark.slow
def test_a_server_that_goes_down_in_the_middle_has_everything_later(
    begun_study: LittleStudy, made_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = begun_study
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "mlflow.db").write_bytes((made_study / "results" / "mlflow" / "mlflow.db").read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    mirror = Mirror(study.results, following=True)
    with server(tmp_path / "server", port):
        study.train(0)
        assert mirror.synchronise().n_mirrored == 1
    study.train(1)
    begin = time.monotonic()
    assert "does not answer" in mirror.synchronise().missing
    assert time.monotonic() - begin < 60  # MLflow by itself tries for many minutes
    with server(tmp_path / "server", port):
        assert mirror.synchronise().n_mirrored == 2
        client = MlflowClient(f"http://127.0.0.1:{port}")
        for run, folder in zip(stored(client, "run", "current"), study.runs, strict=True):
            history = client.get_metric_history(run.info.run_id, "training/loss")
            assert [(point.step, point.value) for point in history] == [
                (epoch.step, epoch.loss) for epoch in folder.read_epochs()
            ]
            assert len(client.list_artifacts(run.info.run_id, "examples")) == 1
    here = (str(tmp_path).encode(), PATIENT.encode())
    with_names = [path for path in (tmp_path / "server" / "files").rglob("*") if path.is_file()]
    assert with_names
    for path in with_names:
        assert not any(name in path.read_bytes() for name in here), path
