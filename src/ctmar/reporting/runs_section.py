"""The section about single runs: the table of all of them, and the learning curves of each network in one picture."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ctmar.config import Config
from ctmar.config.labels import MISSING, number, scientific
from ctmar.reporting.facets import facets_of
from ctmar.reporting.marks import Mark, SeriesKey, assign_marks, kind_marks
from ctmar.reporting.run_curves import CurveChart, Place, Scales, curve_chart
from ctmar.reporting.run_rows import RunRow, run_rows, settings_of_all
from ctmar.reporting.shown_tables import Cell, decimals
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.wording import listing, plural
from ctmar.store.planned_runs import PlannedRun
from ctmar.store.tables import table_text

MAXIMUM_ROWS = 600  # of the table and of a picture; the table to take away holds all runs


@dataclass(frozen=True)
class ShownRun:
    """A row with its mark and its two small curves as path data; ``n_seeds`` are finished of its setting."""

    row: RunRow
    mark: Mark
    n_seeds: int
    psnr_path: str
    loss_path: str

    @property
    def folder(self) -> str:
        """What tells the run from all others."""
        return self.row.run.folder_name

    @property
    def facets(self) -> str:
        """What the filter of the page asks of it."""
        return facets_of({**self.row.run.model_dump(), "n_seeds": self.n_seeds})

    @property
    def says(self) -> str:
        """What the point of its curve says."""
        return f"{self.row.name}, seed {self.row.run.seed}: {self.psnr_db.text} dB, {self.row.planned.state}"

    @property
    def psnr_db(self) -> Cell:
        """PSNR on the validation pairs [dB]."""
        return _cell(self.row.curve.shown_psnr_db, number)

    @property
    def loss(self) -> Cell:
        """Loss of the last epoch."""
        return _cell(self.row.curve.last_loss, scientific)

    @property
    def seconds(self) -> Cell:
        """Time of the training [s]."""
        return _cell(self.row.seconds, decimals(1))

    @property
    def gpu_kj(self) -> Cell:
        """Energy of the GPU [kJ]."""
        return _cell(self.row.curve.gpu_kj, decimals(1))


@dataclass(frozen=True)
class NetworkCurves:
    """The picture of one network: its axes, and each curve with its run."""

    network: str
    chart: CurveChart
    curves: list[tuple[ShownRun, Place]]


@dataclass(frozen=True)
class RunsSection:
    """What the template lays out.

    Args:
        rows: the runs that are shown, those that are not finished first where there are too many.
        kinds: the kinds of methods, each with the mark of its first series.
        networks: a picture for each network with a curve.
        n_runs: runs that were planned.
        states: how many there are of each state, in words.
        common: what all runs share, in words.
        several_networks: whether a row has to say which network it is of.
        with_energy: whether the energy of any run is known.
        download: the table of all runs as a ``data:`` address.
    """

    rows: list[ShownRun]
    kinds: list[tuple[str, Mark]]
    networks: list[NetworkCurves]
    n_runs: int
    states: str
    common: str
    several_networks: bool
    with_energy: bool
    download: str


def runs_section(results: StudyTables, config: Config, marks: Mapping[SeriesKey, Mark]) -> RunsSection:
    """Every planned run of a study.

    Args:
        results: the study.
        config: its configuration.
        marks: mark of every method and norm that was measured; others get one of their own.
    """
    rows = run_rows(results.planned, results.folder, config, results.lacks.without_folders)
    every = assign_marks([*marks, *((row.run.method, row.run.norm) for row in rows)])
    shown = _shown(rows, config, every)
    return RunsSection(
        rows=shown,
        kinds=kind_marks({(row.run.method, row.run.norm): every[row.run.method, row.run.norm] for row in rows}),
        networks=_pictures(shown, config),
        n_runs=len(rows),
        states=states_in_words(Counter(row.planned.state for row in rows)),
        common=_in_common(results.planned, config),
        several_networks=len(config.study.networks) > 1,
        with_energy=any(one.row.curve.gpu_kj is not None for one in shown),
        download=f"data:text/csv;charset=utf-8,{quote(table_text([row.facts for row in rows]))}",
    )


def states_in_words(counts: Mapping[str, int]) -> str:
    """How many runs there are of each state.

    Examples:
        >>> states_in_words({"finished": 7, "not run": 2})
        '7 finished, 2 not run'
    """
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def _cell(value: float | None, write: Callable[[float], str]) -> Cell:
    return Cell(MISSING) if value is None or not math.isfinite(value) else Cell(write(value), value)


def _shown(rows: Sequence[RunRow], config: Config, marks: Mapping[SeriesKey, Mark]) -> list[ShownRun]:
    """The rows of the table; of more than it has room for, first those that are not finished."""
    if len(rows) > MAXIMUM_ROWS:
        rows = sorted(rows, key=lambda row: row.planned.state == "finished")[:MAXIMUM_ROWS]
    seeds = Counter(row.run.setting for row in rows if row.planned.state == "finished")
    scales = {
        network: Scales.of([row.curve for row in rows if row.run.network == network], config.training.epochs)
        for network in dict.fromkeys(row.run.network for row in rows)
    }
    return [
        ShownRun(
            row=row,
            mark=marks[row.run.method, row.run.norm],
            n_seeds=seeds[row.run.setting],
            psnr_path=scales[row.run.network].psnr_path(row.curve),
            loss_path=scales[row.run.network].loss_path(row.curve),
        )
        for row in rows
    ]


def _pictures(shown: Sequence[ShownRun], config: Config) -> list[NetworkCurves]:
    found = []
    for network in dict.fromkeys(one.row.run.network for one in shown):
        own = [one for one in shown if one.row.run.network == network]
        chart = curve_chart([one.row.curve for one in own], config.training.epochs)
        if chart is not None:
            curves = [(one, place) for one, place in zip(own, chart.places, strict=True) if place is not None]
            found.append(NetworkCurves(network, chart, curves))
    return found


def _in_common(planned: Sequence[PlannedRun], config: Config) -> str:
    training = config.training
    parts = [
        f"{plural(training.epochs, 'epoch')} of {plural(training.steps_per_epoch, 'step')}",
        f"batches of {training.batch_size} patches of {training.patch_size} × {training.patch_size} pixels",
        f"Adam with a learning rate of {training.learning_rate:g} ({training.schedule})",
        f"the group {config.study.group}",
        *settings_of_all(planned),
    ]
    return listing(parts)
