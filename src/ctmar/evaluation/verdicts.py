"""What claims and questions are judged by: chosen models, differences, costs, and the rule of a verdict.

A verdict is "agrees" or "disagrees" only where intervals decide. Where several comparisons enter one verdict, each
is judged at alpha / n (Bonferroni), so that more rivals do not mean more luck. Only the primary comparisons of
`ctmar.evaluation.primary` are corrected for each other; all else is exploratory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from ctmar.evaluation.gaps import Gap, precision
from ctmar.evaluation.intervals import Estimate
from ctmar.evaluation.measured_study import MeasuredStudy, Model
from ctmar.evaluation.preference import preferred

UNDECIDED = "not decided"
PRIMARY, _EXPLORATORY = "primary", "exploratory"
# networks of the paper's kind have more (ACDNet: 1.6 million); on small ones a step is mostly fixed overhead
_PARAMETERS_FOR_COST = 1_000_000
NEARLY_EQUIVARIANT = 0.01  # ‖W − P(W)‖ / ‖W‖ below this
Cost = Mapping[tuple[str, str], Mapping[str, str]]


class Finding(NamedTuple):
    """What was measured and what follows.

    Args:
        measured: in words, with intervals.
        verdict: agrees, disagrees or not decided.
        gaps: differences that the verdict hangs on; how far they are from being decided is printed beside it.
        thresholds: the verdict hangs on which side of these they lie.
    """

    measured: str
    verdict: str
    gaps: Mapping[str, Gap] = {}
    thresholds: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Claim:
    """A sentence, who says it, how it is tested, and the test; None where the study cannot ask."""

    claim: str
    source: str
    test: str
    find: Callable[[MeasuredStudy, Cost], Finding | None]
    role: str = _EXPLORATORY


def judge(
    claims: Iterable[Claim], study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Test every claim on the first network of the study; where there are more, the finding names it.

    Args:
        claims: what is tested.
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim that can be asked: claim, source, role, test, measured, verdict, precision.
    """
    own = first_network(study)
    network = own.models[0].network
    prefix = "" if len(own.models) == len(study.models) else f"{network}: "
    cost = {(row["method"], row["norm"]): row for row in cost_rows if row.get("network", network) == network}
    return [
        {
            "claim": one.claim,
            "source": one.source,
            "role": one.role,
            "test": one.test.format(margin=f"{study.settings.equivalence_margin_db:g}"),
            "measured": prefix + found.measured,
            "verdict": found.verdict,
            "precision": precision(found.gaps, found.thresholds, found.verdict != UNDECIDED),
        }
        for one in claims
        if (found := one.find(own, cost)) is not None
    ]


def first_network(study: MeasuredStudy) -> MeasuredStudy:
    """The models of the first network: what verdicts are about."""
    network = study.models[0].network
    return MeasuredStudy([model for model in study.models if model.network == network], study.settings)


def chosen(study: MeasuredStudy, method: str, norm: str | None = None, lam_equi: float | None = None) -> Model | None:
    """The model of a method (and norm, and λ_G) that validation prefers."""
    return preferred(candidates(study, method, norm, lam_equi))


def candidates(
    study: MeasuredStudy, method: str, norm: str | None = None, lam_equi: float | None = None
) -> list[Model]:
    """The models of a method (and norm, and λ_G), from which `chosen` chooses."""
    return [
        model
        for model in study.models
        if model.method == method and norm in (None, model.norm) and lam_equi in (None, model.lam_equi)
    ]


def gap_of(study: MeasuredStudy, estimate: Estimate, n_comparisons: int = 1) -> Gap:
    """A difference in dB, judged at the level that is left where ``n_comparisons`` enter one verdict."""
    return Gap(estimate, study.alpha / n_comparisons, study.settings.equivalence_margin_db)


def gaps(study: MeasuredStudy, pairs: Mapping[str, tuple[Model, Model]]) -> dict[str, Gap]:
    """Paired PSNR difference, first − second, of every pair of models."""
    return {name: gap_of(study, study.difference(*pair, "psnr_db"), len(pairs)) for name, pair in pairs.items()}


def not_worse(found: Mapping[str, Gap]) -> str:
    """Verdict on differences of which none shall be worse than by the margin."""
    return verdict(all(gap.not_worse for gap in found.values()), any(gap.worse for gap in found.values()))


def all_close(found: Mapping[str, Gap]) -> str:
    """Verdict on differences that shall all be equivalent within the margin."""
    return verdict(all(gap.close for gap in found.values()), any(gap.far for gap in found.values()))


def verdict(agrees: bool, disagrees: bool) -> str:
    """The word for what was found."""
    return "agrees" if agrees else "disagrees" if disagrees else UNDECIDED


def model_text(model: Model) -> str:
    """A model with what tells how equivariant it ended.

    Returns:
        Its method, norm and λ⊥, and the mean over its seeds of ‖W−PW‖ / ‖W‖.
    """
    names = [model.method] + [model.norm] * (model.norm != "none")
    names += [f"λ⊥ {model.lam_perp:g}"] * (model.lam_perp > 0)
    share = float(model.per_seed(attrgetter("relative_non_equivariance")).mean())
    return f"{' '.join(names)} (‖W−PW‖/‖W‖ {share:.2g})"


def large_enough_for_cost(study: MeasuredStudy) -> bool:
    """Whether step times of the network say anything about networks of the paper's size."""
    return bool(study.models[0].runs[0].description.n_parameters >= _PARAMETERS_FOR_COST)


def penalty_milliseconds(cost: Cost, model: Model) -> float:
    """What a step takes beyond the plain one; NaN where the table of costs lacks the method."""
    row = cost.get((model.method, model.norm))
    return float(row["penalty_milliseconds"]) if row is not None else float("nan")


def ratio_to_plain(cost: Cost, model: Model) -> float:
    """Step time relative to the plain step; NaN where the table of costs lacks the method."""
    row = cost.get((model.method, model.norm))
    return float(row["ratio_to_plain"]) if row is not None else float("nan")
