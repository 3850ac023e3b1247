"""The paper's claims, each with the test that this study makes of it.

Weights λ⊥ are chosen by validation PSNR, never on the test pairs; in the comparison of norms λ_G is 0 for all of them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

from ctmar.config.methods import METHODS
from ctmar.evaluation.gaps import Gap
from ctmar.evaluation.intervals import over_seeds
from ctmar.evaluation.measured_study import MeasuredStudy, Model
from ctmar.evaluation.verdicts import (
    UNDECIDED,
    Claim,
    Cost,
    Finding,
    all_close,
    candidates,
    chosen,
    gaps,
    judge,
    large_enough_for_cost,
    not_worse,
    penalty_milliseconds,
    ratio_to_plain,
    verdict,
)

SOURCE = "Berndt & Stühmer 2026"
_COST_OF_SPECTRAL = (0.10, 0.15)  # share of the step time that the paper reports
_AS_CHEAP = 1.1  # step times within this factor are equal
_NON_EQUIVARIANCE = (attrgetter("relative_non_equivariance"), attrgetter("defect_mean"))  # of weights, of outputs
TOO_SMALL = "; this network is too small for a verdict on cost"


def judge_claims(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test every claim of the paper; one that the study lacks the models for is not decided.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim: claim, source, role, test, measured, verdict, precision.
    """
    return judge(_CLAIMS, study, cost_rows)


def _chosen_of_norms(study: MeasuredStudy) -> dict[str, Model]:
    """For each norm of the projection penalty its chosen model at λ_G = 0."""
    norms = dict.fromkeys(model.norm for model in candidates(study, "projection", lam_equi=0.0))
    found = {norm: chosen(study, "projection", norm, 0.0) for norm in norms}
    return {norm: model for norm, model in found.items() if model is not None}


def _frobenius_is_the_best_balance(study: MeasuredStudy, cost: Cost) -> Finding:
    """Frobenius against every other norm: quality, and time that the penalty takes."""
    norms = _chosen_of_norms(study)
    frobenius = norms.pop("frobenius", None)
    if frobenius is None or not norms:
        return Finding("the study has no second norm beside Frobenius", UNDECIDED)
    found = gaps(study, {norm: (frobenius, model) for norm, model in norms.items()})
    time = {norm: penalty_milliseconds(cost, model) for norm, model in norms.items()}
    own = penalty_milliseconds(cost, frobenius)
    best, cheapest = min(found, key=lambda norm: found[norm].mean), min(time, key=lambda norm: time[norm])
    n_weights = {norm: len(candidates(study, "projection", norm, 0.0)) for norm in ("frobenius", best)}
    measured = (
        f"Frobenius − {best} (best of {len(norms)} other norms): {found[best].text}; penalty {own:.2f} ms a"
        f" step against {time[best]:.2f} ms, and {time[cheapest]:.2f} ms of {cheapest} (cheapest); chosen from"
        f" {n_weights['frobenius']} and {n_weights[best]} weights"
    )
    if not large_enough_for_cost(study):
        return Finding(measured + TOO_SMALL, UNDECIDED, found, (-study.settings.equivalence_margin_db,))
    beaten = any(gap.below and time[norm] <= _AS_CHEAP * own for norm, gap in found.items())
    holds = not_worse(found) == "agrees" and own <= _AS_CHEAP * time[cheapest]
    return Finding(measured, verdict(holds, beaten), found, (-study.settings.equivalence_margin_db,))


def _spectral_costs_a_tenth_of_the_step(study: MeasuredStudy, cost: Cost) -> Finding:
    """Step time with the spectral penalty relative to the plain step."""
    row = cost.get(("projection", "spectral"))
    if row is None:
        return Finding("the study does not use the spectral norm", UNDECIDED)
    extra = float(row["ratio_to_plain"]) - 1
    measured = f"{extra:+.1%} of the plain step of this network"
    if not large_enough_for_cost(study):
        return Finding(measured + TOO_SMALL, UNDECIDED)
    low, high = _COST_OF_SPECTRAL
    return Finding(measured, verdict(low <= extra <= high, extra < low))


