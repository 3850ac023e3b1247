"""Which setting stands for others: always the one that validation prefers, never the one that tests best.

This is the only place that chooses. What it chose are two columns of models.csv, by which the report filters.
"""

from collections.abc import Callable, Hashable, Sequence

from ctmar.config.methods import METHODS
from ctmar.evaluation.measured_study import Identity, MeasuredStudy, Model


def preferred(models: Sequence[Model]) -> Model | None:
    """Of the models with the most seeds the one with the highest validation PSNR of its kept weights.

    Seeds differ more than settings do, so the mean of fewer would be luck.
    """
    most = max((len(model.runs) for model in models), default=0)
    return max((model for model in models if len(model.runs) == most), key=Model.validation_psnr, default=None)


def choices(study: MeasuredStudy) -> dict[Identity, dict[str, bool]]:
    """The columns `CHOICES` of every model: whether it stands for its method and norm, and for its kind of method."""
    of_series = _preferred_of_each(study, lambda model: (model.network, model.method, model.norm))
    of_kind = _preferred_of_each(study, lambda model: (model.network, METHODS[model.method].kind))
    return {
        model.identity: {"chosen": model.identity in of_series, "chosen_of_kind": model.identity in of_kind}
        for model in study.models
    }


def _preferred_of_each(study: MeasuredStudy, key: Callable[[Model], Hashable]) -> set[Identity]:
    rivals: dict[Hashable, list[Model]] = {}
    for model in study.models:
        rivals.setdefault(key(model), []).append(model)
    found = map(preferred, rivals.values())
    return {model.identity for model in found if model is not None}
