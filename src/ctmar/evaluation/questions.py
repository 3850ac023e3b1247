"""What readers of the paper ask beyond its claims; only questions that a study has the models for are asked.

Weights are chosen by validation PSNR, never on the test pairs.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from ctmar.config.labels import model_label
from ctmar.config.methods import METHODS, Kind
from ctmar.evaluation.audit_questions import AUDIT_QUESTIONS
from ctmar.evaluation.compared_models import in_common, over_common_seeds
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.primary import covers, judge_primary
from ctmar.evaluation.verdicts import (
    Claim,
    Cost,
    Finding,
    all_close,
    candidates,
    chosen,
    gap_of,
    gaps,
    judge,
    model_text,
    not_worse,
    verdict,
)
from ctmar.store.run_records import Measurements

SOURCE = "asked by readers of the paper"
# to a network that is equivariant, or nearly so
_OTHER_WAYS = tuple(kind for kind in Kind if kind not in (Kind.PLAIN, Kind.SAMPLE, Kind.PENALTY))


def ask_questions(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test what the study can decide beyond the paper's claims.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each question, put as a statement: claim, source, role, test, measured, verdict, precision; the primary
        comparisons come first, and what they ask is not asked again.
    """
    return [*judge_primary(study, cost_rows), *judge(_QUESTIONS, study, cost_rows)]


def _not_worse_than_other_ways(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """The chosen penalty against every other way to an equivariant or nearly equivariant network."""
    projection = chosen(study, "projection")
    ways = {name: facts.in_a_sentence for name, facts in METHODS.items() if facts.kind in _OTHER_WAYS}
    rivals = {way: model for name, way in ways.items() if (model := chosen(study, name)) is not None}
    if projection is None or not rivals:
        return None
    found = gaps(study, {way: (projection, model) for way, model in rivals.items()})
    measured = f"{model_text(projection)} " + "; ".join(f"− {way}: {gap.text}" for way, gap in found.items())
    return Finding(measured, not_worse(found), found, (-study.settings.equivalence_margin_db,))


def _equivariant_weight_matters_little(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Every λᴳ against λᴳ = 0 of the same norm and λ⊥."""
    pairs = {
        model_label(model.run.model_dump()): (model, base)
        for model in candidates(study, "projection")
        for base in candidates(study, "projection", model.norm, 0.0)
        if model.lam_equi > 0 and base.run.setting == model.run.setting.model_copy(update={"lam_equi": 0.0})
    }
    if not pairs:
        return None
    found = gaps(study, pairs)
    measured = "; ".join(f"{name}: {gap.text}" for name, gap in found.items())
    return Finding(measured, all_close(found), found, study.margins)


def _depends_less_on_the_turn(study: MeasuredStudy, cost: Cost) -> Finding | None:
    """Range of PSNR over inputs turned by 0, 90, 180 and 270°, penalty against plain."""
    projection, plain = chosen(study, "projection"), chosen(study, "plain")
    if projection is None or plain is None:
        return None
    gap = gap_of(study, over_common_seeds(projection, plain, _range_over_turns))
    ours, theirs = (model.per_seed(_range_over_turns).mean() for model in in_common(projection, plain))
    measured = (
        f"range over quarter turns {ours:.3f} dB against {theirs:.3f} dB of the plain network; difference {gap.text}"
    )
    return Finding(measured, verdict(gap.below, gap.above), {"": gap})


def _better_than(study: MeasuredStudy, cost: Cost, method: str) -> Finding | None:
    """The chosen penalty against one other method."""
    projection, rival = chosen(study, "projection"), chosen(study, method)
    if projection is None or rival is None or covers(study, "projection", method):
        return None
    gap = gap_of(study, study.difference(projection, rival, "psnr_db"))
    measured = f"{model_text(projection)} − {model_text(rival)}: {gap.text}"
    return Finding(measured, verdict(gap.above, gap.below), {"": gap})


def _range_over_turns(measured: Measurements) -> float:
    return max(measured.psnr_turned_db.values()) - min(measured.psnr_turned_db.values())


_QUESTIONS = (
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
        "Paired PSNR against each of them, validation-chosen: not worse than by {margin} dB, levels divided by their"
        " number.",
        _not_worse_than_other_ways,
    ),
    Claim(
        "The weight λᴳ of the equivariant part matters little.",
        SOURCE,
        "Paired PSNR of every λᴳ > 0 minus λᴳ = 0 at the same λ⊥: equivalent within ±{margin} dB by two one-sided"
        " tests, levels divided by their number.",
        _equivariant_weight_matters_little,
    ),
    Claim(
        "With the penalty, quality depends less on how the image is turned.",
        SOURCE,
        "Range of PSNR over quarter turns of the input, penalty minus plain: the interval over seeds lies below 0.",
        _depends_less_on_the_turn,
    ),
    *AUDIT_QUESTIONS,
)
