"""Which setting stands for others: always the one that validation prefers, never the one that tests best.

This is the only place that chooses. What it chose are two columns of models.csv, by which the report filters.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import itemgetter
from typing import TypeVar

from ctmar.config.methods import METHODS
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.run_results import Identity

Key = TypeVar("Key", bound=Hashable)


def preferred(models: Sequence[Model]) -> Model | None:
    """Of the models with the most seeds the one with the highest validation PSNR of its kept weights.

    Seeds differ more than settings do, so the mean of fewer would be luck. Where validation gave no number there is
    nothing to prefer a model by.
    """
    most = max((len(model.runs) for model in models), default=0)
    validated = [(model.validation_psnr(), model) for model in models if len(model.runs) == most]
    known = [(psnr, model) for psnr, model in validated if not math.isnan(psnr)]
    return max(known, key=itemgetter(0))[1] if known else None


def choices(study: MeasuredStudy) -> dict[Identity, dict[str, bool]]:
    """The columns `CHOICES` of every model.

    Validation chooses weights and powers. Start and compute are no settings to be chosen: every one has its model for
    each method and norm, and for a kind of method stand models of the standard start and compute alone.
    """
    standard = filter(study.is_standard, study.models)
    of_series = preferred_of_each(study.models, series_of)
    of_kind = preferred_of_each(standard, lambda model: (model.network, METHODS[model.method].kind))
    chosen, chosen_of_kind = ({model.identity for model in own.values()} for own in (of_series, of_kind))
    return {
        model.identity: {
            "chosen": model.identity in chosen,
            "chosen_of_kind": model.identity in chosen_of_kind,
            "standard": study.is_standard(model),
        }
        for model in study.models
    }


def series_of(model: Model) -> tuple[str, str, str, str, float]:
    """What the models share among which validation chooses weights and powers."""
    return model.network, model.method, model.norm, str(model.run.start), model.run.compute


def preferred_of_each(models: Iterable[Model], key: Callable[[Model], Key]) -> dict[Key, Model]:
    """Of the models that share a key the one that validation prefers."""
    rivals: dict[Key, list[Model]] = {}
    for model in models:
        rivals.setdefault(key(model), []).append(model)
    found = {name: preferred(own) for name, own in rivals.items()}
    return {name: model for name, model in found.items() if model is not None}
