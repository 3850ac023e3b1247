"""The paper's claims, each with the test that this study makes of it.

Weights λ⊥ are chosen by validation PSNR, never on the test pairs; in the comparison of norms λ_G is 0 for all of them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

from ctmar.config.methods import METHODS
from ctmar.evaluation.measured_study import MeasuredStudy, Model
from ctmar.evaluation.statistics import Interval
from ctmar.evaluation.verdicts import (
    CLOSE_DB,
    COMPETITIVE_DB,
    UNDECIDED,
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
    penalty_milliseconds,
    ratio_to_plain,
    verdict,
)

SOURCE = "Berndt & Stühmer 2026"
COST_OF_SPECTRAL = (0.10, 0.15)  # share of the step time that the paper reports
AS_CHEAP = 1.1  # step times within this factor are equal


def judge_claims(study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test every claim of the paper; one that the study lacks the models for is not decided.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim: claim, source, test, measured, verdict.
    """
    return judge(CLAIMS, study, cost_rows)


def chosen_of_norms(study: MeasuredStudy) -> dict[str, Model]:
    """For each norm of the projection penalty its chosen model at λ_G = 0."""
    norms = dict.fromkeys(model.norm for model in candidates(study, "projection", lam_equi=0.0))
    found = {norm: chosen(study, "projection", norm, 0.0) for norm in norms}
    return {norm: model for norm, model in found.items() if model is not None}


def frobenius_is_the_best_balance(study: MeasuredStudy, cost: Cost) -> Finding:
    """Frobenius against every other norm: quality, and time that the penalty takes."""
    norms = chosen_of_norms(study)
    frobenius = norms.pop("frobenius", None)
    if frobenius is None or not norms:
        return "the study has no second norm beside Frobenius", UNDECIDED
    found = gaps(study, frobenius, norms)
    time = {norm: penalty_milliseconds(cost, model) for norm, model in norms.items()}
    own = penalty_milliseconds(cost, frobenius)
    best, cheapest = min(found, key=lambda norm: found[norm].mean), min(time, key=lambda norm: time[norm])
    n_weights = {norm: len(candidates(study, "projection", norm, 0.0)) for norm in ("frobenius", best)}
    measured = (
        f"Frobenius − {best} (best of {len(norms)} other norms): {decibel_text(found[best])}; penalty {own:.2f} ms a"
        f" step against {time[best]:.2f} ms, and {time[cheapest]:.2f} ms of {cheapest} (cheapest); chosen from"
        f" {n_weights['frobenius']} and {n_weights[best]} weights"
    )
    beaten = any(gap.high < 0 and time[norm] <= AS_CHEAP * own for norm, gap in found.items())
    return measured, verdict(not_worse(found)[0] and own <= AS_CHEAP * time[cheapest], beaten)


def spectral_costs_a_tenth_of_the_step(study: MeasuredStudy, cost: Cost) -> Finding:
    """Step time with the spectral penalty relative to the plain step."""
    row = cost.get(("projection", "spectral"))
    if row is None:
        return "the study does not use the spectral norm", UNDECIDED
    extra = float(row["ratio_to_plain"]) - 1
    measured = f"{extra:+.1%} of the plain step of this network; on a small one fixed overhead dominates"
    low, high = COST_OF_SPECTRAL
    return measured, verdict(low <= extra <= high, extra < low)


def entrywise_infinity_degrades(study: MeasuredStudy, cost: Cost) -> Finding:
    """Entry-wise ∞ against Frobenius."""
    found = _against_frobenius(study, "entrywise:inf")
    if not found:
        return "the study lacks Frobenius or the entry-wise ∞-norm", UNDECIDED
    gap = found["entrywise:inf"]
    return f"entrywise:inf − Frobenius: {decibel_text(gap)}", verdict(gap.high < 0, gap.low >= 0)


def mixed_norms_are_close(study: MeasuredStudy, cost: Cost) -> Finding:
    """Every mixed norm against Frobenius."""
    found = _against_frobenius(study, "mixed:")
    if not found:
        return "the study lacks Frobenius or a mixed norm", UNDECIDED
    measured = "; ".join(f"{norm} − Frobenius: {decibel_text(gap)}" for norm, gap in found.items())
    return measured, all_close(found)


def non_equivariance_falls(study: MeasuredStudy, cost: Cost) -> Finding:
    """Weights and measured defect along the λ⊥ of every norm, from the plain model on."""
    sweeps = {norm: _sweep(study, norm) for norm in chosen_of_norms(study)}
    sweeps = {norm: sweep for norm, sweep in sweeps.items() if len(sweep) >= 3}
    if not sweeps:
        return "no norm has three values of λ⊥, the plain model counted", UNDECIDED
    found = {norm: _falls(study, sweep) for norm, sweep in sweeps.items()}
    shown = "frobenius" if "frobenius" in sweeps else next(iter(sweeps))
    weights, defects = _along(study, sweeps[shown])
    failing = [norm for norm, (falls, _) in found.items() if not falls]
    measured = (
        f"{shown}, λ⊥ 0 → {sweeps[shown][-1].lam_perp:g}: ‖W−PW‖/‖W‖ {weights[0].mean:.3g} → {weights[-1].mean:.3g},"
        f" measured defect {defects[0].mean:.3g} → {defects[-1].mean:.3g}; falls clearly for"
        f" {len(found) - len(failing)} of {len(found)} norms" + (f", not for {', '.join(failing)}" if failing else "")
    )
    return measured, verdict(not failing, any(rises for _, rises in found.values()))


