"""Layer by layer: which ones keep a part that is not equivariant, since when, and what kernels look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ctmar.config.labels import model_label, scientific
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.axes import value_axis, value_scale
from ctmar.reporting.charts import Spec, clean, finish, points
from ctmar.reporting.choice import Identity, shown_settings
from ctmar.reporting.kernel_pictures import KernelChooser, kernel_chooser
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.panels import Axis, Dot, Line, Panel, Panels, horizontal, line, vertical
from ctmar.reporting.required_columns import IDENTITY
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.wording import plural
from ctmar.store.even_choice import evenly_spaced

MOST_PANELS = 12  # layers that have a panel of their own; the chart over depth has all
RATIO = "‖W − P(W)‖ / ‖W‖"
Row = dict[str, Any]
Series = tuple[str, Mark, pd.DataFrame]  # label, mark, rows


@dataclass(frozen=True)
class LayerSection:
    """What is drawn of the layers of one network; curves and kernels are None where the runs have no record of them."""

    sentences: list[str]
    legend: list[tuple[str, Mark, int]]  # label, mark, seeds
    averaged: list[str]
    n_layers: int
    depth: Spec
    curves: list[tuple[str, Panels]]
    kernels: KernelChooser | None

    @property
    def of_all(self) -> str:
        """What a caption says where not every layer has a panel."""
        return f"; {MOST_PANELS} of {self.n_layers} layers, evenly spaced" if self.n_layers > MOST_PANELS else ""


def layer_section(results: StudyTables, network: str, marks: dict[SeriesKey, Mark]) -> LayerSection | None:
    """The layers of a network in the settings that stand for the kinds of methods; None where nothing is known of them.

    Args:
        results: the study.
        network: name of the network.
        marks: mark of every method and norm.
    """
    settings = shown_settings(results.models, network)
    # averaging over the group at prediction time leaves a plain network's weights as they are
    trained = [identity for identity in settings if METHODS[identity[1]].kind is not Kind.AVERAGING]
    ends = _series_of(results.layers, trained, marks)
    if not ends:
        return None
    return LayerSection(
        sentences=_sentences(ends),
        legend=[(label, mark, int(own["n_seeds"].iloc[0])) for label, mark, own in ends],
        averaged=[_label(identity) for identity in settings if identity not in trained],
        n_layers=max(int(own["depth"].max()) for _, _, own in ends),
        depth=_depth_chart(ends),
        curves=_curves(_series_of(results.layer_curves, trained, marks)),
        kernels=kernel_chooser(results.records, trained),
    )


def _series_of(table: pd.DataFrame, settings: Sequence[Identity], marks: dict[SeriesKey, Mark]) -> list[Series]:
    """The kernels of the settings that the table has rows of, those with finite norms."""
    finite = np.isfinite(table[["norm_equivariant", "norm_perpendicular"]].to_numpy(float)).all(axis=1)
    kernels = table[finite & (table["parameter"] == "weight").to_numpy()]
    by_setting = dict(tuple(kernels.groupby(IDENTITY, sort=False)))
    return [
        (_label(identity), marks[identity[1], identity[2]], by_setting[identity])
        for identity in settings
        if identity in by_setting
    ]


def _label(identity: Identity) -> str:
    return model_label(dict(zip(IDENTITY, identity, strict=True)))


def _sentences(ends: Sequence[Series]) -> list[str]:
    """Where plain training and the penalty keep most that is not equivariant, and how that goes with depth."""
    told = [
        (label, rows_of(own.sort_values("depth")))
        for label, _, own in ends
        if METHODS[own["method"].iloc[0]].kind in (Kind.PLAIN, Kind.PENALTY)
    ]
    return [_extremes(label, rows) for label, rows in told] + [
        _comparison(told[0], other) for other in told[1:] if _is_plain(ends[0])
    ]


def _extremes(label: str, rows: list[Row]) -> str:
    most, least = (choose(rows, key=lambda row: row["ratio"]) for choose in (max, min))
    others = [
        f"the {name} layer has {scientific(row['ratio'])}"
        for name, row in (("first", rows[0]), ("last", rows[-1]))
        if row not in (most, least)
    ]
    seeds = plural(int(rows[0]["n_seeds"]), "seed")
    said = f"is largest in {_place(most, rows)} and smallest in {_place(least, rows)}"
    return f"“{label}” (mean of {seeds}): {RATIO} {'; '.join([said, *others])}."


def _place(row: Row, rows: list[Row]) -> str:
    return f"{row['layer']} (layer {row['depth']:g} of {rows[-1]['depth']:g}: {scientific(row['ratio'])})"


def _comparison(plain: tuple[str, list[Row]], other: tuple[str, list[Row]]) -> str:
    of_plain = {row["layer"]: row["ratio"] for row in plain[1]}
    common = [row for row in other[1] if row["layer"] in of_plain]
    n_below = sum(row["ratio"] < of_plain[row["layer"]] for row in common)
    return f"{RATIO} is smaller for “{other[0]}” than for “{plain[0]}” in {n_below} of {plural(len(common), 'layer')}."


def _is_plain(series: Series) -> bool:
    return METHODS[series[2]["method"].iloc[0]].kind is Kind.PLAIN


def _depth_chart(ends: Sequence[Series]) -> Spec:
    """The share of every layer that is not equivariant, against its depth."""
    table = pd.concat(
        [
            own.assign(
                label=label,
                colour=mark.colour,
                shape=mark.shape,
                says=[f"{label}\n{row['layer']}: {scientific(row['ratio'])}" for row in rows_of(own)],
            )
            for label, mark, own in ends
        ]
    )
    scale = value_scale(table[["ratio"]])
    depths = sorted(set(table["depth"]))
    x = alt.X(
        "depth:Q",
        title="layer, in the order of the network",
        scale=alt.Scale(domain=[depths[0] - 0.3, depths[-1] + 0.3], nice=False),
        axis=alt.Axis(values=[depths[k] for k in evenly_spaced(len(depths), MOST_PANELS)], format="d", grid=False),
    )
    y = alt.Y("ratio:Q", title=RATIO, scale=scale, axis=value_axis(scale))
    shown = clean(table, ["label", "colour", "shape", "says", "depth", "ratio"])
    base = alt.Chart(shown).encode(x=x, color=alt.Color("colour:N", scale=None))
    lines = base.mark_line(strokeWidth=1.5, opacity=0.7).encode(y=y, detail="label:N")
    return finish(alt.layer(lines, points(base, y)), f"{RATIO} of every layer against its depth.")


def _curves(series: Sequence[Series]) -> list[tuple[str, Panels]]:
    """Both norms by epoch, a panel for each layer and a line for each setting."""
    if not series:
        return []
    return [
        (f"{title} by epoch, 0 is the start", _panels(series, column, title))
        for column, title in (("norm_perpendicular", "‖W − P(W)‖"), ("norm_equivariant", "‖P(W)‖"))
    ]


def _panels(series: Sequence[Series], column: str, title: str) -> Panels:
    every = pd.concat([own for _, _, own in series])
    layers = list(every.drop_duplicates("depth").sort_values("depth")[["depth", "layer"]].itertuples(index=False))
    layers = [layers[k] for k in evenly_spaced(len(layers), MOST_PANELS)]
    epochs = sorted(set(every["epoch"]))
    x = horizontal([float(epoch) for epoch in epochs], [(epoch, f"{epoch:g}") for epoch in (epochs[0], epochs[-1])])
    y = vertical([0.0, *every[every["depth"].isin([depth for depth, _ in layers])][column]])
    panels = [
        _panel(f"{depth:g}: {layer}", [(*who, own[own["depth"] == depth]) for *who, own in series], column, (x, y))
        for depth, layer in layers
    ]
    return Panels(x, y, "epoch", title, panels)


def _panel(title: str, series: Sequence[Series], column: str, axes: tuple[Axis, Axis]) -> Panel:
    x, y = axes
    strokes, dots = [], []
    for label, mark, own in series:
        own = own.sort_values("epoch")
        xs, ys = own["epoch"].tolist(), own[column].tolist()
        strokes.append(Line(line(x, y, xs, ys), "mean", mark.colour))
        text = f"{label}: {scientific(ys[-1])} after epoch {xs[-1]:g}, mean of {own['n_seeds'].iloc[-1]:g}"
        dots.append(Dot(x.at(xs[-1]), y.at(ys[-1]), text, beyond=not y.holds(ys[-1]), mark=mark))
    return Panel(title, "currentColor", strokes, dots)
