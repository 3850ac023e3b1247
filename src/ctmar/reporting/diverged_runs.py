"""The runs that diverged, in the words of the banner above the report and of the cards."""

from dataclasses import dataclass

from ctmar.config.methods import METHODS, MethodFacts
from ctmar.reporting.missing_runs import run_label
from ctmar.reporting.study_files import RunRecord, StudyTables

_FEW = 6  # runs that the banner names at once; more are folded


@dataclass(frozen=True)
class DivergedRun:
    """One run: the name of its setting, its seed, and where its training stopped being finite."""

    name: str
    seed: int
    where: str


@dataclass(frozen=True)
class DivergedRuns:
    """Every run that diverged, in the order of the study, and the settings that no seed is left of."""

    runs: list[DivergedRun]
    lost: list[str]

    @property
    def first(self) -> list[DivergedRun]:
        """What a reader sees at once: all of a few, none of many."""
        return self.runs if len(self.runs) <= _FEW else []


def diverged_runs(results: StudyTables) -> DivergedRuns:
    """What the report says of the runs that diverged, under whatever condition."""
    records = results.diverged
    several = len(networks_of_all_runs(results)) > 1
    left = {record.setting for record in results.records}
    base = {record.description.run.condition for record in results.records}
    lost = [
        record
        for record in records
        if record.setting not in left and (not base or record.description.run.condition in base)
    ]
    return DivergedRuns(
        [
            DivergedRun(run_label(record.description.run, several), record.seed, str(record.description.diverged))
            for record in records
        ],
        list(dict.fromkeys(run_label(record.description.run, several) for record in lost)),
    )


def networks_of_all_runs(results: StudyTables) -> list[str]:
    """The networks that the study trains, whether or not a run of them is left."""
    named = [*(record.description.run.network for record in _every(results)), *results.models["network"]]
    return list(dict.fromkeys([*named, *(one.run.network for one in results.planned)]))


def methods_of_all_runs(results: StudyTables) -> list[MethodFacts]:
    """The methods that the study trained, whether or not a run of them is left."""
    return [METHODS[name] for name in dict.fromkeys(record.description.run.method for record in _every(results))]


def n_parameters(results: StudyTables) -> dict[str, str]:
    """The size of every network that was trained, in words."""
    return {record.identity[0]: f"{record.description.n_parameters:,}" for record in _every(results)}


def _every(results: StudyTables) -> list[RunRecord]:
    return [*results.records, *results.diverged]
