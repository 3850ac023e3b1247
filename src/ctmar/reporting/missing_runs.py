"""The runs that a configuration asks for and that no number of the page is of, grouped by what became of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ctmar.config import Run
from ctmar.config.labels import condition_parts, model_label
from ctmar.reporting.required_columns import RUN_KEY
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.wording import listing, plural
from ctmar.store.planned_runs import PlannedRun

_FEW = 6  # settings of a group that the banner names at once; more are folded
_WORDS = {  # states in the order in which the banner tells them
    "failed": "failed",
    "killed": "killed",
    "stopped": "stopped",
    "damaged": "damaged",
    "running": "running",
    "not run": "not run",
    "finished": "finished, and not in the tables",
    "damaged later": "damaged, whose numbers are in the tables",
}


@dataclass(frozen=True)
class MissingRuns:
    """Runs with one state and one reason: how many, in words, and their settings with the seeds of each."""

    n: int
    state: str
    why: str
    settings: list[str]

    @property
    def words(self) -> str:
        """How many, what became of them, and why."""
        reason = f": {self.why}" if self.why else ""
        return f"{plural(self.n, 'run')} {self.state}{reason}"

    @property
    def few(self) -> bool:
        """Whether all are named at once."""
        return len(self.settings) <= _FEW


def missing_runs(results: StudyTables) -> list[MissingRuns]:
    """The planned runs that are neither measured nor diverged, and those whose files have been damaged since.

    Args:
        results: the study.
    """
    told = _keys(results.every_run) | {record.key for record in results.diverged}
    missing = [one for one in results.planned if one.state == "damaged" or _key(one.run) not in told]
    groups: dict[tuple[str, str], list[PlannedRun]] = {}
    for one in sorted(missing, key=lambda one: list(_WORDS).index(_state(one, told))):
        groups.setdefault((_WORDS[_state(one, told)], results.lacks.without_folders(one.why)), []).append(one)
    several = len({one.run.network for one in results.planned}) > 1
    return [
        MissingRuns(len(own), state, why, settings_with_seeds((one.run for one in own), several))
        for (state, why), own in groups.items()
    ]


def n_missing(results: StudyTables) -> int:
    """How many planned runs no number of the page is of."""
    told = _keys(results.every_run) | {record.key for record in results.diverged}
    return sum(_key(one.run) not in told for one in results.planned)


def settings_with_seeds(runs: Iterable[Run], several_networks: bool) -> list[str]:
    """The settings of some runs, each once with its seeds.

    Examples:
        >>> settings_with_seeds([Run(network="n", method="plain", seed=seed) for seed in (0, 2)], False)
        ['Plain, seeds 0 and 2']
    """
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(run_label(run, several_networks), []).append(str(run.seed))
    return [f"{name}, {'seed' if len(own) == 1 else 'seeds'} {listing(own)}" for name, own in seeds.items()]


def run_label(run: Run, several_networks: bool) -> str:
    """The name of a setting with the condition that it is trained under, and its network where there are several."""
    parts = [model_label(run.model_dump()), *condition_parts(*run.condition)]
    return ", ".join([*parts, f"network “{run.network}”"] if several_networks else parts)


def _state(one: PlannedRun, told: set[tuple[object, ...]]) -> str:
    if _key(one.run) in told:
        return "damaged later"
    # a run may have diverged after the tables were made
    return "finished" if one.state == "diverged" else one.state


def _key(run: Run) -> tuple[object, ...]:
    return tuple(getattr(run, name) for name in RUN_KEY)


def _keys(table: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(table[RUN_KEY].itertuples(index=False, name=None))
