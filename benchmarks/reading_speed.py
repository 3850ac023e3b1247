"""Samples per second of reading patches beside those of the training step, in one run: is loading ever the bottleneck?

    python benchmarks/reading_speed.py                       # the default study, and 416² with batches of 32 × 64²
    python benchmarks/reading_speed.py --pairs pairs.h5      # the first scale on a file of one's own
    python benchmarks/reading_speed.py --device cuda --network acdnet

Per scale: `step` is training on a batch at hand. For 0, 1 and 2 reader processes follow `reading`, batches alone, and
`both`, training on what the readers deliver, with the share of time that training waits for a batch (with 0 readers:
reads it). Cached keeps pairs in memory (filled before timing); uncached decodes the chunks under each patch from the
file, whose pages are dropped from the operating system's cache first. The readers' start is not counted. Files are
made of ellipses with noise, which compresses like CT.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ctmar.config import Network, Run, Training
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.training.batch_readers import read_batches
from ctmar.training.patches import CACHE_BYTES, Batch, PatchSampler
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step

READERS = (0, 1, 2)
STEPS_BEFORE = 2  # allocations of the network, and the first batch of every reader


class Scale(NamedTuple):
    """Size of the images and of a step."""

    image_size: int
    n_pairs: int
    batch_size: int
    patch_size: int


SCALES = [Scale(128, 240, 8, 32), Scale(416, 90, 32, 64)]


def write_synthetic(path: Path, size: int, n_pairs: int, patient: str = "p") -> None:
    random = np.random.default_rng(0)
    rows, columns = (np.indices((size, size)) - size / 2) / size
    mask = (np.hypot(rows, columns - 0.1) < 0.03).astype(np.uint8)

    def image(k: int) -> np.ndarray:
        body = 0.2 * ((rows / 0.35) ** 2 + (columns / (0.4 + 0.001 * k)) ** 2 < 1)
        return (body + random.normal(0, 0.004, body.shape)).clip(0).astype(np.float32)

    n_slices = max(2, n_pairs // 10)
    slices = (SliceRecord(image(k), image(k), patient, f"{patient}/1/{k:04d}", 1.0) for k in range(n_slices))
    pairs = (PairRecord(image(k), image(k), mask, k % n_slices, k // n_slices, "titanium") for k in range(n_pairs))
    write_pairs(path, slices, pairs, "train", {})


def drop_pages(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def time_steps(state: TrainingState, batches: Iterator[Batch], seconds: float) -> tuple[float, float]:
    """Steps per second over at least ``seconds``, and the share of time spent waiting for batches."""
    n_steps, waited, begin = 0, 0.0, time.perf_counter()
    while n_steps < 2 or time.perf_counter() - begin < seconds:
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        training_step(state, batch.to(state.device), n_steps)
        wait_for(state.device)
        n_steps += 1
    elapsed = time.perf_counter() - begin
    return n_steps / elapsed, waited / elapsed


def time_reading(batches: Iterator[Batch], seconds: float) -> float:
    """Batches per second over at least ``seconds``."""
    n_batches, begin = 0, time.perf_counter()
    while n_batches < 2 or time.perf_counter() - begin < seconds:
        next(batches)
        n_batches += 1
    return n_batches / (time.perf_counter() - begin)


def measure(path: Path, scale: Scale, state: TrainingState, seconds: float) -> bool:
    """Print one table; whether training waits for two readers anywhere in it."""

    def sampler(cache_bytes: int) -> PatchSampler:
        return PatchSampler(path, scale.batch_size, scale.patch_size, seed=0, cache_bytes=cache_bytes)

    at_hand = sampler(CACHE_BYTES).batch(0)
    for step in range(STEPS_BEFORE):
        training_step(state, at_hand.to(state.device), step)
    step_rate, _ = time_steps(state, iter(lambda: at_hand, None), seconds)
    print(f"step alone: {step_rate * scale.batch_size:.0f} samples/s")
    slow = False
    for cached in (True, False):
        for n_readers in READERS:
            one = sampler(CACHE_BYTES if cached else 0)
            with read_batches(one, range(10**9), n_readers) as batches:
                # a cached pair is read once by every process; uncached, only the readers' start is left out
                for _ in range(STEPS_BEFORE + (max(1, n_readers) * 2 * scale.n_pairs // scale.batch_size) * cached):
                    next(batches)
                if not cached:
                    drop_pages(path)
                reading = time_reading(batches, seconds)
                both, waiting = time_steps(state, batches, seconds)
            slow |= n_readers == 2 and reading < step_rate
            print(
                f"{'cached' if cached else 'uncached':9} {n_readers} readers: reading {reading * scale.batch_size:7.0f}"
                f" samples/s ({reading / step_rate:5.1f} × step), both {both * scale.batch_size:6.0f} samples/s,"
                f" waiting {100 * waiting:4.1f} %",
                flush=True,
            )
    return slow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="pair file for the first scale, instead of a synthetic one")
    parser.add_argument("--network", default="dncnn", help="architecture; the cheaper its step, the harder for readers")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1, help="of the training process")
    parser.add_argument("--seconds", type=float, default=3.0, help="at least, of every measurement")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        for number, scale in enumerate(SCALES):
            path = arguments.pairs if arguments.pairs and number == 0 else Path(folder) / f"{scale.image_size}.h5"
            if not path.exists():
                write_synthetic(path, scale.image_size, scale.n_pairs)
            training = Training(
                batch_size=scale.batch_size, patch_size=scale.patch_size, device=arguments.device, steps_per_epoch=10**6
            )
            state = start(Run(network="n", method="plain"), Network(architecture=arguments.network), training, "C4")
            print(
                f"\n{path.name}: images {scale.image_size}², batches of {scale.batch_size} × {scale.patch_size}²,"
                f" {arguments.network} on {arguments.device}, {arguments.threads} thread(s), {os.cpu_count()} cores"
            )
            slow |= measure(path, scale, state, arguments.seconds)
    print(f"\nloading is the bottleneck with 2 readers: {'yes' if slow else 'no'}")


if __name__ == "__main__":
    main()
