"""The paper's claims, each with the test that this study makes of it.

Weights λ⊥ are chosen by validation PSNR, never on the test pairs; norms are compared at λ_G = 0 and at a common
measured defect (`ctmar.evaluation.norms_at_defect`).
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from operator import attrgetter

from ctmar.config.labels import scientific, weight
from ctmar.config.methods import METHODS
from ctmar.evaluation.compared_models import over_common_seeds
from ctmar.evaluation.gaps import Gap
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.norms_at_defect import REFERENCE_CURVE, SHARES, Curve, curves, deepest
from ctmar.evaluation.verdicts import (
    SMALLEST_DEFECT,
    UNDECIDED,
    Claim,
    Cost,
    Finding,
    all_close,
    chosen,
    gap_of,
    gaps,
    judge,
    model_text,
    not_worse,
    ratio_of,
    verdict,
    would_decide,
)
from ctmar.store.run_records import Measurements

SOURCE = "Berndt & Stühmer 2026"
_COST_OF_SPECTRAL = (0.10, 0.15)  # share of the step time that the paper reports
_AS_CHEAP = 1.1  # step times within this factor are equal
_CLEARLY = -1.0  # doublings: what falls clearly ends below half
_NON_EQUIVARIANCE = ("relative_non_equivariance", "defect_mean")  # of weights, of outputs
TOO_SMALL = ", too small for a verdict on cost"


def judge_claims(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test every claim of the paper; one that the study lacks the models for is not decided.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim: claim, source, role, test, measured, verdict, precision.
    """
    return judge(_CLAIMS, study, cost_rows)


def _frobenius_is_the_best_balance(study: MeasuredStudy, cost: Cost) -> Finding:
    """Frobenius against every other norm: quality at a common defect, and time that the penalty takes."""
    found, measured = _against_frobenius(study, "")
    if not found:
        return Finding(measured, UNDECIDED)
    every = curves(study)
    time = {name: cost.value(every[name].models[-1], "penalty_milliseconds") for name in found}
    own = cost.value(every[REFERENCE_CURVE].models[-1], "penalty_milliseconds")
    ratios = {name: cost.ratios(every[name].models[-1]) for name in found}
    ours = cost.ratios(every[REFERENCE_CURVE].models[-1])
    cheapest = min(time, key=lambda name: time[name])
    measured += f"; penalty {own:.2f} ms a step, of {cheapest} (cheapest of the others) {time[cheapest]:.2f} ms, in"
    measured += f" {cost.whose}"
    limit = (study.settings.equivalence_margin_db,)
    if not cost.is_of_a_large_network:
        return Finding(measured + TOO_SMALL, UNDECIDED, found, limit)
    beaten = any(gap.above and ratios[name].high - 1 <= _AS_CHEAP * (ours.low - 1) for name, gap in found.items())
    not_better = all(gap.not_better for gap in found.values())
    reached = len(found) == len(every) - 1
    as_cheap = all(ours.high - 1 <= _AS_CHEAP * (other.low - 1) for other in ratios.values())
    holds = reached and not_better and as_cheap
    return Finding(measured, verdict(holds, beaten), found, limit)


def _spectral_costs_a_tenth_of_the_step(study: MeasuredStudy, cost: Cost) -> Finding:
    """Step time with the spectral penalty relative to the plain step."""
    row = cost.rows.get(("projection", "spectral"))
    if row is None:
        return Finding("no step with the spectral norm was timed", UNDECIDED)
    ratio, n_rounds = ratio_of(row), int(float(row["n_repeats"]))
    low, high = _COST_OF_SPECTRAL
    measured = f"{ratio.middle - 1:+.1%} of the plain step ({ratio.low - 1:+.1%} to {ratio.high - 1:+.1%}, which holds"
    measured += f" the median with probability {ratio.coverage:.1%}; {n_rounds} repeats); {cost.whose}"
    if not cost.is_of_a_large_network:
        return Finding(measured + TOO_SMALL, UNDECIDED)
    found = verdict(low <= ratio.low - 1 <= ratio.high - 1 <= high, ratio.high - 1 < low)
    return Finding(measured + (would_decide(ratio, n_rounds, _COST_OF_SPECTRAL) if found == UNDECIDED else ""), found)


