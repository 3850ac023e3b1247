"""How strongly data ask for a broken symmetry: the λ⊥ of greatest evidence (docs/derivation.md, section 9)."""

import math
from typing import NamedTuple

import torch

from equiproj.adaptive.lanczos import SpectralMeasure

# λ⊥ at which a twentieth of what the data alone would give is left of W − P(W), in units of the mean curvature:
# h / (h + 2 λ) = 0.05. Beyond it a penalty gains a 400th of the variance, and makes training stiff.
STRICT = 9.5
_LOOSEST = 1e-5
_N_TRIED = 600
# What is left of the dispersion at the strict solution, at the least, after broken symmetry has explained the rest.
_LEAST_DISPERSION = 1e-2


class Evidence(NamedTuple):
    """λ⊥ of greatest evidence, τ² of an entry of W − P(W) (0 where strict equivariance has more), and the dispersion.

    `gain` is the log evidence over that of strict equivariance.

    Examples:
        >>> Evidence(weight=0.5, tau_squared=0.01, dispersion=2.0, gain=3.0).weight
        0.5
    """

    weight: float
    tau_squared: float
    dispersion: float
    gain: float


def greatest_evidence(
    score: SpectralMeasure, curvature: SpectralMeasure, *, dispersion: float, n_examples: int, n_outputs: int
) -> Evidence:
    """Maximise the evidence of equation 9.6 over λ⊥, with the dispersion profiled out.

    Args:
        score: of (1 − P)∇ at P(W), in the curvature H of one example's loss.
        curvature: tr f(H) over the kernel of P.
        dispersion: φ at P(W), variance of an example's gradient over curvature.
        n_examples: n.
        n_outputs: numbers that an example predicts.

    Examples:
        >>> one = SpectralMeasure(torch.tensor([[2.0]]), torch.tensor([[100.0]]))  # 100 directions of curvature 2
        >>> score = SpectralMeasure(torch.tensor([[2.0]]), torch.tensor([[4.0]]))
        >>> found = greatest_evidence(score, one, dispersion=1.0, n_examples=100, n_outputs=10_000)
        >>> round(found.weight, 2)  # half the curvature times noise over excess: 2 / (4 − 2)
        1.0
    """
    mean_curvature = float(curvature.integral(lambda h: h)) / curvature.total()
    tried = mean_curvature * torch.logspace(
        torch.tensor(_LOOSEST).log10().item(), torch.tensor(STRICT).log10().item(), _N_TRIED, dtype=torch.float64
    )
    column = tried[:, None]
    explained = score.integral(lambda h: 1 / (h + 2 * column)) / n_outputs
    left = (dispersion - explained).clamp_min(_LEAST_DISPERSION * dispersion)
    spread = curvature.integral(lambda h: torch.log1p(h / (2 * column)))
    evidence = -0.5 * n_examples * n_outputs * left.log() - 0.5 * spread
    best = int(evidence.argmax())
    gain = float(evidence[best]) + 0.5 * n_examples * n_outputs * math.log(dispersion)
    if best == _N_TRIED - 1:
        return Evidence(float(tried[-1]), 0.0, float(left[-1]), min(gain, 0.0))
    weight = float(tried[best])
    if best > 0:  # the top of the parabola through three points of log λ
        before, top, after = evidence[best - 1 : best + 2].tolist()
        weight *= float(tried[1] / tried[0]) ** (0.5 * (before - after) / (before - 2 * top + after))
    return Evidence(weight, float(left[best]) / (2 * n_examples * weight), float(left[best]), gain)
