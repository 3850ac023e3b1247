"""What a number rests on, for the captions: patients, test pairs, seeds."""

import pandas as pd

from ctmar.reporting.answer import seeds_in_words
from ctmar.reporting.wording import plural


def counted(models: pd.DataFrame, measure: str, n_defect_pairs: int) -> str:
    """What a measure of some settings was taken on.

    Args:
        models: their rows in ``models.csv``.
        measure: column family.
        n_defect_pairs: how many test pairs defects, and quality on turned inputs, are measured on at most.

    Examples:
        >>> models = pd.DataFrame({"n_patients": [3, 3], "n_pairs": [88, 88], "n_seeds": [3, 10]})
        >>> counted(models, "psnr_db", 8)
        '3 patients, 88 test pairs, 3 to 10 seeds'
        >>> counted(models, "defect", 8), counted(models, "relative_non_equivariance", 8)
        ('8 test pairs, 3 to 10 seeds', '3 to 10 seeds')
    """
    seeds = seeds_in_words([int(n) for n in models["n_seeds"]])
    if "equivariance" in measure:
        return seeds  # of the weights
    n_pairs = int(models["n_pairs"].max())
    if measure.startswith(("defect", "psnr_turned")):
        return f"{plural(min(n_pairs, n_defect_pairs), 'test pair')}, {seeds}"
    return f"{plural(int(models['n_patients'].max()), 'patient')}, {plural(n_pairs, 'test pair')}, {seeds}"