def _entrywise_infinity_degrades(study: MeasuredStudy, cost: Cost) -> Finding:
    """Entry-wise ∞ against Frobenius."""
    found, measured = _against_frobenius(study, "entrywise:inf")
    either = list(found.values())  # the norm, and its square where the study has it
    below = bool(either) and all(gap.below for gap in either)
    return Finding(measured, verdict(below, any(gap.above for gap in either)), found)


def _mixed_norms_are_close(study: MeasuredStudy, cost: Cost) -> Finding:
    """Every mixed norm against Frobenius."""
    found, measured = _against_frobenius(study, "mixed:")
    n_mixed = sum(curve.norm.startswith("mixed:") for curve in curves(study).values())
    close = all_close(found) if found and len(found) == n_mixed else UNDECIDED
    far = any(gap.far for gap in found.values())
    return Finding(measured, verdict(close == "agrees", far), found, study.margins)


def _non_equivariance_falls(study: MeasuredStudy, cost: Cost) -> Finding:
    """Weights and measured defect along the λ⊥ of every norm, from the plain model (λ⊥ = 0) on, in doublings."""
    sweeps = {name: curve for name, curve in curves(study).items() if len(curve.models) >= 3}
    if not sweeps:
        return Finding("no norm has three values of λ⊥, the plain model counted", UNDECIDED)
    ends = {name: _changes(study, curve, len(sweeps), ends_only=True) for name, curve in sweeps.items()}
    steps = {name: _changes(study, curve, len(sweeps), ends_only=False) for name, curve in sweeps.items()}
    unclear = [name for name, found in ends.items() if not all(gap.interval.high < _CLEARLY for gap in found)]
    rising = [name for name in sweeps if any(gap.above for gap in (*ends[name], *steps[name]))]
    shown = REFERENCE_CURVE if REFERENCE_CURVE in sweeps else next(iter(sweeps))
    first, last = sweeps[shown].models[0], sweeps[shown].models[-1]
    weights, defects = (
        [float(model.per_seed(attrgetter(name)).mean()) for model in (first, last)] for name in _NON_EQUIVARIANCE
    )
    measured = (
        f"{shown}, λ⊥ 0 → {weight(last.lam_perp)}: ‖W−PW‖/‖W‖ {' → '.join(map(scientific, weights))}, measured defect"
        f" {' → '.join(map(scientific, defects))}; surely ends below half for {len(sweeps) - len(unclear)} of"
        f" {len(sweeps)} norms" + (f", not for {', '.join(unclear)}" if unclear else "")
    )
    measured += f"; rises surely somewhere for {', '.join(rising)}" if rising else "; rises surely nowhere"
    least = {name: max(found, key=lambda gap: gap.interval.high) for name, found in ends.items()}
    return Finding(measured, verdict(not unclear and not rising, bool(rising)), least, (_CLEARLY,))


def _changes(study: MeasuredStudy, curve: Curve, n_norms: int, *, ends_only: bool) -> list[Gap]:
    """Changes of both measures, in doublings and paired by seed: from end to end, or between successive weights."""
    pairs = [(curve.models[0], curve.models[-1])] if ends_only else list(pairwise(curve.models))
    alpha = study.alpha / n_norms / len(pairs)

    def doublings(measured: Measurements, name: str) -> float:
        return math.log2(max(getattr(measured, name), SMALLEST_DEFECT))

    return [
        Gap(over_common_seeds(later, earlier, partial(doublings, name=name)), alpha, 0.0, "doublings")
        for name in _NON_EQUIVARIANCE
        for earlier, later in pairs
    ]


def _competitive_with_sampling(study: MeasuredStudy, cost: Cost) -> Finding:
    """The chosen projection penalty against each chosen regulariser that samples the group."""
    projection = chosen(study, "projection")
    regularisers = {name: facts for name, facts in METHODS.items() if facts.turns_samples and facts.reads_lam_perp}
    models = {facts.in_a_sentence: chosen(study, name) for name, facts in regularisers.items()}
    rivals = {name: model for name, model in models.items() if model is not None}
    if projection is None or not rivals:
        return Finding("the study lacks the projection penalty or a sample-based regulariser", UNDECIDED)
    found = gaps(study, {name: (projection, model) for name, model in rivals.items()})
    own = cost.value(projection, "ratio_to_plain")
    theirs = {name: cost.value(model, "ratio_to_plain") for name, model in rivals.items()}
    measured = f"{model_text(projection)}, step {own:.2f}× plain; " + "; ".join(
        f"− {name}: {gap.text}, step {theirs[name]:.2f}×" for name, gap in found.items()
    )
    measured += f"; {cost.whose}"
    quality, limit = not_worse(found), (-study.settings.equivalence_margin_db,)
    if not cost.is_of_a_large_network:
        return Finding(measured + TOO_SMALL, verdict(False, quality == "disagrees"), found, limit)
    ours, ratios = cost.ratios(projection), [cost.ratios(model) for model in rivals.values()]
    fraction = all(ours.high - 1 < (other.low - 1) / 2 for other in ratios)
    dearer = any(ours.low >= other.high for other in ratios)
    return Finding(measured, verdict(quality == "agrees" and fraction, quality == "disagrees" or dearer), found, limit)


