"""What MLflow is told about a run at any moment: read from the files of its folder, free of patients, users and hosts.

Names of metrics have a part before a slash, by which MLflow's interface groups charts: training, validation, test,
network, cost, system.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ctmar.config import Run
from ctmar.errors import InputError
from ctmar.evaluation.columns import MEASURES_OF_A_RUN, metrics_in
from ctmar.evaluation.crossed_table import patient_means
from ctmar.evaluation.run_results import check_numbers, number
from ctmar.store.provenance import sha256_of
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import is_stale
from ctmar.store.run_records import Epoch, RunDescription, RunOrigin
from ctmar.store.tables import read_rows
from ctmar.tracking.parameters import flatten, run_parameters

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
_COSTS = ("seconds_total", "seconds_per_step_median", "peak_memory_mb")
_COUNTERS = ("epoch", "step", "system")


class MirroredEpoch(NamedTuple):
    """Where training stood after an epoch; times in milliseconds since 1970, pauses between its jobs left out."""

    number: int
    step: int
    time_ms: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class RunState:
    """A run as its folder tells it now.

    Args:
        folder: where it is.
        key: of all that it follows from, and when it began; the run of the mirror is found by it.
        name: for lists.
        origin: settings, data and software.
        status: RUNNING while a process holds the folder, FINISHED once measured, FAILED where the training diverged,
            KILLED where it is not finished and nobody works on it.
        begun_ms: milliseconds since 1970.
        ended_ms: the same; None as long as it is not measured.
        epochs: those that there are.
        results: on the test pairs, of the network and its cost.
        results_sha256: of the files that ``results`` are of, empty as long as there are none.
        tags: what is said beside numbers.
    """

    folder: RunFolder
    key: str
    name: str
    origin: RunOrigin
    status: Status
    begun_ms: int
    ended_ms: int | None = None
    epochs: list[MirroredEpoch] = field(default_factory=list)
    results: dict[str, float] = field(default_factory=dict)
    results_sha256: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.status in ("FINISHED", "FAILED")

    @property
    def parameters(self) -> dict[str, str]:
        """Its settings."""
        return run_parameters(self.origin)


def run_name(run: Run) -> str:
    """A short name for lists.

    Examples:
        >>> run_name(Run(network="dncnn", method="projection", norm="frobenius", lam_perp=0.1, seed=2))
        'dncnn/projection,norm=frobenius,lam_perp=0.1 seed 2'
    """
    return f"{run.slug} seed {run.seed}"


def signature(folder: RunFolder) -> tuple[object, ...]:
    """What changes when `read_state` would say something else; costs some microseconds."""
    files = (folder.started, folder.metrics, folder.run, folder.slices, folder.model, folder.examples)
    return (*map(_moment, files), _is_held(folder))


def _moment(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _is_held(folder: RunFolder) -> bool:
    return folder.lock.exists() and not is_stale(folder.lock)


def read_state(folder: RunFolder) -> RunState | None:
    """Read a folder; None where no training has begun.

    Raises:
        InputError: a file is not what `ctmar train` and `ctmar evaluate` write.
    """
    held = _is_held(folder)  # first: a run that ends meanwhile is told a moment too late, and never as killed
    start = folder.read_start()
    description = folder.read_description() if folder.run.exists() else None
    if description is None and start is None:
        return None
    if start is None:  # a copy without the file that says when it began
        assert description is not None
        origin = _origin_of(description)
        begun = folder.run.stat().st_mtime - description.seconds_total
    else:
        origin, begun = start.origin, start.begun
    begun_ms = int(1000 * begun)
    text = origin.model_dump_json() + (str(start.begun) if start else "")
    epochs = folder.read_epochs() if folder.metrics.exists() else []
    mirrored, not_finite = _mirrored(epochs, begun_ms)
    state = RunState(
        folder=folder,
        key=hashlib.sha256(text.encode()).hexdigest(),
        name=run_name(origin.run),
        origin=origin,
        status="RUNNING" if held else "KILLED",
        begun_ms=begun_ms,
        epochs=mirrored,
        tags=flatten({"provenance": origin.provenance.model_dump()}),
    )
    return _with_results(state, description, held, not_finite)


def _origin_of(description: RunDescription) -> RunOrigin:
    return RunOrigin(**{name: getattr(description, name) for name in RunOrigin.model_fields})


def _with_results(
    state: RunState, description: RunDescription | None, held: bool, not_finite: dict[str, list[int]]
) -> RunState:
    """The same with what is known once the training is over."""
    if description is None:
        return replace(state, tags=state.tags | _told(not_finite, []))
    folder, tags = state.folder, state.tags | _facts(description)
    results = {f"cost/{name}": float(getattr(description, name)) for name in _COSTS}
    if description.diverged is not None:
        state = replace(state, status="FAILED", ended_ms=_ms(folder.run))
    elif folder.model.exists() and not held:  # a folder that is held may still have measurements of the run before
        results |= _measured(folder, description.kept_epoch or 1)
        state = replace(state, status="FINISHED", ended_ms=_ms(folder.model))
    else:
        return replace(state, tags=tags | _told(not_finite, []))
    finite = {name: value for name, value in results.items() if math.isfinite(value)}
    tags |= _told(not_finite, [name for name in results if name not in finite])
    return replace(state, results=finite, results_sha256=_digest(folder), tags=tags)


def _facts(description: RunDescription) -> dict[str, str]:
    facts = {name: str(getattr(description, name)) for name in ("device", "threads", "kept_epoch", "n_parameters")}
    return facts if description.diverged is None else facts | {"diverged": str(description.diverged)}


def _measured(folder: RunFolder, kept_epoch: int) -> dict[str, float]:
    measured, epochs = folder.read_measurements(), folder.read_epochs()
    kept = {"validation/psnr_of_kept_epoch": epochs[kept_epoch - 1].validation_psnr}
    return (
        kept
        | {f"network/{name}": float(getattr(measured, name)) for name in MEASURES_OF_A_RUN}
        | test_metrics(folder.slices)
    )


def _ms(path: Path) -> int:
    return int(1000 * path.stat().st_mtime)


def _digest(folder: RunFolder) -> str:
    """Digest of a run's results: another one as soon as a result differs."""
    files = (folder.run, folder.metrics, folder.slices, folder.model, folder.examples)
    return hashlib.sha256("".join(sha256_of(path) for path in files if path.exists()).encode()).hexdigest()


