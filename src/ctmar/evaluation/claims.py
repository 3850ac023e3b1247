"""The paper's claims, each with the test that this study makes of it.

Weights λ⊥ are chosen by validation PSNR, never on the test pairs. A verdict is "agrees" or "disagrees" only where an
interval decides; otherwise it is "not decided".
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from ctmar.evaluation.results import Model, StudyResults
from ctmar.evaluation.statistics import Interval

SOURCE = "Berndt & Stühmer 2026"
CLOSE_DB = 0.5  # "close": mean PSNR within this
COMPETITIVE_DB = 0.2  # "competitive": not worse than this
COST_OF_SPECTRAL = (0.10, 0.15)  # share of the step time that the paper reports
Cost = Mapping[tuple[str, str], Mapping[str, str]]
Finding = tuple[str, str]  # measured, verdict
UNDECIDED = "not decided"


def judge_claims(study: StudyResults, cost_rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Test every claim on the first network of the study.

    Args:
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim: claim, source, test, measured, verdict.
    """
    cost = {(row["method"], row["norm"]): row for row in reversed(cost_rows)}
    return [
        {"claim": claim, "source": source, "test": test, "measured": measured, "verdict": verdict}
        for claim, source, test, find in CLAIMS
        for measured, verdict in [find(study, cost)]
    ]


def chosen(study: StudyResults, method: str, norm: str | None = None) -> Model | None:
    """The model of a method (and norm) whose weights give the highest validation PSNR."""
    network = study.models[0].identity[0]
    own = [m for m in study.models if m.identity[0] == network and m.method == method and norm in (None, m.norm)]
    return max(own, key=Model.validation_psnr, default=None)


def frobenius_is_the_best_balance(study: StudyResults, cost: Cost) -> Finding:
    """Frobenius against the best other norm, quality and cost of the penalty."""
    frobenius = chosen(study, "projection", "frobenius")
    norms = {model.norm for model in study.models if model.method == "projection"} - {"frobenius"}
    others = [model for norm in sorted(norms) if (model := chosen(study, "projection", norm)) is not None]
    if frobenius is None or not others:
        return "the study has no second norm beside Frobenius", UNDECIDED
    rival = max(others, key=lambda model: float(model.metric("psnr_db").mean()))
    gap = study.difference(frobenius, rival, "psnr_db")
    own, theirs = (float(cost["projection", model.norm]["penalty_milliseconds"]) for model in (frobenius, rival))
    measured = (
        f"Frobenius − {rival.norm} (best other norm): {_db(gap)}; penalty {own:.2f} ms against {theirs:.2f} ms a step"
    )
    cheapest = own <= min(float(cost["projection", model.norm]["penalty_milliseconds"]) for model in others)
    if gap.high < 0 and theirs <= own:
        return measured, "disagrees"
    return measured, "agrees" if gap.low > -COMPETITIVE_DB and cheapest else UNDECIDED


def spectral_costs_a_tenth_of_the_step(study: StudyResults, cost: Cost) -> Finding:
    """Step time with the spectral penalty relative to the plain step."""
    row = cost.get(("projection", "spectral"))
    if row is None:
        return "the study does not use the spectral norm", UNDECIDED
    extra = float(row["ratio_to_plain"]) - 1
    measured = f"{extra:+.1%} of the plain step of this network; on a small one fixed overhead dominates"
    low, high = COST_OF_SPECTRAL
    return measured, _verdict(low <= extra <= high, extra < low)


def entrywise_infinity_degrades(study: StudyResults, cost: Cost) -> Finding:
    """Entry-wise ∞ against Frobenius."""
    gap = _against_frobenius(study, "entrywise:inf")
    if gap is None:
        return "the study lacks Frobenius or the entry-wise ∞-norm", UNDECIDED
    return f"entrywise:inf − Frobenius: {_db(gap)}", _verdict(gap.high < 0, gap.low >= 0)


def mixed_norms_are_close(study: StudyResults, cost: Cost) -> Finding:
    """Every mixed norm against Frobenius."""
    norms = sorted({model.norm for model in study.models if model.norm.startswith("mixed:")})
    gaps = {norm: gap for norm in norms if (gap := _against_frobenius(study, norm)) is not None}
    if not gaps:
        return "the study lacks Frobenius or a mixed norm", UNDECIDED
    measured = "; ".join(f"{norm} − Frobenius: {_db(gap)}" for norm, gap in gaps.items())
    close = all(gap.low > -CLOSE_DB and gap.high < CLOSE_DB for gap in gaps.values())
    far = any(gap.low > CLOSE_DB or gap.high < -CLOSE_DB for gap in gaps.values())
    return measured, _verdict(close, far)


