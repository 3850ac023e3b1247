"""The page of a study that is not finished, in a folder of its own: no rule looks there for its outputs.

The report of a finished study removes it.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from ctmar.config import Config
from ctmar.evaluation.collect import collect
from ctmar.reporting.lacks import Lacks
from ctmar.reporting.outdated import DESCRIPTION, PAGE, UNFINISHED
from ctmar.reporting.page import build_report
from ctmar.reporting.studies import write_description
from ctmar.reporting.study_description import describe_study
from ctmar.reporting.study_files import ReportInputs, StudyTables, read_results
from ctmar.store.planned_runs import PlannedRun, planned_runs


def report_unfinished(results: Path, config: Config, reports: Path, sources: Path | None = None) -> Path:
    """Make the tables and the page of whatever exists of a study; gives the page.

    Args:
        results: folder of the study's results; its folder ``unfinished`` is made anew for the tables.
        config: the configuration of the study.
        reports: folder of the study's report; the page lies in its folder ``unfinished``.
        sources: list of downloaded sources.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    tables = _tables_of_what_exists(results, config, sources)
    page = build_report(tables, config, reports / UNFINISHED / PAGE, unfinished=now)
    write_description(describe_study(tables, config), page.with_name(DESCRIPTION))
    return page


def _tables_of_what_exists(results: Path, config: Config, sources: Path | None) -> StudyTables:
    summary, lacks = results / UNFINISHED, Lacks(results)
    shutil.rmtree(summary, ignore_errors=True)
    runs = [one.folder.path for one in planned_runs(results, config) if _can_be_told_of(one)]

    def make() -> None:
        references, cost = results / "references" / "slices.csv", results / "cost.csv"
        collect(runs, references, cost, config.judgement, summary, leave_out=lacks.tell)

    if runs:
        lacks.unless("Every comparison of models", make, None)
    tables = read_results(ReportInputs.of_study(results, sources, summary=summary), config)
    if not runs:  # that there is no table is no news then
        tables.lacks.found[:] = [lack for lack in tables.lacks.found if UNFINISHED not in lack.why]
    tables.lacks.found[:0] = lacks.found
    return tables


def _can_be_told_of(one: PlannedRun) -> bool:
    """Whether a run diverged, or was trained and measured; what else it lacks keeps no number from the tables."""
    measured = one.folder.slices.is_file() and one.folder.model.is_file()
    return one.description is not None and (one.description.diverged is not None or measured)
