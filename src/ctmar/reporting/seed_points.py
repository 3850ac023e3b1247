"""The values of single seeds, drawn small beside the mean and the interval of their setting."""

import numpy as np
import pandas as pd

from ctmar.reporting.required_columns import IDENTITY, measured

_VALUE = "seed_value"


def seed_points(runs: pd.DataFrame, settings: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The runs of some settings with the columns of their setting, and ``seed_value``, what each seed measured.

    Args:
        runs: ``runs.csv``.
        settings: rows from `prepare_models`.
        measure: column family of ``models.csv``, such as ``psnr_diff_db``.

    Returns:
        No rows where runs were not measured so; plain training has no difference to itself.
    """
    column = f"{measure}_mean" if f"{measure}_mean" in runs else measure
    if not measured(runs, column):
        return settings.iloc[:0].assign(seed=[], **{_VALUE: []})
    values = runs.loc[np.isfinite(runs[column]), [*IDENTITY, "seed", column]]
    return settings.merge(values.rename(columns={column: _VALUE}), on=IDENTITY)