def _entrywise_infinity_degrades(study: MeasuredStudy, cost: Cost) -> Finding:
    """Entry-wise ∞ against Frobenius."""
    found = _against_frobenius(study, "entrywise:inf")
    if not found:
        return Finding("the study lacks Frobenius or the entry-wise ∞-norm", UNDECIDED)
    gap = found["entrywise:inf"]
    return Finding(_in_words(found), verdict(gap.below, gap.above), found)


def _mixed_norms_are_close(study: MeasuredStudy, cost: Cost) -> Finding:
    """Every mixed norm against Frobenius."""
    found = _against_frobenius(study, "mixed:")
    if not found:
        return Finding("the study lacks Frobenius or a mixed norm", UNDECIDED)
    return Finding(_in_words(found), all_close(found), found, study.margins)


def _non_equivariance_falls(study: MeasuredStudy, cost: Cost) -> Finding:
    """Weights and measured defect along the λ⊥ of every norm, from the plain model on."""
    sweeps = {norm: _sweep(study, norm) for norm in _chosen_of_norms(study)}
    sweeps = {norm: sweep for norm, sweep in sweeps.items() if len(sweep) >= 3}
    if not sweeps:
        return Finding("no norm has three values of λ⊥, the plain model counted", UNDECIDED)
    ends = _ends(study, sweeps)
    failing = [norm for norm, sweep in sweeps.items() if not (_falls(sweep) and all(g.below for g in ends[norm]))]
    shown = "frobenius" if "frobenius" in sweeps else next(iter(sweeps))
    weights, defects = _along(sweeps[shown])
    measured = (
        f"{shown}, λ⊥ 0 → {sweeps[shown][-1].lam_perp:g}: ‖W−PW‖/‖W‖ {weights[0]:.3g} → {weights[-1]:.3g},"
        f" measured defect {defects[0]:.3g} → {defects[-1]:.3g}; falls at every step and surely from end to end for"
        f" {len(sweeps) - len(failing)} of {len(sweeps)} norms" + (f", not for {', '.join(failing)}" if failing else "")
    )
    rises = any(gap.above for both in ends.values() for gap in both)
    return Finding(measured, verdict(not failing, rises), {norm: both[0] for norm, both in ends.items()})


def _competitive_with_sampling(study: MeasuredStudy, cost: Cost) -> Finding:
    """The chosen projection penalty against each chosen regulariser that samples the group."""
    projection = chosen(study, "projection")
    regularisers = {name: facts for name, facts in METHODS.items() if facts.turns_samples and facts.reads_lam_perp}
    models = {facts.in_a_sentence: chosen(study, name) for name, facts in regularisers.items()}
    rivals = {name: model for name, model in models.items() if model is not None}
    if projection is None or not rivals:
        return Finding("the study lacks the projection penalty or a sample-based regulariser", UNDECIDED)
    found = gaps(study, {name: (projection, model) for name, model in rivals.items()})
    own = ratio_to_plain(cost, projection)
    theirs = {name: ratio_to_plain(cost, model) for name, model in rivals.items()}
    measured = f"projection ({projection.norm}, λ⊥ {projection.lam_perp:g}), step {own:.2f}× plain; " + "; ".join(
        f"− {name}: {gap.text}, step {theirs[name]:.2f}×" for name, gap in found.items()
    )
    quality, limit = not_worse(found), (-study.settings.equivalence_margin_db,)
    if not large_enough_for_cost(study):
        return Finding(measured + TOO_SMALL, verdict(False, quality == "disagrees"), found, limit)
    fraction = all(own - 1 < (ratio - 1) / 2 for ratio in theirs.values())
    dearer = any(own >= ratio for ratio in theirs.values())
    return Finding(measured, verdict(quality == "agrees" and fraction, quality == "disagrees" or dearer), found, limit)


