"""Charts of the weights: one norm against λ⊥, and λᴳ against λ⊥ as a map."""

import math

import altair as alt
import pandas as pd

from ctmar.config.labels import weight
from ctmar.reporting.axes import lam_perp_axis, lam_perp_scale, value_axis, value_scale
from ctmar.reporting.charts import (
    OF,
    SAYS,
    SMALLEST_SHOWN,
    Spec,
    clean,
    finish,
    interval_text,
    points,
    says,
    with_plain_at_zero,
    write_value,
)
from ctmar.reporting.required_columns import interval_columns
from ctmar.reporting.seed_points import seed_points

_CELL_HEIGHT = 34
_BESIDE = 0.03  # of the width of the axis: seeds stand beside the interval


def response_chart(
    models: pd.DataFrame, runs: pd.DataFrame, measure: str, title: str, *, logarithmic: bool = False
) -> Spec:
    """A measure against the λ⊥ of one norm with intervals and seeds; plain training (λ⊥ = 0) is the dashed rule.

    Args:
        models: rows of one sweep and the plain row, from `prepare_models`.
        runs: ``runs.csv``.
        measure: column family, such as ``psnr_db``.
        title: title of the vertical axis, with unit.
        logarithmic: logarithmic vertical axis.
    """
    columns = interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    table = table.assign(says=says(table, **{measure: title}))
    plain, swept = table[table["method"] == "plain"], table[table["lam_perp"] > 0].sort_values("lam_perp")
    seeds = seed_points(runs, swept, measure)
    if logarithmic:
        for shown in (plain, swept):
            shown[columns] = shown[columns].clip(lower=SMALLEST_SHOWN)
        seeds["seed_value"] = seeds["seed_value"].clip(lower=SMALLEST_SHOWN)
    every = [*table[columns].to_numpy(float).ravel(), *seeds["seed_value"]]
    scale = value_scale(pd.DataFrame({"value": every}), logarithmic)
    x = alt.X("lam_perp:Q", title="λ⊥", scale=lam_perp_scale(swept), axis=lam_perp_axis(swept))
    y = alt.Y(f"{columns[0]}:Q", title=title, scale=scale, axis=value_axis(scale))
    base = alt.Chart(clean(swept, [*SHOWN, "lam_perp", *columns])).encode(x=x, color=alt.Color("colour:N", scale=None))
    return finish(
        alt.layer(
            *_plain_layers(plain, columns, scale, title),
            base.mark_line(strokeWidth=1.5, opacity=0.7).encode(y=y),
            _seed_layer(seeds, measure, x, scale),
            base.mark_rule(strokeWidth=1.25).encode(
                y=alt.Y(f"{columns[1]}:Q", title=title, scale=scale), y2=f"{columns[2]}:Q", href=OF
            ),
            points(base, y),
        ),
        f"{title} against the weight λ⊥ of the penalty, with intervals, and small the single seeds.",
    )


def _seed_layer(seeds: pd.DataFrame, measure: str, x: alt.X, scale: alt.Scale) -> alt.Chart:
    """A small point for each seed, a little to the right of the mean of its setting."""
    span = math.log10(seeds["lam_perp"].max() / seeds["lam_perp"].min() * 4) if len(seeds) else 1.0
    table = seeds.assign(
        lam_perp=seeds["lam_perp"] * 10 ** (_BESIDE * span),
        says=[
            f"{label}\nseed {seed}: {write_value(measure, value)}"
            for label, seed, value in zip(seeds["label"], seeds["seed"], seeds["seed_value"], strict=True)
        ],
    )
    return (
        alt.Chart(clean(table, [*SHOWN, "lam_perp", "seed_value"]))
        .mark_circle(size=13, opacity=0.6)
        .encode(x=x, y=alt.Y("seed_value:Q", scale=scale), color=alt.Color("colour:N", scale=None))
        .encode(description=SAYS, href=OF)
    )


SHOWN = ["label", "colour", "shape", "says", "facets"]


def sensitivity_map(models: pd.DataFrame, measure: str, title: str) -> Spec:
    """A measure over λᴳ and λ⊥ of one norm: every cell carries its number, its tint follows the rank.

    Args:
        models: rows of one norm from `prepare_models`.
        measure: column family.
        title: what the cells show, with unit.
    """
    mean = interval_columns(measure)[0]
    table = pd.DataFrame(
        {
            "perp": [weight(value) for value in models["lam_perp"]],
            "equi": [weight(value) for value in models["lam_equi"]],
            "text": [write_value(measure, value) for value in models[mean]],
            "says": [
                f"λ⊥ = {weight(perp)}, λᴳ = {weight(equi)}\n{title}: {text}"
                for perp, equi, text in zip(
                    models["lam_perp"], models["lam_equi"], interval_text(models, measure), strict=True
                )
            ],
            "facets": models["facets"].to_list(),
            # ranks, so that one far value does not leave all others in one tint; pale, so that text stays legible
            "tint": models[mean].rank().to_numpy() / len(models) * 0.45,
        }
    )
    perp = [weight(value) for value in sorted(set(models["lam_perp"]))]
    equi = [weight(value) for value in sorted(set(models["lam_equi"]), reverse=True)]
    x = alt.X("perp:N", title="λ⊥", sort=perp, axis=alt.Axis(labelAngle=0, ticks=False, domain=False))
    y = alt.Y("equi:N", title="λᴳ", sort=equi, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(table).encode(x=x, y=y)
    opacity = alt.Opacity("tint:Q", scale=None)
    return finish(
        alt.layer(
            base.mark_rect(color="#0072B2").encode(opacity=opacity, description=SAYS, href=OF),
            base.mark_text(color="currentColor", fontSize=12).encode(text="text:N", href=OF),
        ),
        f"{title} for every pair of λᴳ and λ⊥.",
        height=_CELL_HEIGHT * len(equi),
    )


def _plain_layers(plain: pd.DataFrame, columns: list[str], scale: alt.Scale, title: str) -> list[alt.Chart]:
    mean, low, high = columns
    base = alt.Chart(clean(plain, ["label", "says", *columns]))
    if plain.empty:
        return []
    return [
        base.mark_rect(opacity=0.08, color="currentColor", aria=False).encode(
            y=alt.Y(f"{low}:Q", title=title, scale=scale), y2=f"{high}:Q"
        ),
        base.mark_rule(strokeDash=[5, 4], opacity=0.8, color="currentColor", aria=True).encode(
            y=alt.Y(f"{mean}:Q", title=title, scale=scale), description=SAYS
        ),
    ]
