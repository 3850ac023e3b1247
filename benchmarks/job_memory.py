"""Memory and processor time of a job of trainings beside what its model says, for networks, patches and batches.

    python benchmarks/job_memory.py                    # all configurations, some minutes
    python benchmarks/job_memory.py --only unet acdnet-64

Every row is a `ctmar train-and-evaluate` in a process of its own, with one run of a few steps and two test pairs; what
is measured is the largest resident memory of the process and the processor time that it took (which another job on the
machine changes little), both as the system counts them for a child (`wait4`). Pairs are ellipses with noise.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.reading_speed import write_synthetic

from ctmar.config import Job, Network, Run, Subset, Training
from ctmar.datasets.split import write_split
from ctmar.estimate.step_counts import count_network

ACDNET = Network(
    architecture="acdnet", settings={"n_maps": 4, "n_extra_channels": 35, "n_atoms": 44, "normalisation": "field"}
)
DNCNN = Network(settings={"fields": 4, "depth": 6})
UNET = Network(architecture="unet")


class Row(NamedTuple):
    """A network, rows and columns of the slices, side of the patches, batch, steps and method."""

    network: Network
    image_size: int
    patch_size: int
    batch_size: int
    n_steps: int
    method: str = "plain"


N_PAIRS: dict[Subset, int] = {"train": 12, "validation": 2, "test": 2}
ROWS = {
    "dncnn-32": Row(DNCNN, 128, 32, 8, 200),
    "dncnn-64": Row(DNCNN, 128, 64, 32, 60),
    "dncnn-128": Row(DNCNN, 416, 128, 8, 60),
    "unet-64": Row(UNET, 128, 64, 8, 60),
    "unet-128": Row(UNET, 416, 128, 32, 4),
    "acdnet-64": Row(ACDNET, 128, 64, 1, 10),
    "acdnet-64x8": Row(ACDNET, 128, 64, 8, 3),
    "acdnet-128": Row(ACDNET, 416, 128, 1, 4),
    "acdnet-416": Row(ACDNET, 416, 416, 1, 2),
    "acdnet-64x4-eqreg": Row(ACDNET, 128, 64, 4, 3, "eqreg"),
}


def write_data(folder: Path, image_size: int) -> None:
    """Pairs of one patient in each subset, who is called like it."""
    folder.mkdir(parents=True, exist_ok=True)
    for subset, n_pairs in N_PAIRS.items():
        write_synthetic(folder / f"{subset}.h5", image_size, n_pairs, patient=subset)
    write_split(folder / "split.csv", [{subset: subset for subset in N_PAIRS}], N_PAIRS)


def command(row: Row, data: Path, folder: Path) -> list[str]:
    """The command line of one job."""
    run = Run(network="n", method=row.method, lam_perp=1e-6 if row.method == "eqreg" else 0.0)
    training = {"epochs": 1, "steps_per_epoch": row.n_steps, "batch_size": row.batch_size}
    training |= {"patch_size": row.patch_size, "validation_pairs": 1}
    words = ["--split", data / "split.csv", "--job", Job(runs=[run], network=row.network).model_dump_json()]
    words += ["--output", folder / "runs", "--finished", folder / "finished.sha256"]
    words += ["--settings", json.dumps(training), "--evaluation", '{"defect_slices": 1, "examples": 1}']
    return [sys.executable, "-m", "ctmar", "train-and-evaluate", str(data), *map(str, words)]


def measure(words: list[str]) -> tuple[float, float, float]:
    """Largest resident memory [10⁶ bytes], processor time and wall clock [s] of a command and its children."""
    begin = time.perf_counter()
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    told = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(told.decode()[-2000:])
    return used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime, time.perf_counter() - begin
