"""What claims and questions are judged by: chosen models, differences, costs, and the rule of a verdict.

A verdict is "agrees" or "disagrees" only where intervals decide. Where several comparisons enter one verdict, each
is judged at alpha / n (Bonferroni), so that more rivals do not mean more luck. Only the primary comparisons of
`ctmar.evaluation.primary` are corrected for each other; all else is exploratory.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from ctmar.config.labels import model_label, scientific
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.gaps import Gap, precision
from ctmar.evaluation.intervals import Estimate
from ctmar.evaluation.measured_study import MeasuredStudy
from ctmar.evaluation.medians import MedianInterval, rounds_to_decide
from ctmar.evaluation.power import POWER
from ctmar.evaluation.preference import preferred

UNDECIDED = "not decided"
PRIMARY, _EXPLORATORY = "primary", "exploratory"
# networks of the paper's kind have more (ACDNet: 1.6 million); on small ones a step is mostly fixed overhead
_PARAMETERS_FOR_COST = 1_000_000
NEARLY_EQUIVARIANT = 0.01  # ‖W − P(W)‖ / ‖W‖ below this
SMALLEST_DEFECT = 1e-6  # rounding of float32: what is below is as good as none, and has a logarithm


@dataclass(frozen=True)
class Cost:
    """What a training step of one network costs with each method and norm.

    Args:
        network: its name.
        n_parameters: its size; 0 where no cost was measured.
        rows: rows of the table of `measure_cost` by method and norm.
    """

    network: str
    n_parameters: int
    rows: Mapping[tuple[str, str], Mapping[str, str]]

    @classmethod
    def of_largest_network(cls, rows: Sequence[Mapping[str, str]]) -> "Cost":
        """The costs of the network with the most parameters: on small ones a step is mostly overhead."""
        largest = max(rows, key=lambda row: float(row["n_parameters"]), default=None)
        if largest is None:
            return cls("", 0, {})
        own = {(row["method"], row["norm"]): row for row in rows if row["network"] == largest["network"]}
        return cls(largest["network"], int(float(largest["n_parameters"])), own)

    @property
    def is_of_a_large_network(self) -> bool:
        """Whether its step times say anything about networks of the paper's size."""
        return self.n_parameters >= _PARAMETERS_FOR_COST

    @property
    def whose(self) -> str:
        """The network in words."""
        return f"steps of network {self.network} ({self.n_parameters:,} parameters)"

    def ratios(self, model: Model) -> MedianInterval:
        """Step times for the method and norm of a model by the plain step; NaN where the table lacks them."""
        return ratio_of(self.rows.get((model.method, model.norm)))

    def value(self, model: Model, column: str) -> float:
        """A column for the method and norm of a model; NaN where the table lacks it."""
        row = self.rows.get((model.method, model.norm))
        return float(row[column]) if row is not None else float("nan")


def ratio_of(row: Mapping[str, str] | None) -> MedianInterval:
    """The median ratio of a row of the table of `measure_cost`, with its interval, on which verdicts on cost hang."""
    if row is None:
        return MedianInterval(math.nan, math.nan, math.nan, math.nan)
    columns = ("ratio_to_plain", "ratio_low", "ratio_high", "ratio_coverage")
    return MedianInterval(*(float(row[column]) for column in columns))


def would_decide(ratio: MedianInterval, n_rounds: int, shares: Sequence[float]) -> str:
    """How many repeats would put the interval on one side of the share of a plain step that it lies nearest to."""
    share = min(shares, key=lambda one: abs(ratio.middle - 1 - one))
    needed = rounds_to_decide(ratio, n_rounds, 1 + share)
    if needed is None:
        return f"; no number of repeats that could be had would tell it from {share:.0%}"
    return f"; about {needed} repeats would tell it from {share:.0%} with {POWER:.0%} power"


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

    Step times are those of the largest network that was timed.

    Args:
        claims: what is tested.
        study: all models.
        cost_rows: table of `measure_cost`.

    Returns:
        For each claim that can be asked: claim, source, role, test, measured, verdict, precision.
    """
    own = first_network(study)
    prefix = "" if len(study.networks) == 1 else f"{study.networks[0]}: "
    cost = Cost.of_largest_network(cost_rows)
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
    network = study.networks[0]
    others = {condition: of_network(other, network) for condition, other in study.others.items()}
    return replace(of_network(study, network), others=others)


def of_network(study: MeasuredStudy, network: str) -> MeasuredStudy:
    """The models of one network, under one condition; none may be left."""
    models = [model for model in study.models if model.network == network]
    diverged = [one for one in study.diverged if one.run.network == network]
    return replace(study, models=models, diverged=diverged, networks=[network])


def chosen(study: MeasuredStudy, method: str, norm: str | None = None, lam_equi: float | None = None) -> Model | None:
    """The model of a method (and norm, and λ_G) that validation prefers."""
    return preferred(candidates(study, method, norm, lam_equi))


def candidates(
    study: MeasuredStudy, method: str, norm: str | None = None, lam_equi: float | None = None
) -> list[Model]:
    """The models of a method (and norm, and λ_G) from which `chosen` chooses, all of the standard start and compute."""
    return [
        model
        for model in filter(study.is_standard, study.models)
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


def condition_text(asymmetry: float, slices: int) -> str:
    """A condition in words.

    Examples:
        >>> condition_text(0.4, 0), condition_text(0.0, 8)
        ('the symmetry is broken by ε = 0.4', 'the scanner is symmetric and 8 slices of a patient train')
    """
    scanner = f"the symmetry is broken by ε = {asymmetry:g}" if asymmetry else "the scanner is symmetric"
    return scanner + (f" and {slices} slices of a patient train" if slices else "")


def model_text(model: Model) -> str:
    """A model with what tells how equivariant it ended.

    Returns:
        Its name, and the mean over its seeds of ‖W−PW‖ / ‖W‖.
    """
    share = float(model.per_seed(attrgetter("relative_non_equivariance")).mean())
    return f"{model_label(model.run.model_dump())} (‖W−PW‖/‖W‖ {scientific(share)})"
