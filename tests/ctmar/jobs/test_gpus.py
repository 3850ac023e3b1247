"""GPUs of a job without a GPU at hand: what a scheduler names, and locks where none does."""

import os
import subprocess
import sys

import pytest

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.jobs.gpus import VISIBLE, claimed_gpus, locked, multi_process_service
from ctmar.models.device import MissingDeviceError

NAMES = [f"test-{os.getpid()}-{number}" for number in range(3)]  # of no GPU: only their locks are real


def never() -> bool:
    return False


def test_a_scheduler_says_which_devices_and_they_are_not_locked(monkeypatch):
    monkeypatch.setenv(VISIBLE, "GPU-abc,5")
    for _ in range(2):
        with claimed_gpus(2, never) as first, claimed_gpus(2, never) as second:
            assert first == second == ["GPU-abc", "5"]
    with pytest.raises(MissingDeviceError, match="expected 3 GPUs"), claimed_gpus(3, never):
        pass


def test_without_a_gpu_there_is_none_to_claim(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with claimed_gpus(0, never) as none:
        assert none == []
    with pytest.raises(MissingDeviceError, match="torch finds 0"), claimed_gpus(1, never):
        pass


def test_two_jobs_of_one_machine_take_different_gpus():
    with locked(NAMES, 1, never) as first, locked(NAMES, 2, never) as others:
        assert sorted([*first, *others]) == sorted(NAMES)
        with pytest.raises(InterruptedWorkError), locked(NAMES, 1, lambda: True):
            pass
    with locked(NAMES, 3, never) as every:
        assert every == NAMES


def test_a_killed_job_gives_its_gpu_back():
    code = f"import os, signal; from ctmar.jobs.gpus import locked\nwith locked({NAMES!r}, 3, lambda: False):\n"
    killed = subprocess.run([sys.executable, "-c", code + "    os.kill(os.getpid(), signal.SIGKILL)"])
    assert killed.returncode == -9
    with locked(NAMES, 3, never) as every:
        assert every == NAMES


def test_claimed_gpus_are_all_that_this_process_sees(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with claimed_gpus(1, never) as mine:
        assert os.environ[VISIBLE] == ",".join(mine)
    assert VISIBLE not in os.environ


def test_the_multi_process_service_is_started_and_ended(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-cuda-mps-control"
    program.write_text(f'#!/bin/sh\n[ "$1" = -d ] && echo started >> {tmp_path}/told || cat >> {tmp_path}/told\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with multi_process_service():
        assert (tmp_path / "told").read_text() == "started\n"
        assert "CUDA_MPS_PIPE_DIRECTORY" in os.environ
    assert (tmp_path / "told").read_text() == "started\nquit\n"
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="nvidia-cuda-mps-control"), multi_process_service():
        pass