def _against_frobenius(study: MeasuredStudy, norm: str) -> dict[str, Gap]:
    """Paired PSNR difference to Frobenius of the norms whose name begins with ``norm``."""
    norms = _chosen_of_norms(study)
    frobenius = norms.get("frobenius")
    if frobenius is None:
        return {}
    return gaps(study, {name: (norms[name], frobenius) for name in sorted(norms) if name.startswith(norm)})


def _in_words(found: Mapping[str, Gap]) -> str:
    return "; ".join(f"{norm} − Frobenius: {gap.text}" for norm, gap in found.items())


def _sweep(study: MeasuredStudy, norm: str) -> list[Model]:
    plain = [model for model in study.models if model.method == "plain"]
    own = candidates(study, "projection", norm, 0.0)
    return plain + sorted((model for model in own if model.lam_perp > 0), key=lambda model: model.lam_perp)


def _along(sweep: list[Model]) -> list[list[float]]:
    return [[float(model.per_seed(measure).mean()) for model in sweep] for measure in _NON_EQUIVARIANCE]


def _falls(sweep: list[Model]) -> bool:
    """Whether both measures fall at every step of a sweep."""
    return all(later < earlier for series in _along(sweep) for earlier, later in pairwise(series))


def _ends(study: MeasuredStudy, sweeps: Mapping[str, list[Model]]) -> dict[str, list[Gap]]:
    """For each norm the change of both measures from the first to the last model of its sweep, paired by seed."""
    alpha = study.alpha / len(sweeps)
    found = {}
    for norm, sweep in sweeps.items():
        seeds = [seed for seed in sweep[-1].seeds() if seed in sweep[0].seeds()]
        first, last = ([model.seeds().index(seed) for seed in seeds] for model in (sweep[0], sweep[-1]))
        found[norm] = [
            Gap(over_seeds(sweep[-1].per_seed(measure)[last] - sweep[0].per_seed(measure)[first]), alpha, 0.0, "")
            for measure in _NON_EQUIVARIANCE
        ]
    return found


_CLAIMS = (
    Claim(
        "Frobenius is the best balance of cost and quality on CT artefact reduction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR against every other norm, each at its validation-chosen λ⊥: not worse than by {margin} dB (levels"
        " divided by the number of norms), and no norm's penalty takes clearly less time; on a network of a million"
        " parameters at least.",
        _frobenius_is_the_best_balance,
    ),
    Claim(
        "The spectral norm costs 10–15 % of step time.",
        f"{SOURCE}, norm ablation",
        "Step time with the penalty relative to the plain step, measured side by side: within 10–15 % agrees,"
        " less disagrees, more decides nothing; on a network of a million parameters at least.",
        _spectral_costs_a_tenth_of_the_step,
    ),
    Claim(
        "The entry-wise ∞-norm degrades reconstruction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR difference to Frobenius, each at its validation-chosen λ⊥: the interval lies below 0.",
        _entrywise_infinity_degrades,
    ),
    Claim(
        "Mixed (p,q) norms are close to Frobenius.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR difference to Frobenius of every mixed norm, each at its validation-chosen λ⊥: equivalent within"
        " ±{margin} dB by two one-sided tests, levels divided by the number of norms.",
        _mixed_norms_are_close,
    ),
    Claim(
        "Non-equivariance falls clearly as λ⊥ grows.",
        f"{SOURCE}, λ⊥ study",
        "Relative ‖W − P(W)‖ and measured defect fall at every step of λ⊥ for every norm, from the plain model on; the"
        " intervals over seeds of their change from end to end lie below 0.",
        _non_equivariance_falls,
    ),
    Claim(
        "Competitive with sample-based regularisers at a fraction of the cost.",
        f"{SOURCE}, abstract",
        "Paired PSNR against each sample-based regulariser not worse than by {margin} dB, with less than half its extra"
        " step time; on a network of a million parameters at least.",
        _competitive_with_sampling,
    ),
)
