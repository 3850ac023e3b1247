"""Which measures stand in which table of models: quality, errors in HU, equivariance, groups of metal, cost."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ctmar.evaluation.columns import QUARTER_TURNS_DEG, REFERENCE_NETWORK, defect_at, defect_floor_at, psnr_turned
from ctmar.reporting.columns import IDENTITY, interval_columns
from ctmar.reporting.labels import MISSING, scientific
from ctmar.reporting.tables import Context, Measure, Table, decimals, download_address, model_table, p_value, times

FIXED, OFFICIAL = "Protocol fixed", "Protocol official"
MAIN = (
    Measure("psnr_db", "PSNR", "dB", decimals(2), "high", FIXED),
    Measure("psnr_diff_db", "Difference to plain", "dB", decimals(2, signed=True), "high", FIXED, judged=True),
    Measure("p_value_holm", "p", "Holm", p_value, "", FIXED),
    Measure("ssim", "SSIM", "", decimals(4), "high", FIXED),
    Measure("psnr_official_db", "PSNR", "dB", decimals(2), "high", OFFICIAL),
    Measure("ssim_official", "SSIM", "", decimals(4), "high", OFFICIAL),
    Measure("defect", "Measured defect", "", scientific, "low", "Equivariance"),
    Measure("ratio_to_plain", "Step time", "plain = 1", times(2), "", "Cost"),
)
REGIONS = (
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
    Measure("milliseconds_per_step", "Step", "ms", decimals(1), "low", "Training"),
    Measure("ratio_to_plain", "Step", "plain = 1", times(2), "low", "Training"),
    Measure("penalty_milliseconds", "Beyond plain", "ms", decimals(2), "", "Training"),
    Measure("step_memory_mb", "Memory of a step", "MB", decimals(1), "low", "Training"),
    Measure("peak_memory_mb", "Peak memory", "MB", decimals(0), "low", "Training"),
    Measure("n_parameters", "Parameters", "", lambda value: f"{value:,.0f}" if math.isfinite(value) else MISSING),
    Measure("milliseconds_per_image", "Time", "ms per image", decimals(1), "low", "Correcting images"),
    Measure("prediction_peak_memory_mb", "Peak memory", "MB", decimals(0), "low", "Correcting images"),
)
SIZES = {1: "1, largest", 2: "2", 3: "3", 4: "4", 5: "5, smallest"}


def main_table(models: pd.DataFrame, references: pd.DataFrame, cost: pd.DataFrame, context: Context) -> Table:
    """Both protocols in columns of their own, the defect, and the step time of every setting."""
    ratios = cost[["network", "method", "norm", "ratio_to_plain"]].drop_duplicates(["network", "method", "norm"])
    table = models.drop(columns="ratio_to_plain", errors="ignore").merge(ratios, how="left")
    shown = model_table("models", table, MAIN, context, references)
    return replace(shown, download=download_address(models))


def region_table(models: pd.DataFrame, references: pd.DataFrame, context: Context) -> Table:
    """Errors in Hounsfield units, over all tissue and by region."""
    return model_table("errors", models, REGIONS, context, references)


def angle_measures(angles_deg: Sequence[float]) -> list[Measure]:
    """Columns of the equivariance table, for the angles of the study [degrees]."""
    measures = [
        Measure("relative_non_equivariance", "‖W−PW‖ / ‖W‖", "", scientific, "low", "Weights"),
        Measure("defect", "Quarter turns", "", scientific, "low", "Measured defect"),
    ]
    for angle in angles_deg:
        family = "Measured defect"
        measures.append(Measure(defect_at(angle), f"{angle:g}°", "", scientific, "low", family))
    for angle in angles_deg:
        family = "Floor of interpolation"
        measures.append(Measure(defect_floor_at(angle), f"{angle:g}°", "", scientific, "", family))
    family = "PSNR (fixed) on turned inputs, dB"
    return measures + [
        Measure(psnr_turned(angle), f"{angle}°", "", decimals(2), "high", family) for angle in QUARTER_TURNS_DEG
    ]


def equivariance_table(models: pd.DataFrame, angles_deg: Sequence[float], context: Context) -> Table:
    """What is left of the symmetry in weights and outputs, and what turned inputs cost in quality."""
    return model_table("equivariance", models, angle_measures(angles_deg), context)


def cost_table(models: pd.DataFrame, cost: pd.DataFrame, context: Context) -> Table:
    """Time and memory of a step and of a corrected image, for each method and norm as validation chose it."""
    chosen = pd.DataFrame(context.chosen, columns=IDENTITY)
    own = models.merge(chosen)
    steps = cost[cost["network"] == context.network].rename(columns={"peak_memory_mb": "step_memory_mb"})
    columns = ["method", "norm", *(m.name for m in COST if m.name in steps and m.name != "peak_memory_mb")]
    table = own.merge(steps[columns].drop_duplicates(["method", "norm"]), how="left", on=["method", "norm"])
    if "seconds_per_image" in table:
        table["milliseconds_per_image"] = 1000 * table["seconds_per_image"]
    shown = model_table("cost", table.assign(lam_perp=0.0, lam_equi=0.0), COST, _as_shown(context, table))
    return replace(shown, download=download_address(cost))


def group_table(groups: pd.DataFrame, column: str, models: pd.DataFrame, protocol: str, context: Context) -> Table:
    """PSNR of the chosen settings for each group of metal, one column a group.

    Args:
        groups: ``sizes.csv`` or ``materials.csv``; rows of the network ``reference`` are references.
        column: ``metal_size`` or ``metal``.
        models: rows of one network, for their order.
        protocol: measure shown, ``psnr_db`` or ``psnr_official_db``.
        context: marks and chosen settings.
    """
    names = sorted(groups[column].unique())
    measures = [Measure(f"group{index}", group_name(name), "", decimals(2), "high") for index, name in enumerate(names)]
    wide = _pivot(groups, column, names, protocol)
    chosen = models[IDENTITY].merge(pd.DataFrame(context.chosen, columns=IDENTITY)).merge(wide, how="inner")
    references = wide[wide["network"] == REFERENCE_NETWORK].rename(columns={"method": "reference"})
    return model_table(f"{column}-{protocol}", chosen, measures, context, references)


def group_name(name: Any) -> str:
    """A size group with what its ends mean, or a material in words.

    Examples:
        >>> group_name(5), group_name("cobalt_chromium")
        ('5, smallest', 'cobalt chromium')
    """
    return str(name).replace("_", " ") if isinstance(name, str) else SIZES.get(int(name), str(name))


def _pivot(groups: pd.DataFrame, column: str, names: Sequence[Any], measure: str) -> pd.DataFrame:
    wide = groups[IDENTITY].drop_duplicates()
    for index, name in enumerate(names):
        own = groups.loc[groups[column] == name, [*IDENTITY, *interval_columns(measure)]]
        wide = wide.merge(own, how="left", on=IDENTITY)
        renamed = interval_columns(f"group{index}")
        wide = wide.rename(columns=dict(zip(interval_columns(measure), renamed, strict=True)))
    return wide


def _as_shown(context: Context, table: pd.DataFrame) -> Context:
    shown = table.assign(lam_perp=0.0, lam_equi=0.0)[IDENTITY]
    return Context(context.network, context.marks, list(shown.itertuples(index=False, name=None)))