def competitive_with_sampling(study: MeasuredStudy, cost: Cost) -> Finding:
    """The chosen projection penalty against each chosen regulariser that samples the group."""
    projection = chosen(study, "projection")
    regularisers = {name: facts for name, facts in METHODS.items() if facts.turns_samples and facts.reads_lam_perp}
    found = {facts.in_a_sentence: chosen(study, name) for name, facts in regularisers.items()}
    rivals = {name: model for name, model in found.items() if model is not None}
    if projection is None or not rivals:
        return "the study lacks the projection penalty or a sample-based regulariser", UNDECIDED
    differences = gaps(study, projection, rivals)
    own = ratio_to_plain(cost, projection)
    theirs = {name: ratio_to_plain(cost, model) for name, model in rivals.items()}
    measured = f"projection ({projection.norm}, λ⊥ {projection.lam_perp:g}), step {own:.2f}× plain; " + "; ".join(
        f"− {name}: {decibel_text(gap)}, step {theirs[name]:.2f}×" for name, gap in differences.items()
    )
    as_good, worse = not_worse(differences)
    fraction = all(own - 1 < (ratio - 1) / 2 for ratio in theirs.values())
    return measured, verdict(as_good and fraction, worse or any(own >= ratio for ratio in theirs.values()))


def _against_frobenius(study: MeasuredStudy, norm: str) -> dict[str, Interval]:
    """Paired PSNR difference to Frobenius of the norms whose name begins with ``norm``."""
    norms = chosen_of_norms(study)
    frobenius = norms.get("frobenius")
    rivals = {name: model for name, model in sorted(norms.items()) if name.startswith(norm)}
    if frobenius is None:
        return {}
    return {name: Interval(-gap.mean, -gap.high, -gap.low) for name, gap in gaps(study, frobenius, rivals).items()}


def _sweep(study: MeasuredStudy, norm: str) -> list[Model]:
    plain = [model for model in study.models if model.method == "plain"]
    own = candidates(study, "projection", norm, 0.0)
    return plain + sorted((model for model in own if model.lam_perp > 0), key=lambda model: model.lam_perp)


def _along(study: MeasuredStudy, sweep: list[Model]) -> tuple[list[Interval], list[Interval]]:
    measures = (attrgetter("relative_non_equivariance"), attrgetter("defect_mean"))
    weights, defects = ([study.interval_over_seeds(model.per_seed(measure)) for model in sweep] for measure in measures)
    return weights, defects


def _falls(study: MeasuredStudy, sweep: list[Model]) -> tuple[bool, bool]:
    """Whether both measures fall at every step with disjoint ends, and whether one has risen at the end."""
    both = _along(study, sweep)
    falls = all(later.mean < earlier.mean for series in both for earlier, later in pairwise(series))
    ends = all(series[-1].high < series[0].low for series in both)
    return falls and ends, any(series[-1].low > series[0].high for series in both)


CLAIMS = (
    Claim(
        "Frobenius is the best balance of cost and quality on CT artefact reduction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR against every other norm, each at its validation-chosen λ⊥: not worse than"
        f" {COMPETITIVE_DB} dB (intervals widened for the number of norms), and no norm's penalty takes clearly less"
        " time.",
        frobenius_is_the_best_balance,
    ),
    Claim(
        "The spectral norm costs 10–15 % of step time.",
        f"{SOURCE}, norm ablation",
        "Step time with the penalty relative to the plain step, measured side by side: within 10–15 % agrees,"
        " less disagrees, more decides nothing.",
        spectral_costs_a_tenth_of_the_step,
    ),
    Claim(
        "The entry-wise ∞-norm degrades reconstruction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR difference to Frobenius, each at its validation-chosen λ⊥: the interval lies below 0.",
        entrywise_infinity_degrades,
    ),
    Claim(
        "Mixed (p,q) norms are close to Frobenius.",
        f"{SOURCE}, norm ablation",
        f"Paired PSNR difference to Frobenius: the interval of every mixed norm, widened for their number, lies"
        f" within ±{CLOSE_DB} dB.",
        mixed_norms_are_close,
    ),
    Claim(
        "Non-equivariance falls clearly as λ⊥ grows.",
        f"{SOURCE}, λ⊥ study",
        "Relative ‖W − P(W)‖ and measured defect fall at every step of λ⊥ for every norm, from the plain model on, with"
        " disjoint intervals at the ends.",
        non_equivariance_falls,
    ),
    Claim(
        "Competitive with sample-based regularisers at a fraction of the cost.",
        f"{SOURCE}, abstract",
        f"Paired PSNR against each sample-based regulariser not worse than {COMPETITIVE_DB} dB, with less than half its"
        " extra step time.",
        competitive_with_sampling,
    ),
)
