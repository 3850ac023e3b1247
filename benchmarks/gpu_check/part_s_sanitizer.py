"""The kernels of projector and penalty under `compute-sanitizer`: accesses out of bounds, misaligned, or leaked."""

import os
import shutil
import subprocess
import sys

from benchmarks.gpu_check.bundle import ROOT
from benchmarks.gpu_check.part_a_tests import ALONE
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.worker import Settings

TESTS = ("tests/gpu/test_projector.py", "tests/gpu/test_penalty.py")


def measure(settings: Settings, record: Recorder) -> None:
    """One row for each file of tests."""
    tool = shutil.which("compute-sanitizer")
    if tool is None or settings.device != "cuda":
        record.missing("compute-sanitizer", "not run: " + ("no such tool" if settings.device == "cuda" else "no GPU"))
        return
    for name in TESTS:
        command = [tool, "--tool", "memcheck", "--error-exitcode", "9", "--target-processes", "all", sys.executable]
        command += ["-m", "pytest", "-m", "gpu", name, "-q", "-x", "--override-ini=addopts=--import-mode=importlib"]
        # with torch's own allocator an access beyond a tensor would still be inside its block
        variables = os.environ | ALONE | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        done = subprocess.run(command, cwd=ROOT, env=variables, check=False, timeout=max(1.0, settings.seconds_left()))
        note = "" if done.returncode == 0 else f"failed: exit code {done.returncode} (9: the sanitizer found an error)"
        record(
            f"compute-sanitizer memcheck: {name}", float(done.returncode != 0), "failed of 1", Target("≤", 0, "0"), note
        )
