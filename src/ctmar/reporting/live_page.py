"""The live view of a study as a small page that shows itself anew: a file, no server."""

from dataclasses import dataclass
from pathlib import Path

from ctmar.config.labels import number
from ctmar.reporting.environment import asset, environment
from ctmar.reporting.live_study import LiveRun, LiveStudy
from ctmar.reporting.live_text import clock, name_of, outlook
from ctmar.reporting.marks import Mark, assign_marks
from ctmar.reporting.run_curves import CurveChart, Place, Scales, curve_chart
from ctmar.store.atomic import atomic_path

_LEAST_SECONDS = 3  # between two views of a page: a reader wants to read it


@dataclass(frozen=True)
class LiveRow:
    """A run as the page lists it, with what it does, and its small curve as path data."""

    name: str
    folder: str
    state: str
    does: str
    psnr: str
    path: str
    mark: Mark

    @property
    def says(self) -> str:
        """What the point of its curve says."""
        return f"{self.name}: {self.psnr} dB, {self.state}"


@dataclass(frozen=True)
class LivePicture:
    """The curves of one network."""

    network: str
    chart: CurveChart
    curves: list[tuple[LiveRow, Place]]


def write_live_page(study: LiveStudy, output: Path, every: float) -> None:
    """Write the page; the last one, of a study that is done, does not show itself anew.

    Args:
        study: what was seen.
        output: the HTML file.
        every: seconds until the next look.
    """
    html = render_live_page(study, every)
    with atomic_path(output) as temporary:
        temporary.write_text(html, encoding="utf-8")


def render_live_page(study: LiveStudy, every: float) -> str:
    """The page as text."""
    shown = [*study.running, *study.over]
    marks = assign_marks((one.planned.run.method, one.planned.run.norm) for one in shown)
    n_epochs = study.config.training.epochs
    rows, pictures = {}, []
    for network in dict.fromkeys(one.planned.run.network for one in shown):
        own = [one for one in shown if one.planned.run.network == network]
        scales, chart = (
            Scales.of([one.curve for one in own], n_epochs),
            curve_chart([one.curve for one in own], n_epochs),
        )
        for one in own:
            run = one.planned.run
            rows[run] = _row(one, study, scales.psnr_path(one.curve), marks[run.method, run.norm])
        if chart is not None:
            placed = zip(own, chart.places, strict=True)
            curves = [(rows[one.planned.run], place) for one, place in placed if place is not None]
            pictures.append(LivePicture(network, chart, curves))
    return (
        environment()
        .get_template("live.html")
        .render(
            study=study,
            seconds=max(_LEAST_SECONDS, round(every)),
            outlook=outlook(study),
            moment=clock(study.moment),
            running=[rows[one.planned.run] for one in study.running],
            over=[rows[one.planned.run] for one in study.over[:20]],
            broken=[(name_of(one, study), one.state, one.why) for one in study.broken],
            pictures=pictures,
            style=asset("report.css") + asset("runs.css"),
        )
    )


def _row(one: LiveRun, study: LiveStudy, path: str, mark: Mark) -> LiveRow:
    curve, planned = one.curve, one.planned
    if planned.state == "running" and planned.description is not None:
        does = "is measured"
    elif planned.state == "running":
        does = f"epoch {curve.n_epochs + 1} of {study.config.training.epochs}"
        does += f", {curve.images_per_second:.0f} images/s" if curve.n_epochs else ""
    else:
        does = planned.why or f"at {clock(one.ended, study.moment)}"
    return LiveRow(
        name_of(planned, study), planned.run.folder_name, planned.state, does, number(curve.shown_psnr_db), path, mark
    )
