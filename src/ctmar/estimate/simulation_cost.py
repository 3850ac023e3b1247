"""What a simulation will take, before it starts: time and disk, from one pair measured on this machine."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.simulation.noise import random_stream
from ctmar.simulation.operators import Operators
from ctmar.simulation.pair import prepare_slice, simulate_pair
from ctmar.simulation.subset import Work
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import bytes_per_entry
from ctmar.store.slices import Slice
from ctmar.units import WATER_PER_CM

_BODY_MM = 360.0


@dataclass(frozen=True)
class PairCost:
    """What one slice and one pair of it take: seconds of one thread, and bytes by dataset of the file."""

    image_size: int
    slice_seconds: float
    pair_seconds: float
    slice_bytes: dict[str, int]
    pair_bytes: dict[str, int]


@dataclass(frozen=True)
class SimulationEstimate:
    """What a simulation takes: wall-clock seconds on ``threads`` threads, bytes without and with sinograms."""

    n_slices: int
    n_masks: int
    image_size: int
    threads: int
    seconds: float
    image_bytes: int
    sinogram_bytes: int
    store_sinograms: bool

    @property
    def n_bytes(self) -> int:
        """Bytes that will be written."""
        return self.image_bytes + self.store_sinograms * self.sinogram_bytes

    def __str__(self) -> str:
        n_pairs = self.n_slices * self.n_masks
        both = f"{_bytes(self.image_bytes)} without sinograms, {_bytes(self.image_bytes + self.sinogram_bytes)} with"
        return (
            f"{self.n_slices:,} slices × {self.n_masks} masks = {n_pairs:,} pairs of {self.image_size} ×"
            f" {self.image_size} pixels; {_duration(self.seconds)} on {self.threads}"
            f" thread{'s' * (self.threads > 1)}; {both} ({_bytes(self.n_bytes)} as set)"
        )


def measure_pair(
    settings: Simulation, operators: Operators, source: Slice, given: NDArray[np.uint8] | None, nmar: bool
) -> PairCost:
    """Simulate one pair of a slice, with a drawn mask or the ``given`` one, and write it to a temporary file."""
    _simulate(settings.model_copy(update={"masks": "drawn"}), operators, synthetic_slice(48), None, nmar)  # compiles
    settings = settings.model_copy(update={"store_sinograms": True, "masks": "drawn" if given is None else "folder"})
    slice_seconds, pair_seconds, slice_bytes, pair_bytes = _simulate(settings, operators, source, given, nmar)
    return PairCost(len(source.image), slice_seconds, pair_seconds, slice_bytes, pair_bytes)


def _simulate(
    settings: Simulation, operators: Operators, source: Slice, given: NDArray[np.uint8] | None, nmar: bool
) -> tuple[float, float, dict[str, int], dict[str, int]]:
    start = time.perf_counter()
    prepared = prepare_slice(settings, operators, source)
    ready = time.perf_counter()
    pair = simulate_pair(settings, prepared, 0, 0, given, nmar)
    with tempfile.TemporaryDirectory(prefix="ctmar-") as folder:
        path = Path(folder) / "pair.h5"
        write_pairs(path, [prepared.record], [pair], "train", {})
        done = time.perf_counter()
        return ready - start, done - ready, *bytes_per_entry(path)


def estimate(cost: PairCost, n_slices: int, n_masks: int, threads: int, store_sinograms: bool) -> SimulationEstimate:
    """Multiply the cost of one pair; threads beyond the processors of this machine add nothing."""
    busy = min(threads, os.cpu_count() or 1)
    totals = {False: 0, True: 0}
    for sizes, n_entries in ((cost.slice_bytes, n_slices), (cost.pair_bytes, n_slices * n_masks)):
        for name, size in sizes.items():
            totals[name.endswith(("_sinogram", "_trace"))] += size * n_entries
    return SimulationEstimate(
        n_slices=n_slices,
        n_masks=n_masks,
        image_size=cost.image_size,
        threads=threads,
        seconds=n_slices * (cost.slice_seconds + n_masks * cost.pair_seconds) / busy,
        image_bytes=totals[False],
        sinogram_bytes=totals[True],
        store_sinograms=store_sinograms,
    )


def estimate_work(work: Work) -> SimulationEstimate:
    """Measure the first pair of a shard, and multiply."""
    cost = measure_pair(work.settings, work.operators, work.source, work.mask, work.nmar)
    return estimate(cost, work.n_slices, work.n_masks, work.threads, work.settings.store_sinograms)


def check_disk(expected: SimulationEstimate, output: Path | str) -> None:
    """Raise an InputError when what is to be written has no room beside ``output``."""
    folder = next(parent for parent in Path(output).resolve().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if expected.n_bytes > free:
        raise InputError(
            f"{output}: expected about {_bytes(expected.n_bytes)} of free disk for it, found {_bytes(free)}:"
            " draw fewer masks, leave the sinograms out, or write elsewhere"
        )


def synthetic_slice(size: int) -> Slice:
    """Return a body of water with a spine and the noise of a CT, 36 cm wide, where there are no data yet."""
    rows, columns = (np.indices((size, size)) + 0.5) / size * 2 - 1
    image = np.where((rows / 0.7) ** 2 + (columns / 0.9) ** 2 < 1, WATER_PER_CM, 0.0)
    image[np.hypot(rows - 0.35, columns) < 0.14] = 1.8 * WATER_PER_CM
    noise = random_stream(0, "synthetic slice").normal(0, 0.01 * WATER_PER_CM, image.shape)
    image = np.where(image > 0, image + noise, 0)
    return Slice(image.astype(np.float32), "synthetic", "1", "synthetic/1/0000", 0.0, _BODY_MM / size)


def _bytes(n_bytes: float) -> str:
    unit = next(power for power in (4, 3, 2, 1) if n_bytes >= 1000**power or power == 1)
    return f"{n_bytes / 1000**unit:.3g} {' kMGT'[unit]}B"


def _duration(seconds: float) -> str:
    """Two digits, and never as a power of ten."""
    lengths = {"days": 86400, "h": 3600, "min": 60, "s": 1}
    unit = next(unit for unit, length in lengths.items() if seconds >= 2 * length or unit == "s")
    return f"{float(f'{seconds / lengths[unit]:.2g}'):g} {unit}"