def non_equivariance_falls(study: StudyResults, cost: Cost) -> Finding:
    """Weights and measured defect along the λ⊥ of the Frobenius norm, from the plain model on."""
    network = study.models[0].identity[0]
    own = [model for model in study.models if model.identity[0] == network and model.identity[4] == 0]
    sweep = [model for model in own if model.method == "plain"]
    sweep += sorted((model for model in own if model.norm == "frobenius"), key=lambda model: model.lam_perp)
    if len(sweep) < 3:
        return "the study has fewer than three values of λ⊥", UNDECIDED
    weights = [study.interval_over_seeds(model.per_seed("relative_non_equivariance")) for model in sweep]
    defects = [study.interval_over_seeds(model.per_seed("defect_mean")) for model in sweep]
    measured = (
        f"λ⊥ 0 → {sweep[-1].lam_perp:g}: ‖W−PW‖/‖W‖ {weights[0].mean:.3g} → {weights[-1].mean:.3g}, measured defect"
        f" {defects[0].mean:.3g} → {defects[-1].mean:.3g}"
    )
    falls = all(later.mean < earlier.mean for series in (weights, defects) for earlier, later in pairwise(series))
    ends = all(series[-1].high < series[0].low for series in (weights, defects))
    rises = any(series[-1].low > series[0].high for series in (weights, defects))
    return measured, _verdict(falls and ends, rises)


def competitive_with_sampling(study: StudyResults, cost: Cost) -> Finding:
    """The chosen projection penalty against the chosen EQ-Reg: quality and extra step time."""
    projection, sampled = chosen(study, "projection"), chosen(study, "eqreg")
    if projection is None or sampled is None:
        return "the study lacks the projection penalty or EQ-Reg", UNDECIDED
    gap = study.difference(projection, sampled, "psnr_db")
    own = float(cost["projection", projection.norm]["ratio_to_plain"])
    theirs = float(cost["eqreg", "none"]["ratio_to_plain"])
    measured = (
        f"projection ({projection.norm}, λ⊥ {projection.lam_perp:g}) − EQ-Reg: {_db(gap)};"
        f" step time {own:.2f}× against {theirs:.2f}× plain"
    )
    competitive = gap.low > -COMPETITIVE_DB and own - 1 < (theirs - 1) / 2
    return measured, _verdict(competitive, gap.high < -COMPETITIVE_DB or own >= theirs)


def _against_frobenius(study: StudyResults, norm: str) -> Interval | None:
    model, frobenius = chosen(study, "projection", norm), chosen(study, "projection", "frobenius")
    return None if model is None or frobenius is None else study.difference(model, frobenius, "psnr_db")


def _verdict(agrees: bool, disagrees: bool) -> str:
    return "agrees" if agrees else "disagrees" if disagrees else UNDECIDED


def _db(interval: Interval) -> str:
    return f"{interval.mean:+.2f} dB ({interval.low:+.2f} to {interval.high:+.2f})".replace("-", "−")


CLAIMS: list[tuple[str, str, str, Callable[[StudyResults, Cost], Finding]]] = [
    (
        "Frobenius is the best balance of cost and quality on CT artefact reduction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR against the best other norm, each at its validation-chosen λ⊥: not worse than"
        f" {COMPETITIVE_DB} dB, and no norm's penalty is cheaper.",
        frobenius_is_the_best_balance,
    ),
    (
        "The spectral norm costs 10–15 % of step time.",
        f"{SOURCE}, norm ablation",
        "Step time with the penalty relative to the plain step, measured side by side: within 10–15 % agrees,"
        " less disagrees, more decides nothing.",
        spectral_costs_a_tenth_of_the_step,
    ),
    (
        "The entry-wise ∞-norm degrades reconstruction.",
        f"{SOURCE}, norm ablation",
        "Paired PSNR difference to Frobenius, each at its validation-chosen λ⊥: the interval lies below 0.",
        entrywise_infinity_degrades,
    ),
    (
        "Mixed (p,q) norms are close to Frobenius.",
        f"{SOURCE}, norm ablation",
        f"Paired PSNR difference to Frobenius: the interval lies within ±{CLOSE_DB} dB.",
        mixed_norms_are_close,
    ),
    (
        "Non-equivariance falls clearly as λ⊥ grows.",
        f"{SOURCE}, λ⊥ study",
        "Relative ‖W − P(W)‖ and measured defect fall at every step of the Frobenius sweep, with disjoint intervals"
        " at its ends.",
        non_equivariance_falls,
    ),
    (
        "Competitive with sample-based regularisers at a fraction of the cost.",
        f"{SOURCE}, abstract",
        f"Paired PSNR against EQ-Reg not worse than {COMPETITIVE_DB} dB, with less than half its extra step time.",
        competitive_with_sampling,
    ),
]
