"""Networks of the literature's size, whose steps a study times and which it does not train."""

from dataclasses import dataclass
from typing import Any

from ctmar.reporting import charts, forest
from ctmar.reporting.diverged_runs import networks_of_all_runs
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.study_files import StudyTables, rows_of


@dataclass(frozen=True)
class TimedNetwork:
    """Its name, its size, what its plain step was measured with, and the chart of step times."""

    name: str
    n_parameters: str
    plain: dict[str, Any]
    chart: charts.Spec


def timed_networks(results: StudyTables, marks: dict[SeriesKey, Mark]) -> list[TimedNetwork]:
    """The networks of cost.csv that the study did not train."""
    only = results.cost[~results.cost["network"].isin(networks_of_all_runs(results))]
    return [
        TimedNetwork(
            name=str(name),
            n_parameters=f"{int(rows['n_parameters'].iloc[0]):,}",
            plain=rows_of(rows)[0],
            chart=forest.ratio_chart(charts.prepare_series(rows.reset_index(drop=True), marks)),
        )
        for name, rows in only.groupby("network", sort=False)
    ]