def _against_frobenius(study: MeasuredStudy, beginning: str) -> tuple[dict[str, Gap], str]:
    """PSNR of norms whose name begins so, less Frobenius, each at the smallest common defect that both reach.

    Returns:
        Differences of the norms that reach one, and all norms in words.
    """
    every = curves(study)
    frobenius = every.get(REFERENCE_CURVE)
    others = [name for name, curve in every.items() if curve.norm.startswith(beginning) and name != REFERENCE_CURVE]
    if frobenius is None or not others:
        return {}, "the study lacks Frobenius or a norm to compare it with"
    found, texts = {}, []
    for name in others:
        share, estimate = deepest(study, every[name], frobenius)
        if math.isnan(share):
            texts.append(f"{name}: never comes to {SHARES[0]:g} of the plain network's defect together with Frobenius")
        else:
            found[name] = gap_of(study, estimate, len(others))
            texts.append(f"{name} − Frobenius: {found[name].text} at {share:g} of the plain network's defect")
    return found, "; ".join(texts)


_AT_A_DEFECT = (
    f"at the smallest of {', '.join(f'{share:g}' for share in SHARES)} of the plain network's measured defect that both"
    " reach, interpolated seed by seed"
)
_CLAIMS = (
    Claim(
        "Frobenius is the best balance of cost and quality on CT artefact reduction.",
        f"{SOURCE}, norm ablation",
        f"Paired PSNR of every other norm less Frobenius, {_AT_A_DEFECT}: not better than by {{margin}} dB (levels"
        " divided by the number of norms), and no norm's penalty takes clearly less time, by the intervals of the"
        " median over repeats; step times of a network of a million parameters at least.",
        _frobenius_is_the_best_balance,
    ),
    Claim(
        "The spectral norm costs 10–15 % of step time.",
        f"{SOURCE}, norm ablation",
        "Time of the penalty's value and gradient relative to the plain step beside it, median over repeats: an"
        " interval within 10–15 % agrees, one below disagrees, all else decides nothing; on a network of a million"
        " parameters at least.",
        _spectral_costs_a_tenth_of_the_step,
    ),
    Claim(
        "The entry-wise ∞-norm degrades reconstruction.",
        f"{SOURCE}, norm ablation",
        f"Paired PSNR less Frobenius, {_AT_A_DEFECT}: the interval lies below 0.",
        _entrywise_infinity_degrades,
    ),
    Claim(
        "Mixed (p,q) norms are close to Frobenius.",
        f"{SOURCE}, norm ablation",
        f"Paired PSNR of every mixed norm less Frobenius, {_AT_A_DEFECT}: equivalent within ±{{margin}} dB by two"
        " one-sided tests, levels divided by the number of norms.",
        _mixed_norms_are_close,
    ),
    Claim(
        "Non-equivariance falls clearly as λ⊥ grows.",
        f"{SOURCE}, λ⊥ study",
        "For every norm ‖W − P(W)‖ / ‖W‖ and measured defect at the largest λ⊥ relative to λ⊥ = 0 after training,"
        " paired by seed: the interval lies below one half (a doubling less), and between no two successive weights is"
        " there a rise whose interval lies above 0; levels divided by the number of norms and steps. A sure rise"
        " disagrees.",
        _non_equivariance_falls,
    ),
    Claim(
        "Competitive with sample-based regularisers at a fraction of the cost.",
        f"{SOURCE}, abstract",
        "Paired PSNR against each sample-based regulariser not worse than by {margin} dB, with less than half its extra"
        " step time, by the intervals of the median over repeats; step times of a network of a million parameters at"
        " least.",
        _competitive_with_sampling,
    ),
)
