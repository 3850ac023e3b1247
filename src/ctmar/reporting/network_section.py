"""Everything the page shows of one network: sentences, tables, charts and images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctmar.config import Config
from ctmar.evaluation.columns import defect_at
from ctmar.reporting import charts, forest, model_tables, small_multiples
from ctmar.reporting.answer import limits, opening
from ctmar.reporting.choice import chosen_settings, shown_settings
from ctmar.reporting.counted import counted
from ctmar.reporting.detectability_table import detectability_table
from ctmar.reporting.example_images import ExamplePair, read_example_pairs
from ctmar.reporting.examples import Example, build_examples
from ctmar.reporting.explorer import Explorer, build_explorer
from ctmar.reporting.layer_section import LayerSection, layer_section
from ctmar.reporting.marks import Mark, SeriesKey
from ctmar.reporting.network_charts import Chart, NetworkCharts, curve_charts
from ctmar.reporting.panels import Panels
from ctmar.reporting.required_columns import IDENTITY, measured
from ctmar.reporting.shown_tables import Context, Table
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.summary import sentences
from ctmar.reporting.wording import from_to, listing


@dataclass(frozen=True)
class NetworkSection:
    """What the templates lay out for one network; lists are empty where a study has nothing to show."""

    name: str
    opening: list[str]
    limits: list[str]
    sentences: list[str]
    n_seeds: str
    uneven: bool  # in seeds, so that rows are of different patients too
    n_patients: int
    counted: str
    n_turned: str
    main: Table
    has_difference: bool
    n_settings: int
    p_values: str  # "shown", "none below alpha", or "" where there are none
    quality: list[Chart]
    regions: Table
    detectability: Table | None
    n_signals: str
    own_metrics: Table | None
    groups: list[tuple[str, Table]]
    responses: list[tuple[str, list[Chart]]]  # heading, charts of one sweep over λ⊥
    norms: list[tuple[str, Panels]]
    norms_at_defect: tuple[str, Panels, Table] | None
    sensitivity: list[Chart]
    equivariance: Table
    turned: Table
    defects: Chart | None
    trade_off: Chart | None
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
    drawn = NetworkCharts(models, results.runs, config.evaluation.defect_slices)
    identities = list(models[IDENTITY].itertuples(index=False, name=None))
    context = Context(network, marks, settings, every_setting)
    few = Context(network, marks, shown, every_setting, "kinds")
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
        uneven=len(seeds) > 1,
        n_patients=int(models["n_patients"].max()),
        counted=counted(models, "psnr_db", config.evaluation.defect_slices),
        n_turned=counted(models, "defect", config.evaluation.defect_slices),
        has_difference=measured(models, "psnr_diff_db"),
        n_settings=len(models),
        p_values=_p_values(numbers, alpha),
        main=model_tables.main_table(numbers, results.references, cost, context, alpha=alpha),
        quality=drawn.quality(),
        regions=model_tables.region_table(numbers, results.references, few, settings),
        detectability=detectability_table(numbers, few, settings),
        n_signals=from_to(numbers["n_signals"].dropna().round(), "disc"),
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
        responses=drawn.responses(),
        norms=drawn.norms(),
        norms_at_defect=drawn.norms_at_defect(results.norms, context),
        sensitivity=drawn.sensitivity(),
        equivariance=model_tables.equivariance_table(numbers, angles, context),
        turned=model_tables.turned_table(numbers, few, settings),
        defects=drawn.defects(),
        trade_off=drawn.trade_off(),
        layers=results.lacks.unless("Layers", lambda: layer_section(results, network, marks), None),
        angles=small_multiples.angle_panels(_rows(models, shown), angles) if angles and shown else None,
        curves=curve_charts(curves, settings),
        other_curves=next(iter(curve_charts(curves, others)), None),
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


def _rows(models: pd.DataFrame, identities: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    by_identity = {tuple(row[key] for key in IDENTITY): row for row in rows_of(models)}
    return pd.DataFrame([by_identity[identity] for identity in identities])
