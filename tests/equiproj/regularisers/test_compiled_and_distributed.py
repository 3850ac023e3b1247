"""The library under `torch.compile`, DDP and FSDP2, each in processes of their own.

The annotation checks of the test run stay out of them: they are Python that a compiler cannot look through.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[3]


def assert_script_passes(name: str, *arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.equiproj.regularisers.{name}", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_the_compiled_penalty_is_one_graph_with_the_same_numbers() -> None:
    assert_script_passes("compiled_training", "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None or not Path(sysconfig.get_path("include"), "Python.h").is_file(),
    reason="the inductor backend writes C++: it needs a compiler and the headers of Python",
)
def test_inductor_compiles_a_training_step_once_for_a_whole_schedule(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    assert_script_passes("compiled_training", "inductor")


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    assert_script_passes("distributed_training", str(tmp_path / "rendezvous"))
