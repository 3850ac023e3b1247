"""The columns that the report cannot do without; the names themselves are those of `ctmar.evaluation.columns`."""

import pandas as pd

from ctmar.evaluation import columns as written

IDENTITY = list(written.IDENTITY)
RUN_KEY = [*IDENTITY, *written.CONDITION, "seed"]

_MEASURES_ALWAYS = ("psnr_db", "ssim", "rmse_hu", "psnr_diff_db", "relative_non_equivariance", "defect")


def interval_columns(measure: str) -> list[str]:
    """Names of the three columns of a measure: mean and bounds of its interval."""
    return list(written.interval_columns(measure))


def measured(table: pd.DataFrame, measure: str) -> bool:
    """Whether a table has a measure, or one column of that name, with at least one value."""
    columns = [name for name in (f"{measure}_mean", measure) if name in table]
    return any(bool(table[name].notna().any()) for name in columns)


# columns that may hold texts; in all others of `COLUMNS` there are numbers, or yes and no
TEXTS = {"network", "method", "norm", "start", "state", "reference", "metal", "patient", "series", "source", "licence"}
TEXTS |= {"file", "reason", "remedy", "subset", "slice_id", "measure", "reached", "layer", "parameter"}
TEXTS |= {"clock", "device"}
_SLICES = ["patient", "slice_id", "mask_index", "metal_pixels", "psnr_db", "ssim", "rmse_hu"]
COLUMNS = {
    "models": [
        *IDENTITY,
        *written.CHOICES,
        *(column for measure in _MEASURES_ALWAYS for column in interval_columns(measure)),
        "n_seeds",
        "n_diverged",
        "n_pairs",
        "n_patients",
    ],
    "runs": [*RUN_KEY, "state", "validation_psnr"],
    "diverged": RUN_KEY,
    "not_finite": written.not_finite_columns(),
    "references": [
        "reference",
        *interval_columns("psnr_db"),
        *interval_columns("ssim"),
        *interval_columns("rmse_hu"),
    ],
    "curves": [*IDENTITY, "seed", "epoch", "task_loss", "penalty", "validation_psnr"],
    "layers": written.layer_columns(),
    "layer_curves": written.layer_curve_columns(),
    "sizes": [*IDENTITY, "metal_size", *interval_columns("psnr_db"), *interval_columns("ssim")],
    "materials": [*IDENTITY, "metal", *interval_columns("psnr_db"), *interval_columns("ssim")],
    "dial": written.dial_columns(),
    "norms": written.norm_columns(),
    "cost": list(written.COST_COLUMNS),
    "catalogue": ["patient", "series", "n_slices_found", "n_slices_kept", "pixel_mm", "source", "licence"],
    "quarantine": ["file", "reason", "remedy"],
    "split": ["fold", "patient", "subset", "n_slices"],
    "slices": _SLICES,
    "reference_slices": ["reference", *_SLICES],
}
