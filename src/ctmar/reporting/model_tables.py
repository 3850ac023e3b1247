"""Which measures stand in which table of models: quality, errors in HU, equivariance, groups of metal, cost."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ctmar.config.labels import MISSING, scientific
from ctmar.config.own_code import name_of
from ctmar.evaluation.columns import (
    QUARTER_TURNS_DEG,
    REFERENCE_NETWORK,
    defect_at,
    defect_floor_at,
    difference,
    own_metric,
    psnr_turned,
)
from ctmar.reporting.charts import SMALLEST_SHOWN
from ctmar.reporting.choice import Identity, only
from ctmar.reporting.required_columns import IDENTITY, interval_columns, measured
from ctmar.reporting.shown_tables import (
    WEIGHTS,
    Context,
    Measure,
    Table,
    decimals,
    download_address,
    model_table,
    p_value,
    times,
)

FIXED, OFFICIAL = "Protocol fixed", "Protocol official"
PROTOCOLS = {
    "psnr_db": "protocol fixed",
    "psnr_official_db": "protocol official",
}  # never in one chart or table of groups
_DEFECT, TURNED = "Measured defect", "PSNR (fixed) on turned inputs, dB"
MAIN = (
    Measure("n_seeds", "Seeds", "", lambda value: f"{value:.0f}"),
    Measure("psnr_db", "PSNR", "dB", decimals(2), "high", FIXED),
    Measure("psnr_diff_db", "Difference to plain", "dB", decimals(2, signed=True), "high", FIXED, judged=True),
    Measure("p_value_holm", "p", "Holm", p_value, "", FIXED),
    Measure("ssim", "SSIM", "", decimals(4), "high", FIXED),
    Measure("psnr_official_db", "PSNR", "dB", decimals(2), "high", OFFICIAL),
    Measure("ssim_official", "SSIM", "", decimals(4), "high", OFFICIAL),
    Measure("defect", "Measured defect", "", scientific, "low", "Equivariance", rounding=SMALLEST_SHOWN),
    Measure("ratio_to_plain", "Step time", "plain = 1", times(2), "", "Cost"),
)
_REGIONS = (
    Measure("rmse_hu", "RMSE", "HU", decimals(1), "low", "All but metal"),
    Measure("mae_hu", "MAE", "HU", decimals(1), "low", "All but metal"),
    Measure("rmse_soft_hu", "RMSE", "HU", decimals(1), "low", "Soft tissue"),
    Measure("mae_soft_hu", "MAE", "HU", decimals(1), "low", "Soft tissue"),
    Measure("rmse_bone_hu", "RMSE", "HU", decimals(1), "low", "Bone"),
    Measure("mae_bone_hu", "MAE", "HU", decimals(1), "low", "Bone"),
    Measure("rmse_near_metal_hu", "RMSE", "HU", decimals(1), "low", "Near the metal"),
    Measure("mae_near_metal_hu", "MAE", "HU", decimals(1), "low", "Near the metal"),
)
COST = (
    Measure("milliseconds_per_step", "Step", "ms", decimals(1), "", "Training"),
    Measure("ratio_to_plain", "Step", "plain = 1", times(2), "", "Training"),
    Measure("penalty_milliseconds", "Beyond plain", "ms", decimals(2), "", "Training"),
    Measure("step_memory_mb", "Memory of a step", "MB", decimals(1), "", "Training"),
    Measure("peak_memory_mb", "Peak memory", "MB", decimals(0), "", "Training"),
    Measure("n_parameters", "Parameters", "", lambda value: f"{value:,.0f}" if math.isfinite(value) else MISSING),
    Measure("milliseconds_per_image", "Time", "ms per image", decimals(1), "", "Correcting images"),
    Measure("prediction_peak_memory_mb", "Peak memory", "MB", decimals(0), "", "Correcting images"),
)
SIZES = {1: "1, largest", 2: "2", 3: "3", 4: "4", 5: "5, smallest"}


def main_table(
    models: pd.DataFrame, references: pd.DataFrame, cost: pd.DataFrame, context: Context, *, alpha: float
) -> Table:
    """Seeds, both protocols in columns of their own, the defect, and the step time of every setting.

    Args:
        models: rows of one network.
        references: ``references.csv``.
        cost: ``cost.csv``.
        context: marks and chosen settings.
        alpha: where no corrected p-value is below this, there is no column of them.
    """
    ratios = cost[["network", "method", "norm", "ratio_to_plain"]].drop_duplicates(["network", "method", "norm"])
    table = models.drop(columns="ratio_to_plain", errors="ignore").merge(ratios, how="left")
    with_p_values = bool((models["p_value_holm"] < alpha).any())
    measures = [measure for measure in MAIN if with_p_values or measure.name != "p_value_holm"]
    shown = model_table("models", table, measures, context, references)
    return replace(shown, download=download_address(models) if context.every_setting else "")


def region_table(models: pd.DataFrame, references: pd.DataFrame, context: Context, chosen: Sequence[Identity]) -> Table:
    """Errors in Hounsfield units, over all tissue and by region, of the settings that validation chose.

    Args:
        models: rows of one network.
        references: ``references.csv``.
        context: marks, and the few settings shown at first.
        chosen: the settings that validation chose.
    """
    return model_table("errors", only(models, chosen), _REGIONS, context, references)


def own_metrics_table(
    metrics: Sequence[str],
    models: pd.DataFrame,
    references: pd.DataFrame,
    context: Context,
    chosen: Sequence[Identity],
) -> Table | None:
    """Metrics that the study brings of its own with their differences to plain; none where nothing was measured.

    Which direction is better is known to their author alone, so none is marked as the best.

    Args:
        metrics: import paths, ``evaluation.metrics``.
        models: rows of one network.
        references: ``references.csv``.
        context: marks, and the few settings shown at first.
        chosen: the settings that validation chose.
    """
    measures = [
        Measure(name, title, "", significant, "", metric)
        for metric in metrics
        for name, title in (
            (own_metric(metric), name_of(metric)),
            (difference(own_metric(metric)), "Difference to plain"),
        )
    ]
    if not any(measured(models, measure.name) for measure in measures):
        return None
    return model_table("own-metrics", only(models, chosen), measures, context, references)


def significant(value: float) -> str:
    """A number of unknown size, to four digits."""
    return scientific(value, 4)


def _angle_measures(angles_deg: Sequence[float]) -> list[Measure]:
    """Columns of the equivariance table, for the angles of the study [degrees]."""
    weights = [
        Measure(name, title, of, scientific, "low", "Weights")
        for name, title, of in (
            ("relative_non_equivariance", "‖W−PW‖ / ‖W‖", ""),
            ("non_equivariance_growth", "Growth of ‖W−PW‖", "of ‖W₀‖"),
        )
    ]
    quarters = [
        Measure(name, "Quarter turns", of, scientific, "low", _DEFECT, rounding=SMALLEST_SHOWN)
        for name, of in (("defect", "of the output"), ("defect_of_correction", "of the correction"))
    ]
    between = [
        Measure(defect_at(angle), f"{angle:g}°", "", scientific, "low", _DEFECT, beside=floor, called="floor")
        for angle in angles_deg
        for floor in [defect_floor_at(angle)]
    ]
    return [*weights, *quarters, *between]


def equivariance_table(models: pd.DataFrame, angles_deg: Sequence[float], context: Context) -> Table:
    """What is left of the symmetry in weights and outputs."""
    return model_table("equivariance", models, _angle_measures(angles_deg), context)


def turned_table(models: pd.DataFrame, context: Context, chosen: Sequence[Identity]) -> Table:
    """What turned inputs cost the settings that validation chose in quality."""
    measures = [
        Measure(psnr_turned(angle), f"{angle}°", "", decimals(2), "high", TURNED, interval=False)
        for angle in QUARTER_TURNS_DEG
    ]
    return model_table("turned", only(models, chosen), measures, context)


def cost_table(models: pd.DataFrame, cost: pd.DataFrame, context: Context) -> Table:
    """Time and memory of a step and of a corrected image, for each method and norm as validation chose it."""
    own = only(models[models["standard"]], context.chosen)
    steps = cost[cost["network"] == context.network]
    columns = ["method", "norm", *(m.name for m in COST if m.name in steps and m.name not in own)]
    own = own.merge(steps[columns].drop_duplicates(["method", "norm"]), how="left", on=["method", "norm"])
    if "seconds_per_image" in own:
        own["milliseconds_per_image"] = 1000 * own["seconds_per_image"]
    own = own.assign(**dict.fromkeys(WEIGHTS, 0.0))  # a step costs the same at every weight
    every = replace(context, chosen=list(own[IDENTITY].itertuples(index=False, name=None)))
    shown = model_table("cost", own, COST, every)
    return replace(shown, download=download_address(cost))


def group_table(
    groups: pd.DataFrame,
    column: str,
    models: pd.DataFrame,
    context: Context,
    chosen: Sequence[Identity],
    *,
    measure: str,
) -> Table:
    """PSNR of the chosen settings under one protocol for each group of metal, one column a group.

    Args:
        groups: ``sizes.csv`` or ``materials.csv``; rows of the network ``reference`` are references.
        column: ``metal_size`` or ``metal``.
        models: rows of one network, for their order.
        context: marks, and the few settings shown at first.
        chosen: the settings that validation chose.
        measure: column family, one of `PROTOCOLS`.
    """
    names = sorted(groups[column].unique())
    wide = groups[IDENTITY].drop_duplicates().merge(_pivot(groups, column, names, measure), how="left", on=IDENTITY)
    measures = [
        Measure(f"{measure}{index}", group_name(name), "dB", decimals(2), "high") for index, name in enumerate(names)
    ]
    own = only(models, chosen)[[*IDENTITY, "n_seeds"]].merge(wide, how="inner", on=IDENTITY)
    references = wide[wide["network"] == REFERENCE_NETWORK].rename(columns={"method": "reference"})
    name = f"{column}-{PROTOCOLS[measure]}".replace("_", "-").replace(" ", "-")
    return model_table(name, own, measures, context, references)


def group_name(name: Any) -> str:
    """A size group with what its ends mean, or a material in words.

    Examples:
        >>> group_name(5), group_name("cobalt_chromium")
        ('5, smallest', 'cobalt chromium')
    """
    return name.replace("_", " ") if isinstance(name, str) else SIZES.get(int(name), str(name))


def _pivot(groups: pd.DataFrame, column: str, names: Sequence[Any], measure: str) -> pd.DataFrame:
    parts = []
    for index, name in enumerate(names):
        own = groups[groups[column] == name].set_index(IDENTITY)[interval_columns(measure)]
        own.columns = pd.Index(interval_columns(f"{measure}{index}"))
        parts.append(own)
    return pd.concat(parts, axis=1).reset_index()
