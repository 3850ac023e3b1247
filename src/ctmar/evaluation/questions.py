"""What readers of the paper ask beyond its claims; only questions that a study has the models for are asked.

Weights are chosen by validation PSNR, never on the test pairs.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter

import numpy as np

from ctmar.config.methods import METHODS, Kind
from ctmar.evaluation.measured_study import MeasuredStudy, Model
from ctmar.evaluation.preference import preferred
from ctmar.evaluation.verdicts import (
    CLOSE_DB,
    COMPETITIVE_DB,
    Claim,
    Cost,
    Finding,
    all_close,
    candidates,
    chosen,
    decibel_text,
    gaps,
    judge,
    not_worse,
    verdict,
    widened,
)

SOURCE = "asked by readers of the paper"
NEARLY_EQUIVARIANT = 0.01  # ‖W − P(W)‖ / ‖W‖ below this
# to a network that is equivariant, or nearly so
OTHER_WAYS = tuple(kind for kind in Kind if kind not in (Kind.PLAIN, Kind.SAMPLE, Kind.PENALTY))


def ask_questions(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test what the study can decide beyond the paper's claims.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each question, put as a statement: claim, source, test, measured, verdict.
    """
    return judge(QUESTIONS, study, cost_rows)


def not_worse_than_other_ways(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """The chosen penalty against every other way to an equivariant or nearly equivariant network."""
    projection = chosen(study, "projection")
    ways = {name: facts.in_a_sentence for name, facts in METHODS.items() if facts.kind in OTHER_WAYS}
    rivals = {way: model for name, way in ways.items() if (model := chosen(study, name)) is not None}
    if projection is None or not rivals:
        return None
    found = gaps(study, projection, rivals)
    measured = "; ".join(f"projection − {way}: {decibel_text(gap)}" for way, gap in found.items())
    return measured, verdict(*not_worse(found))


def equivariant_weight_matters_little(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Every λ_G against λ_G = 0 of the same norm and λ⊥."""
    pairs = {
        f"{model.norm} λ⊥ {model.lam_perp:g}, λ_G {model.lam_equi:g}": (model, base)
        for model in candidates(study, "projection")
        for base in candidates(study, "projection", model.norm, 0.0)
        if model.lam_equi > 0 and base.lam_perp == model.lam_perp
    }
    if not pairs:
        return None
    wide = widened(study, len(pairs))
    found = {name: wide.difference(model, base, "psnr_db") for name, (model, base) in pairs.items()}
    return "; ".join(f"{name}: {decibel_text(gap)}" for name, gap in found.items()), all_close(found)


def depends_less_on_the_turn(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Range of PSNR over inputs turned by 0, 90, 180 and 270°, penalty against plain."""
    projection, plain = chosen(study, "projection"), chosen(study, "plain")
    if projection is None or plain is None:
        return None
    common = sorted(set(projection.seeds()) & set(plain.seeds()))
    if not common:
        return None
    ours, theirs = (_range_over_turns(model, common) for model in (projection, plain))
    gap = study.interval_over_seeds(ours - theirs)
    measured = (
        f"range over quarter turns {ours.mean():.3f} dB against {theirs.mean():.3f} dB of the plain network;"
        f" difference {decibel_text(gap)}"
    )
    return measured, verdict(gap.high < 0, gap.low > 0)


def better_beside_the_optimiser(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Nearly equivariant ends: the proximal step of the Frobenius penalty against the same penalty in the loss."""
    beside, inside = _nearly_equivariant(study, "proximal"), _nearly_equivariant(study, "projection", "frobenius")
    if beside is None or inside is None:
        return None
    gap = study.difference(beside, inside, "psnr_db")
    measured = (
        f"beside (λ⊥ {beside.lam_perp:g} per unit of learning rate) − in the loss (λ⊥ {inside.lam_perp:g}):"
        f" {decibel_text(gap)}"
    )
    return measured, verdict(gap.low > 0, gap.high < 0)


def _nearly_equivariant(study: MeasuredStudy, method: str, norm: str | None = None) -> Model | None:
    """Of the settings that end nearly equivariant, the one that validation prefers."""
    own = [
        model
        for model in candidates(study, method, norm, lam_equi=0.0)
        if np.max(model.per_seed(attrgetter("relative_non_equivariance"))) < NEARLY_EQUIVARIANT
    ]
    return preferred(own)


def _better_than(study: MeasuredStudy, cost: Cost, method: str) -> Finding | None:
    """The chosen penalty against one other method."""
    projection, rival = chosen(study, "projection"), chosen(study, method)
    if projection is None or rival is None:
        return None
    gap = gaps(study, projection, {method: rival})[method]
    name = METHODS[method].in_a_sentence
    measured = f"projection ({projection.norm}, λ⊥ {projection.lam_perp:g}) − {name}: {decibel_text(gap)}"
    return measured, verdict(gap.low > 0, gap.high < 0)


def _range_over_turns(model: Model, seeds: Sequence[int]) -> np.ndarray:
    tables = [run.measurements.psnr_turned_db for run in model.runs if run.seed in seeds]
    return np.array([max(table.values()) - min(table.values()) for table in tables])


QUESTIONS = (
    *(
        Claim(
            facts.question,
            SOURCE,
            f"Paired PSNR of the validation-chosen penalty minus {facts.in_a_sentence}: the interval lies above 0.",
            partial(_better_than, method=name),
        )
        for name, facts in METHODS.items()
        if facts.question
    ),
    Claim(
        "No other way to an equivariant or nearly equivariant network is better.",
        SOURCE,
        f"Paired PSNR against each of them, validation-chosen: not worse than {COMPETITIVE_DB} dB.",
        not_worse_than_other_ways,
    ),
    Claim(
        "The weight λ_G of the equivariant part matters little.",
        SOURCE,
        f"Paired PSNR of every λ_G > 0 minus λ_G = 0 at the same λ⊥: the interval lies within ±{CLOSE_DB} dB.",
        equivariant_weight_matters_little,
    ),
    Claim(
        "With the penalty, quality depends less on how the image is turned.",
        SOURCE,
        "Range of PSNR over quarter turns of the input, penalty minus plain: the interval over seeds lies below 0.",
        depends_less_on_the_turn,
    ),
    Claim(
        "A network made equivariant by the penalty is better where the penalty stands beside Adam, not in its loss.",
        "this project, docs/derivation.md 6.3",
        "Frobenius norm; of the settings that end with ‖W − PW‖ below 1 % of ‖W‖, the one that validation prefers of"
        " each kind; paired PSNR, proximal step (equivariant start) minus loss term: the interval lies above 0.",
        better_beside_the_optimiser,
    ),
)
