"""What the finished runs of a study measured, gathered so that every comparison is paired."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Judgement, Run
from ctmar.config.study import Condition, base_condition
from ctmar.errors import InputError
from ctmar.evaluation.columns import METRICS, PAIR_COLUMNS
from ctmar.evaluation.compared_models import Model, in_common
from ctmar.evaluation.crossed_table import over_patients_and_seeds, patient_means
from ctmar.evaluation.intervals import NOTHING, Estimate, over_patients
from ctmar.evaluation.run_results import Identity, Pair, RunResult, identity_of, read_run
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

_STANDARD = ("equivariant", 1.0)
Folds = Sequence[Hashable]
LeaveOut = Callable[[str, str], None]  # what, and why


@dataclass(frozen=True)
class MeasuredStudy:
    """All models of one condition on the same test pairs, with the settings of its intervals.

    A run that diverged has nothing to measure: a model has the seeds that did not, and where none is left there is no
    such model. All others are compared as if it had not been tried.

    Args:
        condition: asymmetry and slices of all its runs.
        models: all have been trained and tested on data of the condition.
        settings: level, margin and primary comparisons.
        diverged: descriptions of the runs of this condition that diverged.
        networks: names of the networks of all runs, the first is the one that verdicts are about.
        others: the same study under its other conditions.
    """

    condition: Condition
    models: list[Model]
    settings: Judgement
    diverged: Sequence[RunDescription]
    networks: Sequence[str]
    others: Mapping[Condition, "MeasuredStudy"] = field(default_factory=dict)

    @property
    def conditions(self) -> dict[Condition, "MeasuredStudy"]:
        """The study under every condition, in their order."""
        return dict(sorted({self.condition: self, **self.others}.items()))

    @cached_property  # asked for once for each model and verdict: of five hundred models that is a quarter of a million
    def standard(self) -> tuple[str, float]:
        """Start and compute of the models that stand for their methods: equivariant and 1, where any model has it."""
        every = [(str(model.run.start), model.run.compute) for model in self.models]
        return next(iter(every), _STANDARD) if _STANDARD not in every else _STANDARD

    def is_standard(self, model: Model) -> bool:
        """Whether a model has the start and the compute that methods are compared at."""
        return (model.run.start, model.run.compute) == self.standard

    @property
    def angles_deg(self) -> list[float]:
        """Angles between quarter turns at which the defect was measured, the same for all runs."""
        return next((run.angles_deg for run in self._measured_runs()), [])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Columns of the metrics, the same for all runs: `METRICS`, and what the study brings of its own."""
        return next((tuple(run.metrics) for run in self._measured_runs()), METRICS)

    @property
    def pairs(self) -> list[tuple[str, ...]]:
        """Every pair that any run was tested on, values of `PAIR_COLUMNS`."""
        return next((model.runs[0].pairs for model in self.models), [])

    def _measured_runs(self) -> Iterator[RunResult]:
        """All runs under any condition that did not diverge."""
        return (run for study in (self, *self.others.values()) for model in study.models for run in model.runs)

    def n_diverged(self, model: Model) -> int:
        """How many seeds of a model diverged."""
        return sum(identity_of(one.run) == model.identity for one in self.diverged)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient of each pair."""
        return self.column("patient")

    def column(self, name: str) -> NDArray[np.str_]:
        """A column of `PAIR_COLUMNS`, one text for each pair."""
        place = PAIR_COLUMNS.index(name)
        return np.array([pair[place] for pair in self.pairs], np.str_)

    @property
    def alpha(self) -> float:
        """One minus the level of the intervals."""
        return 1 - self.settings.confidence

    @property
    def margins(self) -> tuple[float, float]:
        """The ends of the margin of equivalence [dB]."""
        return -self.settings.equivalence_margin_db, self.settings.equivalence_margin_db

    def patient_table(
        self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Means over the pairs of each patient, shape (n_patients, n_seeds), of values (n_seeds, n_pairs).

        Pairs that are NaN (not tested, or a region without pixels) or not ``chosen`` are left out.
        """
        return patient_means(np.where(True if chosen is None else chosen, values, np.nan), self.patients)

    def estimate(self, values: NDArray[np.float64], folds: Folds, chosen: NDArray[np.bool_] | None = None) -> Estimate:
        """Mean of values (n_seeds, n_pairs) over patients and seeds, of which each has its fold."""
        table = self.patient_table(values, chosen)
        return NOTHING if np.isnan(table).all() else over_patients_and_seeds(table, folds)

    def over_patients(self, values: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None) -> Estimate:
        """The same of what has no seed, values (1, n_pairs)."""
        table = self.patient_table(values, chosen)[:, 0]
        known = table[~np.isnan(table)]
        return over_patients(known) if known.size else NOTHING

    def mean_of(self, model: Model, metric: str) -> Estimate:
        """Mean of a metric of a model."""
        return self.estimate(model.metric(metric), model.folds())

    def difference(self, model: Model, other: Model, metric: str) -> Estimate:
        """Mean of ``model`` − ``other`` over patients and the seeds that both have, pair by pair."""
        first, second = in_common(model, other)
        if not first.runs:
            return NOTHING
        return self.estimate(first.metric(metric) - second.metric(metric), first.folds())

    def plain_of(self, model: Model) -> Model | None:
        """The plain model that a model is compared with: of its network and start, with the steps of the study."""
        plain = [other for other in self.models if (other.network, other.method) == (model.network, "plain")]
        own_start = [other for other in plain if (other.run.start, other.run.compute) == (model.run.start, 1.0)]
        return next(iter([*own_start, *filter(self.is_standard, plain)]), None)


