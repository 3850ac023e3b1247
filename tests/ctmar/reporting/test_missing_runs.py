"""Which planned runs the page calls missing."""

from dataclasses import replace

import pandas as pd

from ctmar.reporting.missing_runs import missing_runs, n_missing
from ctmar.reporting.study_files import StudyTables, _of_base_condition
from ctmar.store.planned_runs import PlannedRun


def under_another_condition(one: PlannedRun) -> PlannedRun:
    return replace(one, run=one.run.model_copy(update={"asymmetry": 0.4}))


def test_runs_under_other_conditions_are_measured_too(results: StudyTables) -> None:
    """Once the page said of the default study that 106 of its 237 runs were missing."""
    assert (missing_runs(results), n_missing(results)) == ([], 0)
    planned = [*results.planned, *map(under_another_condition, results.planned)]
    every_run = pd.concat([results.every_run, results.every_run.assign(asymmetry=0.4)])
    assert n_missing(replace(results, planned=planned, every_run=every_run)) == 0
    assert n_missing(replace(results, planned=planned)) == len(results.planned)


def test_tables_of_runs_are_of_the_base_condition(results: StudyTables) -> None:
    every_run = pd.concat([results.every_run.assign(asymmetry=0.4), results.every_run])
    assert (_of_base_condition(every_run)["asymmetry"] == 0).all()
    assert len(_of_base_condition(every_run)) == len(results.runs)
    assert len(_of_base_condition(every_run.head(0))) == 0
