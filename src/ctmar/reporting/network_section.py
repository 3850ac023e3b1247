"""Everything the page shows of one network: sentences, tables, charts and images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctmar.config import Config
from ctmar.evaluation.columns import defect_at
from ctmar.reporting import charts, forest, model_tables, norm_section, small_multiples, sweeps
from ctmar.reporting.answer import limits, opening
from ctmar.reporting.choice import chosen_settings, shown_settings
from ctmar.reporting.detectability_table import detectability_table
from ctmar.reporting.example_images import ExamplePair, read_example_pairs
from ctmar.reporting.examples import Example, build_examples
from ctmar.reporting.explorer import Explorer, build_explorer
from ctmar.reporting.layer_section import LayerSection, layer_section
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.panels import Panels
from ctmar.reporting.required_columns import IDENTITY, measured
from ctmar.reporting.shown_tables import Context, Table
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.summary import longest_sweep, sentences
from ctmar.reporting.wording import listing

Shown = tuple[str, str, str, bool]  # measure, title of its axis, caption, logarithmic
FIXED: tuple[Shown, Shown] = (  # the second where a study has no plain model to differ from
    ("psnr_diff_db", "PSNR difference to plain [dB]", "Protocol fixed: paired difference to plain", False),
    ("psnr_db", "PSNR [dB]", "Protocol fixed", False),
)
OFFICIAL: tuple[Shown, Shown] = (
    ("psnr_official_diff_db", "PSNR difference to plain [dB]", "Protocol official: paired difference to plain", False),
    ("psnr_official_db", "PSNR [dB]", "Protocol official", False),
)
_EQUIVARIANCE: tuple[Shown, Shown] = (
    ("relative_non_equivariance", "‖W−PW‖ / ‖W‖", "Non-equivariance of the weights", True),
    ("defect", "measured defect", "Defect on turned test slices", True),
)
Chart = tuple[str, charts.Spec]  # caption, specification


@dataclass(frozen=True)
class NetworkSection:
    """What the templates lay out for one network; lists are empty where a study has nothing to show."""

    name: str
    opening: list[str]
    limits: list[str]
    sentences: list[str]
    n_seeds: str
    n_pairs: int
    n_patients: int
    main: Table
    has_difference: bool
    n_settings: int
    p_values: str  # "shown", "none below alpha", or "" where there are none
    quality: list[Chart]
    regions: Table
    detectability: Table | None
    n_signals: int
    own_metrics: Table | None
    groups: list[tuple[str, Table]]
    responses: list[tuple[str, list[Chart]]]  # heading, charts of one sweep over λ⊥
    norms: list[tuple[str, Panels]]
    norms_at_defect: tuple[Panels, Table] | None
    sensitivity: list[Chart]
    equivariance: Table
    turned: Table
    defects: charts.Spec | None
    trade_off: charts.Spec | None
    layers: LayerSection | None
    angles: Panels | None
    curves: list[tuple[str, Panels]]
    other_curves: tuple[str, Panels] | None
    cost: Table | None
    cost_chart: charts.Spec | None
    cost_conditions: dict[str, Any]
    examples: list[Example]
    n_examples_left_out: int
    explorer: Explorer


def network_section(
    results: StudyTables,
    config: Config,
    network: str,
    marks: dict[SeriesKey, Mark],
    *,
    image_bytes: int,
    every_setting: bool = True,
) -> NetworkSection:
    """Tables, charts and images of one network.

    Args:
        results: the study.
        config: its configuration.
        network: name of the network.
        marks: mark of every method and norm.
        image_bytes: what the images may add to the page; still pictures and the explorer have half of it each.
        every_setting: whether settings that validation did not choose have rows and curves of their own.
    """
    models = charts.prepare_models(results.models[results.models["network"] == network], marks)
    settings, shown = chosen_settings(results.models, network), shown_settings(results.models, network)
    identities = list(models[IDENTITY].itertuples(index=False, name=None))
    chosen = models[models["chosen"]]
    context = Context(network, marks, settings, every_setting)
    few = Context(network, marks, shown, every_setting)
    numbers = results.models[results.models["network"] == network]
    cost = results.cost[results.cost["network"] == network]
    own_curves = results.curves[results.curves["network"] == network]
    curves = charts.prepare_models(own_curves.merge(models[[*IDENTITY, "standard"]], on=IDENTITY), marks)
    angles = [angle for angle in config.evaluation.defect_angles_deg if measured(models, defect_at(angle))]
    pairs: list[ExamplePair] = results.lacks.unless(
        f"Images of the network “{network}”", lambda: read_example_pairs(results, network), []
    )
    examples = build_examples(pairs, config.report, image_bytes // 2)
    chosen_ones = set(settings)
    others = [identity for identity in identities if identity not in chosen_ones] if every_setting else []
    seeds = sorted(set(models["n_seeds"]))
    alpha = 1 - config.judgement.confidence
    return NetworkSection(
        name=network,
        opening=opening(results, network, config.judgement),
        limits=limits(results, network),
        sentences=sentences(results, network),
        n_seeds=listing(list(map(str, seeds)), "or") + (" seed" if seeds == [1] else " seeds"),
        n_pairs=int(models["n_pairs"].max()),
        n_patients=int(models["n_patients"].max()),
        has_difference=measured(models, "psnr_diff_db"),
        n_settings=len(models),
        p_values=_p_values(numbers, alpha),
        main=model_tables.main_table(numbers, results.references, cost, context, alpha=alpha),
        quality=_quality_charts(chosen),
        regions=model_tables.region_table(numbers, results.references, few, settings),
        detectability=detectability_table(numbers, few, settings),
        n_signals=round(numbers["n_signals"].max()) if measured(numbers, "n_signals") else 0,
        own_metrics=model_tables.own_metrics_table(
            config.evaluation.metrics, numbers, results.references, few, settings
        ),
        groups=[
            (
                f"{title}, {protocol}",
                model_tables.group_table(groups, column, numbers, few, settings, measure=measure),
            )
            for title, groups, column in (
                ("By size of the metal", results.sizes, "metal_size"),
                ("By material of the metal", results.materials, "metal"),
            )
            if groups[column].nunique() > 1  # of a single group there is nothing to compare
            for measure, protocol in model_tables.PROTOCOLS.items()
            if measured(groups, measure)
        ],
        responses=_response_charts(models),
        norms=_norm_charts(models),
        norms_at_defect=_norms_at_defect(models, results.norms, context),
        sensitivity=_sensitivity_maps(models),
        equivariance=model_tables.equivariance_table(numbers, angles, context),
        turned=model_tables.turned_table(numbers, few, settings),
        defects=(
            forest.forest_chart(chosen, "defect", "measured defect, quarter turns", log=True)
            if measured(chosen, "defect")
            else None
        ),
        trade_off=_trade_off(models),
        layers=results.lacks.unless("Layers", lambda: layer_section(results, network, marks), None),
        angles=small_multiples.angle_panels(_rows(models, shown), angles) if angles and shown else None,
        curves=_curve_charts(curves, settings),
        other_curves=next(iter(_curve_charts(curves, others)), None),
        cost=model_tables.cost_table(numbers, cost, context) if len(cost) else None,
        cost_chart=forest.ratio_chart(charts.prepare_series(cost, marks)) if len(cost) else None,
        cost_conditions=next(iter(rows_of(cost)), {}),
        examples=examples.shown,
        n_examples_left_out=examples.n_left_out,
        explorer=results.lacks.unless(
            f"The image explorer of the network “{network}”",
            lambda: build_explorer(pairs, config.report, image_bytes // 2),
            Explorer(config.report, [], 0),
        ),
    )


def _p_values(models: pd.DataFrame, alpha: float) -> str:
    """What there is to say of the corrected p-values."""
    if not measured(models, "p_value_holm"):
        return ""
    return "shown" if (models["p_value_holm"] < alpha).any() else "none below alpha"


def quality(models: pd.DataFrame, protocol: tuple[Shown, Shown]) -> Shown | None:
    """What stands for a protocol: the difference to plain, without a plain model the value itself."""
    return next((shown for shown in protocol if measured(models, shown[0])), None)


def _quality_charts(chosen: pd.DataFrame) -> list[Chart]:
    """One chart for each protocol, never both in one."""
    charts_shown = []
    if chosen.empty:
        return []
    for measure, title, caption, _ in filter(None, (quality(chosen, FIXED), quality(chosen, OFFICIAL))):
        rule = 0.0 if measure in charts.DIFFERENCES else None
        charts_shown.append((caption, forest.forest_chart(chosen, measure, title, rule)))
    return charts_shown


def _trade_off(models: pd.DataFrame) -> charts.Spec | None:
    """Quality against the measured defect, where both were measured."""
    shown = quality(models, FIXED)
    return sweeps.trade_off_chart(models, *shown[:2]) if shown and measured(models, "defect") else None


def _response_measures(models: pd.DataFrame) -> list[Shown]:
    """What is drawn against weights: quality and equivariance."""
    return [shown for shown in (quality(models, FIXED), *_EQUIVARIANCE) if shown]


def _response_charts(models: pd.DataFrame) -> list[tuple[str, list[Chart]]]:
    """The norm with the most λ⊥ in detail, and the penalty beside the optimiser, whose λ⊥ has a scale of its own."""
    plain = models[(models["method"] == "plain") & models["standard"]]
    return [
        (f"{rows[0]['series']}: {text}", _of_sweep(pd.concat([plain, pd.DataFrame(rows)], ignore_index=True)))
        for rows, text in (
            (longest_sweep(models, "projection", "frobenius"), "the longest sweep of λ⊥"),
            (
                longest_sweep(models, "proximal"),
                "the penalty beside the optimiser, from an equivariant start; λ⊥ per unit of learning rate",
            ),
        )
        if len(rows) > 1
    ]


def _of_sweep(swept: pd.DataFrame) -> list[Chart]:
    return [
        (caption, sweeps.response_chart(swept, measure, title, logarithmic))
        for measure, title, caption, logarithmic in _response_measures(swept)
    ]


def _norm_charts(models: pd.DataFrame) -> list[tuple[str, Panels]]:
    """A panel for each norm; a study of one norm shows it in detail already."""
    swept = small_multiples.swept_settings(models)
    if swept["series"].nunique() < 2 or not swept.duplicated("series").any():
        return []
    return [
        (caption, small_multiples.norm_panels(models, measure, title, logarithmic))
        for measure, title, caption, logarithmic in _response_measures(models)[:2]
    ]


def _norms_at_defect(models: pd.DataFrame, norms: pd.DataFrame, context: Context) -> tuple[Panels, Table] | None:
    """The curve of every norm against the measured defect, and their differences at common defects."""
    shown = quality(models, FIXED) or FIXED[1]
    panels = norm_section.defect_panels(models, *shown[:2])
    table = norm_section.norm_table(norms, context.network, context.marks)
    return None if panels is None or table is None else (panels, table)


def _sensitivity_maps(models: pd.DataFrame) -> list[Chart]:
    """λᴳ × λ⊥ for each norm that was trained with more than one λᴳ."""
    return [
        (f"{series}: {title}", sweeps.sensitivity_map(own, measure, title))
        for series, own in models[(models["method"] == "projection") & models["standard"]].groupby("series", sort=False)
        if own["lam_equi"].nunique() > 1
        for measure, title, _, _ in _response_measures(models)
    ]


def _curve_charts(curves: pd.DataFrame, settings: Sequence[tuple[Any, ...]]) -> list[tuple[str, Panels]]:
    """Validation PSNR and training loss of every setting that there are curves of."""
    panels, known = small_multiples.curve_panels, set(curves[IDENTITY].itertuples(index=False, name=None))
    settings = [setting for setting in settings if setting in known]
    if not settings:
        return []
    return [
        ("Validation PSNR [dB] by epoch", panels(curves, settings, "validation_psnr", "dB")),
        ("Training loss of the task by epoch", panels(curves, settings, "task_loss", "loss", logarithmic=True)),
    ]


def _rows(models: pd.DataFrame, identities: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    by_identity = {tuple(row[key] for key in IDENTITY): row for row in rows_of(models)}
    return pd.DataFrame([by_identity[identity] for identity in identities])
