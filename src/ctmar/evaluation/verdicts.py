"""What claims and questions are judged by: chosen models, widened intervals, costs, and the rule of a verdict.

A verdict is "agrees" or "disagrees" only where intervals decide. Where several comparisons enter one verdict, each
interval is widened to the level 1 − (1 − confidence) / n (Bonferroni), so that more rivals do not mean more luck.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ctmar.evaluation.measured_study import MeasuredStudy, Model
from ctmar.evaluation.preference import preferred
from ctmar.evaluation.statistics import Interval

CLOSE_DB = 0.5  # "close": mean PSNR within this
COMPETITIVE_DB = 0.2  # "competitive": not worse than this
UNDECIDED = "not decided"
Cost = Mapping[tuple[str, str], Mapping[str, str]]
Finding = tuple[str, str]  # measured, verdict


@dataclass(frozen=True)
class Claim:
    """A sentence, who says it, how it is tested, and the test; None where the study cannot ask."""

    claim: str
    source: str
    test: str
    find: Callable[[MeasuredStudy, Cost], Finding | None]


def judge(
    claims: Iterable[Claim], study: MeasuredStudy, cost_rows: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Test every claim on the first network of the study; where there are more, the finding names it.

    Args:
        claims: what is tested.
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim that can be asked: claim, source, test, measured, verdict.
    """
    network = study.models[0].network
    own = MeasuredStudy([model for model in study.models if model.network == network], study.settings)
    prefix = "" if len(own.models) == len(study.models) else f"{network}: "
    cost = {(row["method"], row["norm"]): row for row in cost_rows if row.get("network", network) == network}
    return [
        {"claim": one.claim, "source": one.source, "test": one.test, "measured": prefix + found[0], "verdict": found[1]}
        for one in claims
        if (found := one.find(own, cost)) is not None
    ]


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


def widened(study: MeasuredStudy, n_comparisons: int) -> MeasuredStudy:
    """The same study with intervals at the level 1 − (1 − confidence) / n_comparisons."""
    confidence = 1 - (1 - study.settings.confidence) / max(1, n_comparisons)
    return MeasuredStudy(study.models, study.settings.model_copy(update={"confidence": confidence}))


def gaps(study: MeasuredStudy, model: Model, rivals: Mapping[str, Model]) -> dict[str, Interval]:
    """Paired PSNR difference ``model`` − rival for each rival, intervals widened for their number."""
    wide = widened(study, len(rivals))
    return {name: wide.difference(model, rival, "psnr_db") for name, rival in rivals.items()}


def all_close(found: Mapping[str, Interval]) -> str:
    """Verdict on differences that shall lie within ±`CLOSE_DB`."""
    close = all(gap.low > -CLOSE_DB and gap.high < CLOSE_DB for gap in found.values())
    return verdict(close, any(gap.low > CLOSE_DB or gap.high < -CLOSE_DB for gap in found.values()))


def not_worse(found: Mapping[str, Interval]) -> tuple[bool, bool]:
    """Whether all intervals lie above −`COMPETITIVE_DB`, and whether any lies below it."""
    return (
        all(gap.low > -COMPETITIVE_DB for gap in found.values()),
        any(gap.high < -COMPETITIVE_DB for gap in found.values()),
    )


def verdict(agrees: bool, disagrees: bool) -> str:
    """The word for what was found."""
    return "agrees" if agrees else "disagrees" if disagrees else UNDECIDED


def decibel_text(interval: Interval) -> str:
    """An interval for reading.

    Examples:
        >>> decibel_text(Interval(-0.126, -0.5, 0.2))
        '−0.13 dB (−0.50 to +0.20)'
    """
    return f"{interval.mean:+.2f} dB ({interval.low:+.2f} to {interval.high:+.2f})".replace("-", "−")


def penalty_milliseconds(cost: Cost, model: Model) -> float:
    """What a step takes beyond the plain one; NaN where the table of costs lacks the method."""
    row = cost.get((model.method, model.norm))
    return float(row["penalty_milliseconds"]) if row is not None else float("nan")


def ratio_to_plain(cost: Cost, model: Model) -> float:
    """Step time relative to the plain step; NaN where the table of costs lacks the method."""
    row = cost.get((model.method, model.norm))
    return float(row["ratio_to_plain"]) if row is not None else float("nan")
