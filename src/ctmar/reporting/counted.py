"""What a number rests on, for the captions: patients, test pairs, seeds."""

import pandas as pd

from ctmar.reporting.wording import from_to


def counted(models: pd.DataFrame, measure: str, n_defect_pairs: int) -> str:
    """What a measure of some settings was taken on.

    Args:
        models: their rows in ``models.csv``.
        measure: column family.
        n_defect_pairs: how many test pairs defects, and quality on turned inputs, are measured on at most.

    Examples:
        >>> models = pd.DataFrame({"n_patients": [8, 9], "n_pairs": [67, 77], "n_seeds": [3, 10]})
        >>> counted(models, "psnr_db", 8)
        '8 to 9 patients, 67 to 77 test pairs, 3 to 10 seeds'
        >>> counted(models, "defect", 8), counted(models, "relative_non_equivariance", 8)
        ('8 test pairs, 3 to 10 seeds', '3 to 10 seeds')
    """
    seeds = from_to(models["n_seeds"], "seed")
    if "equivariance" in measure:
        return seeds  # of the weights
    if measure.startswith(("defect", "psnr_turned")):
        return f"{from_to(models['n_pairs'].clip(upper=n_defect_pairs), 'test pair')}, {seeds}"
    return f"{from_to(models['n_patients'], 'patient')}, {from_to(models['n_pairs'], 'test pair')}, {seeds}"
