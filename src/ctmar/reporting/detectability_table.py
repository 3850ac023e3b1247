"""The table of detectability: models beside the uncorrected image, which is FBP, and linear interpolation."""

from collections.abc import Sequence

import pandas as pd

from ctmar.evaluation.columns import SIGNAL_IMAGES, signal_measures
from ctmar.reporting.choice import Identity, only
from ctmar.reporting.required_columns import interval_columns, measured
from ctmar.reporting.shown_tables import Context, Measure, Table, decimals, model_table

_AUC, _NUMBERS = "Area under the curve", "CT numbers of the signal"
_MEASURES = (
    Measure("auc", "AUC", "", decimals(3), "high", _AUC),
    Measure("auc_gain", "Gain over FBP", "", decimals(3, signed=True), "high", _AUC),
    Measure("auc_diff", "Difference to plain", "", decimals(3, signed=True), "high", _AUC, judged=True),
    Measure("auc_standard_error", "Standard error", "of one run", decimals(3), "", _AUC),
    Measure("signal_bias_hu", "Bias", "HU", decimals(1, signed=True), "", _NUMBERS),
    Measure("signal_contrast", "Contrast left", "1 = all", decimals(2), "", _NUMBERS),
)
_NAMES = {"Input": "Input (FBP)", "LI": "LI"}


def detectability_table(models: pd.DataFrame, context: Context, chosen: Sequence[Identity]) -> Table | None:
    """What an observer finds in the images of the chosen settings; none where no signals were simulated.

    Args:
        models: rows of one network.
        context: marks, and the few settings shown at first.
        chosen: the settings that validation chose.
    """
    if not measured(models, "auc"):
        return None
    return model_table("detectability", only(models, chosen), _MEASURES, context, _references(models))


def _references(models: pd.DataFrame) -> pd.DataFrame:
    """Means for the images without a network, on the signals of the model with the most seeds."""
    row = models.iloc[int(models["n_seeds"].to_numpy().argmax())]
    rows = []
    for image in SIGNAL_IMAGES[1:]:
        found = {"reference": _NAMES[image]}
        for measure, own in zip(signal_measures("prediction"), signal_measures(image), strict=True):
            found |= {interval_columns(measure)[0]: row[interval_columns(own)[0]]}
        rows.append(found)
    return pd.DataFrame(rows)
