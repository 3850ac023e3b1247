"""What an audit of this project's first study asked; only questions that a study has the models for are asked."""

import math
from operator import attrgetter

import numpy as np

from ctmar.config.labels import series_label
from ctmar.config.methods import METHODS
from ctmar.config.study import Condition
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.preference import preferred, preferred_of_each, series_of
from ctmar.evaluation.verdicts import (
    NEARLY_EQUIVARIANT,
    Claim,
    Cost,
    Finding,
    candidates,
    chosen,
    condition_text,
    gap_of,
    gaps,
    model_text,
    verdict,
)


def _better_beside_the_optimiser(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Nearly equivariant ends: the proximal step of the Frobenius penalty against the same penalty in the loss."""
    beside, inside = _nearly_equivariant(study, "proximal"), _nearly_equivariant(study, "projection", "frobenius")
    if beside is None or inside is None:
        return None
    gap = gap_of(study, study.difference(beside, inside, "psnr_db"))
    measured = f"beside, {model_text(beside)} − in the loss, {model_text(inside)}: {gap.text}"
    return Finding(measured, verdict(gap.above, gap.below), {"": gap})


def _nearly_equivariant(study: MeasuredStudy, method: str, norm: str | None = None) -> Model | None:
    """Of the settings that end nearly equivariant, the one that validation prefers."""
    own = [
        model
        for model in candidates(study, method, norm, lam_equi=0.0)
        if np.max(model.per_seed(attrgetter("relative_non_equivariance"))) < NEARLY_EQUIVARIANT
    ]
    return preferred(own)


def _better_than_longer_training(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """The chosen penalty against the plain network with the most steps."""
    start = study.standard[0]
    longer = [model for model in study.models if model.method == "plain" and model.run.start == start]
    projection, rival = chosen(study, "projection"), max(longer, key=lambda model: model.run.compute, default=None)
    if projection is None or rival is None or rival.run.compute <= 1:
        return None
    gap = gap_of(study, study.difference(projection, rival, "psnr_db"))
    return Finding(
        f"{model_text(projection)} − {model_text(rival)}: {gap.text}", verdict(gap.above, gap.below), {"": gap}
    )


def _a_drawn_start_is_worse(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Every method and norm that was trained from both starts, each at the setting that validation prefers."""
    of_series = preferred_of_each(study.models, series_of)
    both = {
        series_label(method, norm): (model, equivariant)
        for (network, method, norm, start, compute), model in of_series.items()
        if start == "drawn" and (equivariant := of_series.get((network, method, norm, "equivariant", compute)))
    }
    if not both:
        return None
    found = gaps(study, both)
    below, above = all(gap.below for gap in found.values()), any(gap.above for gap in found.values())
    return Finding("; ".join(f"{name}: {gap.text}" for name, gap in found.items()), verdict(below, above), found)


def _pays_where_the_symmetry_is_broken(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """At every asymmetry the chosen penalties against plain and strict; one with both above 0 is enough."""
    tried = {
        (condition, method): {name: under.difference(penalty, rival, "psnr_db") for name, rival in rivals.items()}
        for condition, under in study.conditions.items()
        for method in ("projection", "proximal")
        if condition[0] > 0
        and (rivals := {name: model for name in ("plain", "strict") if (model := chosen(under, name)) is not None})
        and len(rivals) == 2
        and (penalty := chosen(under, method)) is not None
    }
    if not tried:
        return None
    found = {key: {name: gap_of(study, one, len(tried)) for name, one in both.items()} for key, both in tried.items()}

    def lower(key: tuple[Condition, str]) -> float:
        lows = [gap.interval.low for gap in found[key].values()]
        return -math.inf if any(map(math.isnan, lows)) else min(lows)

    best = max(found, key=lower)
    differences = "; ".join(f"− {METHODS[name].in_a_sentence} {gap.text}" for name, gap in found[best].items())
    name = METHODS[best[1]].in_a_sentence
    measured = f"of {len(found)} tried, best {name} where {condition_text(*best[0])}: {differences}"
    never = all(any(gap.below for gap in both.values()) for both in found.values())
    return Finding(measured, verdict(lower(best) > 0, never), found[best])


_AUDIT = "this project, an audit of its first study"
AUDIT_QUESTIONS = (
    Claim(
        "A network made equivariant is better by the proximal step than by the loss term.",
        "this project, docs/derivation.md 6.3",
        "Frobenius norm, both from the same start; of the settings that end with ‖W − PW‖ below 1 % of ‖W‖, the one"
        " that validation prefers of each kind; paired PSNR, proximal step minus loss term: the interval lies above 0.",
        _better_beside_the_optimiser,
    ),
    Claim(
        "A drawn start is worse than an equivariant one.",
        _AUDIT,
        "Paired PSNR, drawn minus equivariant start, of every method and norm that was trained from both, each at the"
        " setting that validation prefers: all intervals lie below 0, levels divided by their number; one above 0"
        " disagrees.",
        _a_drawn_start_is_worse,
    ),
    Claim(
        "The penalty improves on a plain network that is trained for longer.",
        _AUDIT,
        "Paired PSNR of the validation-chosen penalty minus the plain network with the most steps: the interval lies"
        " above 0.",
        _better_than_longer_training,
    ),
    Claim(
        "Where the symmetry is broken there is a strength at which the penalty beats both the plain and the strict"
        " network.",
        _AUDIT,
        "Paired PSNR of the validation-chosen penalty, in the loss or proximal, minus plain and minus strict, under"
        " every asymmetry above 0 and number of slices: under one, both intervals lie above 0, levels divided by the"
        " number of penalties and conditions.",
        _pays_where_the_symmetry_is_broken,
    ),
)