def read_study(run_folders: Iterable[Path], settings: Judgement, leave_out: LeaveOut | None = None) -> MeasuredStudy:
    """Read every run folder: the study under its base condition, no asymmetry and all slices where any run has that.

    Args:
        run_folders: folders of trained and measured runs.
        settings: level, margin and primary comparisons.
        leave_out: told of a run that cannot be read, and why; it is left out. None: that is an error.

    Raises:
        InputError: no folder, a file is missing or malformed, a run is given twice, or two runs of one condition and
            one seed were trained on different patients or tested on different pairs, or two runs were measured by
            different metrics or at different angles.
    """
    found = _with_shared_pairs(run for folder in run_folders for run in _read_run(RunFolder(Path(folder)), leave_out))
    if not found:
        raise InputError("expected at least one finished run, found none")
    _check_once([one.run for one in found])
    _check_alike([run for run in found if isinstance(run, RunResult)])
    networks = list(dict.fromkeys(one.run.network for one in found))
    studies = {
        condition: _study(condition, [one for one in found if one.run.condition == condition], settings, networks)
        for condition in dict.fromkeys(one.run.condition for one in found)
    }
    base = studies.pop(base_condition(studies))
    return replace(base, others=studies)


def _with_shared_pairs(runs: Iterable[RunResult | RunDescription]) -> list[RunResult | RunDescription]:
    """The runs, of which those on equal pairs share one list: thousands of texts for each run fill the memory."""
    known: list[list[Pair]] = []
    found: list[RunResult | RunDescription] = []
    for run in runs:
        if isinstance(run, RunResult):
            pairs = next((pairs for pairs in known if pairs == run.pairs), run.pairs)
            known += [pairs] if pairs is run.pairs else []
            found.append(replace(run, pairs=pairs))
        else:
            found.append(run)
    return found


def _read_run(folder: RunFolder, leave_out: LeaveOut | None) -> list[RunResult | RunDescription]:
    try:
        return [read_run(folder)]
    except InputError as error:
        if leave_out is None:
            raise
        leave_out(f"The run {'/'.join(folder.path.parts[-3:])}", str(error))
        return []


def _check_once(runs: Sequence[Run]) -> None:
    twice = [run for run, n in Counter(runs).items() if n > 1]
    if twice:
        raise InputError(f"run {twice[0].slug} of seed {twice[0].seed}: expected once, found in several folders")


def _check_alike(runs: Sequence[RunResult]) -> None:
    for run in runs:
        if run.metrics.keys() != runs[0].metrics.keys():
            raise InputError(
                f"runs {runs[0].identity} and {run.identity}: expected the same metrics, found"
                f" {', '.join(sorted(run.metrics.keys() ^ runs[0].metrics.keys()))} in one of them alone"
            )
        if run.angles_deg != runs[0].angles_deg:
            raise InputError(
                f"runs {runs[0].identity} and {run.identity}: expected defects at the same angles, found"
                f" {runs[0].angles_deg} and {run.angles_deg}"
            )


def _study(
    condition: Condition,
    found: Sequence[RunResult | RunDescription],
    settings: Judgement,
    networks: Sequence[str],
) -> MeasuredStudy:
    """The models of one condition; metrics are NaN on pairs that a run was not tested on."""
    runs = [run for run in found if isinstance(run, RunResult)]
    of_seed: dict[int, RunResult] = {}
    of_fold: dict[tuple[str, ...], RunResult] = {}
    for run in runs:
        same_seed, same_fold = of_seed.setdefault(run.seed, run), of_fold.setdefault(run.fold, run)
        if run.fold != same_seed.fold:
            raise InputError(
                f"runs {same_seed.identity} and {run.identity} of seed {run.seed} were trained on different patients"
            )
        if run.pairs != same_fold.pairs:
            raise InputError(f"runs {same_fold.identity} and {run.identity} were measured on different test pairs")
    pairs = list(dict.fromkeys(pair for run in of_fold.values() for pair in run.pairs))
    models: dict[Identity, list[RunResult]] = {}
    for run in runs:
        models.setdefault(run.identity, []).append(run.on(pairs))
    return MeasuredStudy(
        condition=condition,
        models=[Model(sorted(own, key=lambda run: run.seed)) for own in models.values()],
        settings=settings,
        diverged=[one for one in found if isinstance(one, RunDescription)],
        networks=networks,
    )
