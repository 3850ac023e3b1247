"""Tests that compare a GPU with the CPU.

They skip where there is none. `python -m benchmarks.gpu_check` runs them file by file, with nothing installed beyond
its bundle; told to by `EQUIPROJ_GPU_TESTS_ON=cpu` they run on the CPU, so that their own code is never untried.
"""

import os

import pytest
import torch

from ctmar.models.device import choose_device


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where the numbers come from that are compared with those of the CPU."""
    name = os.environ.get("EQUIPROJ_GPU_TESTS_ON", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    return choose_device(name)