def _told(epochs: dict[str, list[int]], results: list[str]) -> dict[str, str]:
    """The tag that names what has no value: MLflow would show it as 0, or as 1.8e308."""
    in_epochs = [f"{name} (epochs {', '.join(map(str, numbers))})" for name, numbers in epochs.items()]
    return {"not_finite": "; ".join([*in_epochs, *results]) or "none"}


def _mirrored(epochs: list[Epoch], begun_ms: int) -> tuple[list[MirroredEpoch], dict[str, list[int]]]:
    """The metrics of every epoch, and for each metric in which epochs it is not finite."""
    found: list[MirroredEpoch] = []
    not_finite: dict[str, list[int]] = {}
    for epoch, end in zip(epochs, accumulate(epoch.seconds for epoch in epochs), strict=True):
        values = {_section(name): float(value) for name, value in epoch if name not in _COUNTERS}
        values |= {f"system/{name}": value for name, value in epoch.system.items()}
        for name in [name for name, value in values.items() if not math.isfinite(value)]:
            not_finite.setdefault(name, []).append(epoch.epoch)
            del values[name]
        time_ms = begun_ms + int(1000 * end)
        found.append(MirroredEpoch(epoch.epoch, epoch.step, time_ms, {"training/epoch": epoch.epoch, **values}))
    return found, not_finite


def _section(name: str) -> str:
    return f"validation/{name.removeprefix('validation_')}" if name.startswith("validation_") else f"training/{name}"


def test_metrics(slices_csv: Path) -> dict[str, float]:
    """Means over test patients, each counted once as in the report; patients and slices stay behind.

    Raises:
        InputError: the table is missing or malformed, or has no rows.
    """
    rows = read_rows(slices_csv, ("patient",))
    if not rows:
        raise InputError(f"{slices_csv}: expected a row for each test pair, found none")
    metrics = metrics_in(rows[0])
    check_numbers(slices_csv, rows, metrics)
    patients = np.array([row["patient"] for row in rows])
    values = np.array([[number(row[name]) for row in rows] for name in metrics])
    means = patient_means(values, patients).mean(axis=0)
    return {f"test/{name}": float(mean) for name, mean in zip(metrics, means, strict=True)}
