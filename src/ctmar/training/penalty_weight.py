"""The weight of a run's penalty, as `equiproj` takes it."""

from typing import TypedDict

from ctmar.config import Run


class PenaltyWeight(TypedDict):
    """Keywords of a penalty, of which one is not None."""

    weight_perpendicular: float | None
    target: float | None
    balance: float | None


def penalty_weight(run: Run) -> PenaltyWeight:
    """The one of λ_⊥, target and balance that a run names; λ_⊥ = 0 where it names none.

    Examples:
        >>> penalty_weight(Run(network="n", method="proximal", target=0.1))
        {'weight_perpendicular': None, 'target': 0.1, 'balance': None}
        >>> penalty_weight(Run(network="n", method="proximal"))
        {'weight_perpendicular': 0.0, 'target': None, 'balance': None}
    """
    given = None if run.target or run.balance else run.lam_perp
    return {"weight_perpendicular": given, "target": run.target or None, "balance": run.balance or None}
