"""Charts of the weights: one norm against λ⊥, λᴳ against λ⊥ as a map, and quality against equivariance."""

import altair as alt
import pandas as pd

from ctmar.config.labels import weight
from ctmar.reporting.axes import lam_perp_axis, lam_perp_scale, value_axis, value_scale
from ctmar.reporting.charts import (
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

_CELL_HEIGHT = 34


def response_chart(models: pd.DataFrame, measure: str, title: str, logarithmic: bool = False) -> Spec:
    """A measure against the λ⊥ of one norm with intervals; plain training (λ⊥ = 0) is the dashed rule.

    Args:
        models: rows of one sweep and the plain row, from `prepare_models`.
        measure: column family, such as ``psnr_db``.
        title: title of the vertical axis, with unit.
        logarithmic: logarithmic vertical axis.
    """
    columns = interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    table = table.assign(says=says(table, **{measure: title}))
    if logarithmic:
        table[columns] = table[columns].clip(lower=SMALLEST_SHOWN)
    plain, swept = table[table["method"] == "plain"], table[table["lam_perp"] > 0].sort_values("lam_perp")
    scale = value_scale(table[columns], logarithmic)
    x = alt.X("lam_perp:Q", title="λ⊥", scale=lam_perp_scale(swept), axis=lam_perp_axis(swept))
    y = alt.Y(f"{columns[0]}:Q", title=title, scale=scale, axis=value_axis(scale))
    shown = clean(swept, [*SHOWN, "lam_perp", *columns])
    base = alt.Chart(shown).encode(x=x, color=alt.Color("colour:N", scale=None))
    return finish(
        alt.layer(
            *_plain_layers(plain, columns, scale, title),
            base.mark_line(strokeWidth=1.5, opacity=0.7).encode(y=y),
            base.mark_rule(strokeWidth=1.25).encode(
                y=alt.Y(f"{columns[1]}:Q", title=title, scale=scale), y2=f"{columns[2]}:Q"
            ),
            points(base, y),
        ),
        f"{title} against the weight λ⊥ of the penalty, with intervals.",
    )


SHOWN = ["label", "colour", "shape", "says"]


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
            base.mark_rect(color="#0072B2").encode(opacity=opacity, description=SAYS),
            base.mark_text(color="currentColor", fontSize=12).encode(text="text:N"),
        ),
        f"{title} for every pair of λᴳ and λ⊥.",
        height=_CELL_HEIGHT * len(equi),
    )


def trade_off_chart(models: pd.DataFrame, measure: str, title: str) -> Spec:
    """Quality against the measured defect: chosen settings with intervals, all others as pale dots.

    Args:
        models: rows of one network from `prepare_models`, with a truth column ``chosen``.
        measure: column family of the vertical axis.
        title: its title, with unit.
    """
    x_columns, y_columns = interval_columns("defect"), interval_columns(measure)
    table = with_plain_at_zero(models, measure)
    table = table.assign(says=says(table, **{measure: title, "defect": "measured defect"}))
    table[x_columns] = table[x_columns].clip(lower=SMALLEST_SHOWN)
    table = clean(
        table,
        ["series", "label", "colour", "shape", "chosen", *x_columns, *y_columns, "says"],
    )
    x_scale, y_scale = value_scale(table[x_columns], logarithmic=True), value_scale(table[y_columns])
    x_title = "measured defect (left: closer to equivariant)"
    x = alt.X(f"{x_columns[0]}:Q", title=x_title, scale=x_scale, axis=value_axis(x_scale))
    y = alt.Y(f"{y_columns[0]}:Q", title=title, scale=y_scale)
    colour = alt.Color("colour:N", scale=None)
    others = table[~table["chosen"]]
    pale = alt.Chart(others).mark_circle(size=28, opacity=0.35).encode(x=x, y=y, color=colour, description=SAYS)
    chosen = alt.Chart(table[table["chosen"]]).encode(color=colour)
    return finish(
        alt.layer(
            *([pale] if len(others) else []),
            chosen.mark_rule(opacity=0.4).encode(
                x=x, y=alt.Y(f"{y_columns[1]}:Q", title=title), y2=f"{y_columns[2]}:Q"
            ),
            chosen.mark_rule(opacity=0.4).encode(
                x=alt.X(f"{x_columns[1]}:Q", title=x_title), x2=f"{x_columns[2]}:Q", y=y
            ),
            points(chosen.encode(x=x), y),
        ),
        f"{title} against measured equivariance defect, with intervals.",
        height=360,
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
