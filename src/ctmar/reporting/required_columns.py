"""The columns that the report cannot do without, and how it finds those that older studies lack.

The names themselves are those of `ctmar.evaluation.columns`.
"""

from typing import Any

import pandas as pd

from ctmar.evaluation import columns as written

IDENTITY = list(written.IDENTITY)
DEFAULTS: dict[str, Any] = {"softness": 0.0}  # of studies from before there was a choice

MEASURES_ALWAYS = ("psnr_db", "ssim", "rmse_hu", "psnr_diff_db", "relative_non_equivariance", "defect")


def interval_columns(measure: str) -> list[str]:
    """Names of the three columns of a measure: mean and bounds of its interval."""
    return list(written.interval_columns(measure))


def measured(table: pd.DataFrame, measure: str) -> bool:
    """Whether a table has a measure, or one column of that name, with at least one value."""
    columns = [name for name in (f"{measure}_mean", measure) if name in table]
    return any(bool(table[name].notna().any()) for name in columns)


_SLICES = ["patient", "slice_id", "mask_index", "metal_pixels", "psnr_db", "ssim", "rmse_hu"]
_SETTING = [name for name in IDENTITY if name not in DEFAULTS]
COLUMNS = {
    "models": [
        *_SETTING,
        *written.CHOICES,
        *(column for measure in MEASURES_ALWAYS for column in interval_columns(measure)),
        "n_seeds",
        "n_pairs",
        "n_patients",
    ],
    "runs": [*_SETTING, "seed", "validation_psnr"],
    "references": [
        "reference",
        *interval_columns("psnr_db"),
        *interval_columns("ssim"),
        *interval_columns("rmse_hu"),
    ],
    "curves": [*_SETTING, "seed", "epoch", "task_loss", "penalty", "validation_psnr"],
    "sizes": [*_SETTING, "metal_size", *interval_columns("psnr_db"), *interval_columns("ssim")],
    "materials": [*_SETTING, "metal", *interval_columns("psnr_db"), *interval_columns("ssim")],
    "cost": [
        "network",
        "method",
        "norm",
        "milliseconds_per_step",
        "ratio_to_plain",
        "penalty_milliseconds",
        "penalty_share",
        "peak_memory_mb",
        "threads",
        "batch_size",
        "patch_size",
        "n_repeats",
        "device",
    ],
    "catalogue": ["patient", "series", "n_slices_found", "n_slices_kept", "pixel_mm", "source", "licence"],
    "quarantine": ["file", "reason", "remedy"],
    "split": ["patient", "subset", "n_slices"],
    "slices": _SLICES,
    "reference_slices": ["reference", *_SLICES],
}
