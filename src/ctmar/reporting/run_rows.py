"""Every planned run as a row: what sets it apart, what became of it, and what is left of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ctmar.config import Config, Run
from ctmar.config.labels import condition_parts, own_settings, series_label
from ctmar.errors import InputError
from ctmar.reporting.run_curves import Curve, read_curve
from ctmar.store.mirrored_runs import read_mirrored
from ctmar.store.planned_runs import PlannedRun
from ctmar.store.provenance import read_checksums

_SHA_DIGITS = 12  # of a digest that are shown


@dataclass(frozen=True)
class RunRow:
    """One run of the study.

    Args:
        planned: the run, its folder, its state.
        series: method and norm in words.
        settings: what it has beside them that not every run of the study has.
        why: what is known of the cause of its state, without folders of this machine.
        curve: its epochs.
        resumed: times that its training went on from a checkpoint in a later attempt of its job.
        log: log of its last job, below the folder of the study's checkout; empty where no job came to it.
        weights: its network, or the checkpoint from which it would go on, below the same folder; empty without either.
        weights_sha256: digest of the network, as its finished job wrote it down.
        mlflow_run_id: of the run that mirrors it, where one does.
    """

    planned: PlannedRun
    series: str
    settings: list[str]
    why: str
    curve: Curve
    resumed: int
    log: str
    weights: str
    weights_sha256: str
    mlflow_run_id: str

    @property
    def run(self) -> Run:
        """What was asked for."""
        return self.planned.run

    @property
    def name(self) -> str:
        """Its method, norm and settings; without its seed."""
        return ", ".join([self.series, *self.settings])

    @property
    def seconds(self) -> float:
        """Time of its training, pauses between attempts left out [s]; NaN until it is over."""
        description = self.planned.description
        return math.nan if description is None else description.seconds_total

    @property
    def hardware(self) -> str:
        """What it was trained on; empty until it is over."""
        description = self.planned.description
        if description is None:
            return ""
        if description.device != "cpu":
            return description.device
        threads = f"{description.threads} thread{'s' * (description.threads > 1)}"
        return f"CPU with {description.provenance.processor}, {threads}"

    @property
    def short_sha256(self) -> str:
        """The first digits of the digest of its network."""
        return self.weights_sha256[:_SHA_DIGITS]

    @property
    def facts(self) -> dict[str, Any]:
        """The row of the table to take away: settings as the configuration has them, then what became of the run."""
        return self.run.model_dump() | {
            "state": self.planned.state,
            "why": self.why,
            "attempts": len(self.planned.attempts),
            "resumed": self.resumed,
            "epochs": self.curve.n_epochs,
            "validation_psnr": _known(self.curve.shown_psnr_db),
            "loss": _known(self.curve.last_loss),
            "seconds_total": _known(self.seconds),
            "hardware": self.hardware,
            "gpu_kj": self.curve.gpu_kj,
            "mlflow_run_id": self.mlflow_run_id,
            "log": self.log,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
        }


def run_rows(
    planned: Sequence[PlannedRun], results: Path, config: Config, shown: Callable[[str], str] = str
) -> list[RunRow]:
    """The rows of all runs, in the order of the configuration; what all runs have in common is in none of them.

    Args:
        planned: what became of each.
        results: folder of the study's results.
        config: its configuration.
        shown: makes of a message what a page may show.
    """
    common = set(settings_of_all(planned))
    digests, mirrored = _digests(results / "jobs"), read_mirrored(results)
    return [_row(one, common, config.study.name, digests=digests, mirrored=mirrored, shown=shown) for one in planned]


def settings_of_all(planned: Sequence[PlannedRun]) -> list[str]:
    """What every run of a study has, in words, beside method, norm and seed."""
    every = [_settings(one.run) for one in planned]
    return [part for part in every[0] if all(part in other for other in every)] if every else []


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _settings(run: Run) -> list[str]:
    return [*own_settings(run.model_dump()), *condition_parts(*run.condition)]


def _row(
    planned: PlannedRun,
    common: set[str],
    study: str,
    *,
    digests: Mapping[str, str],
    mirrored: Mapping[str, str],
    shown: Callable[[str], str],
) -> RunRow:
    run, folder = planned.run, planned.folder
    last = planned.attempts[-1].job if planned.attempts else ""
    kept = folder.weights if planned.state == "finished" else folder.checkpoint
    where = f"results/{study}/runs/{run.folder_name}/{kept.name}" if kept.is_file() else ""
    curve = read_curve(folder, planned.description.kept_epoch if planned.description else None)
    return RunRow(
        planned=planned,
        series=series_label(run.method, run.norm),
        settings=[part for part in _settings(run) if part not in common],
        why=shown(planned.why or curve.problem),
        curve=curve,
        resumed=_times_resumed(planned),
        log=f"logs/{study}/train/{last}.log" if last else "",
        weights=where,
        weights_sha256=digests.get(f"{run.folder_name}/{folder.weights.name}", "") if where else "",
        mlflow_run_id=mirrored.get(run.folder_name, ""),
    )


def _times_resumed(planned: PlannedRun) -> int:
    """How many attempts of its job began between its first step and its end: each went on where it stood."""
    start = planned.folder.read_start()
    if start is None:
        return 0
    over = planned.folder.run.stat().st_mtime if planned.description is not None else math.inf
    begun = [datetime.fromisoformat(attempt.start.time).timestamp() for attempt in planned.attempts]
    return sum(start.begun < moment < over for moment in begun)


def _digests(jobs: Path) -> dict[str, str]:
    """The digests of all files of finished jobs, by their names below the folder of all runs."""
    found: dict[str, str] = {}
    for path in sorted(jobs.glob("*.sha256")):
        try:
            found |= read_checksums(path)
        except InputError:  # a list that cannot be read names no digest; the bundle and `sha256sum` tell why
            continue
    return found
