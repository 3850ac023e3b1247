"""What a score test finds, weight by weight."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


class ScoreRow(NamedTuple):
    """One weight: what the gradient of the mean loss at P(W) says about W − P(W).

    Attributes:
        name: of the parameter.
        score: ‖(1 − P)∇‖².
        noise: what the score would be on average if the symmetry held: the variance of the gradient over examples.
        p_value: probability of such a score or more if the symmetry held.
        curvature: mean second derivative of the loss in the kernel of P.
        dispersion: φ, variance of an example's gradient over curvature, after broken symmetry has explained its part.
        tau_squared: τ², variance of an entry of W − P(W); 0 where the data do not ask for any.
        weight: λ⊥ = φ / (2 n τ²) for the squared Frobenius norm and the mean loss; at most 9.5 curvatures, where a
            twentieth of the free solution is left. 0 where the loss does not depend on W − P(W), or that is always 0.
        effective_rank: (Σσ²)² / Σσ⁴ of the gradient's singular values, noise included.
        sparsity: Hoyer's measure of the gradient's entries, 0 where all are equal and 1 where one alone is not zero.
        log_evidence: of the penalty with that λ⊥ over strict equivariance, 9.6.

    Examples:
        >>> ScoreRow("weight", 4.0, 2.0, 0.01, 2.0, 1.0, 0.1, 1.0, 3.0, 0.2).excess
        2.0
    """

    name: str
    score: float
    noise: float
    p_value: float
    curvature: float
    dispersion: float
    tau_squared: float
    weight: float
    effective_rank: float
    sparsity: float
    log_evidence: float = 0.0

    @property
    def excess(self) -> float:
        """Score less noise, an unbiased estimate of what the broken symmetry adds; negative by chance."""
        return self.score - self.noise


@dataclass(frozen=True)
class ScoreTest:
    """Rows in order of registration, and the gradients and their variances that they are made of.

    Attributes:
        rows: one for each weight.
        gradients: (1 − P)∇ at P(W) as matrices (c_out, c_in·k·…), by the name of the weight.
        variances: of the entries of these, by chance of the examples.
        draws: (k, c_out, c_in·k·…), what these could be like if a dense Gaussian W − P(W) had made them.

    Examples:
        >>> found = ScoreTest((ScoreRow("weight", 4.0, 2.0, 0.01, 2.0, 1.0, 0.1, 1.0, 3.0, 0.2),))
        >>> found.weights, found.strict
        ({'weight': 1.0}, ())
    """

    rows: tuple[ScoreRow, ...]
    gradients: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    variances: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    draws: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def weights(self) -> dict[str, float]:
        """λ⊥ of each weight, for `ProjectionPenalty(norm="frobenius", power=2, weight_perpendicular=...)`."""
        return {row.name: row.weight for row in self.rows}

    @property
    def log_evidence(self) -> float:
        """Of all weights together, as if they were independent; what one norm has more than another speaks for it."""
        return sum(row.log_evidence for row in self.rows)

    @property
    def p_value(self) -> float:
        """Of the whole network: Cauchy's combination of the rows, which may be dependent (Liu and Xie, 2020)."""
        rows = [row.p_value for row in self.rows if row.curvature > 0]
        if not rows:
            return 1.0
        clipped = torch.tensor(rows, dtype=torch.float64).clamp(1e-300, 1 - 1e-12)
        # tan((½ − p) π) = 1 / tan(p π), which keeps the digits of a small p
        mean = float((1 / torch.tan(clipped * torch.pi)).mean())
        return math.atan2(1, mean) / math.pi

    @property
    def strict(self) -> tuple[str, ...]:
        """Names of weights whose data do not contradict the symmetry at all, τ² = 0: they may as well be projected."""
        return tuple(row.name for row in self.rows if row.tau_squared == 0)

    def __str__(self) -> str:
        width = max([len("weight"), *(len(row.name) for row in self.rows)])
        titles = ("score", "noise", "p", "τ²", "λ⊥", "eff. rank", "sparsity")
        lines = [f"{'weight':{width}}  " + "  ".join(f"{title:>9}" for title in titles)]
        for row in self.rows:
            numbers = (row.score, row.noise, row.p_value, row.tau_squared, row.weight, row.effective_rank, row.sparsity)
            lines.append(f"{row.name:{width}}  " + "  ".join(f"{number:9.3g}" for number in numbers))
        return "\n".join(lines)
