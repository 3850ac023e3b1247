"""Plain, strict and penalised estimates of a linear map whose symmetry is broken a little (docs/derivation.md, 8.1)."""

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup
from equiproj.projections import project_linear
from equiproj.representations import regular

GROUP = CyclicGroup(4)
RHO = 2 * regular(GROUP)
N_ENTRIES = 64  # of an 8 × 8 map
N_EQUIVARIANT = 16  # 2 × 2 circulant blocks of 4 × 4
VARIANCE = 0.02  # of an entry of the estimate, σ²/n
N_DRAWS = 4000


def project(weight: Tensor) -> Tensor:
    return project_linear(weight, RHO, RHO)


def truth(beta: float) -> Tensor:
    """A map at the distance ``beta`` from the equivariant ones."""
    drawn = torch.randn(8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rest = drawn - project(drawn)
    return project(drawn) + beta * rest / torch.linalg.vector_norm(rest)


def risk(beta: float, kept: float) -> tuple[float, float]:
    """Mean squared error of P(Ŵ) + s (Ŵ − P(Ŵ)) over draws of the data, and its standard error."""
    drawn = torch.randn(N_DRAWS, N_ENTRIES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    estimates = truth(beta).flatten() + VARIANCE**0.5 * drawn
    units = torch.eye(N_ENTRIES, dtype=torch.float64).unflatten(1, (8, 8))
    strict = estimates @ torch.stack([project(unit).flatten() for unit in units])
    errors = (strict + kept * (estimates - strict) - truth(beta).flatten()).square().sum(1)
    return float(errors.mean()), float(errors.std()) / N_DRAWS**0.5


def saved() -> float:
    """v, the variance that strict equivariance saves."""
    return VARIANCE * (N_ENTRIES - N_EQUIVARIANT)


@pytest.mark.parametrize("share", [0.25, 1.0, 4.0])
def test_theorem_the_best_penalty_is_better_than_plain_and_strict(share: float) -> None:
    """β² = share · v: strict wins below 1, plain above, the penalty always; at 1 it halves what either loses."""
    beta = (share * saved()) ** 0.5
    common = VARIANCE * N_EQUIVARIANT
    best = share / (1 + share)
    expected = {
        1.0: common + saved(),
        0.0: common + beta**2,
        best: common + saved() * beta**2 / (saved() + beta**2),
    }
    found = {kept: risk(beta, kept) for kept in expected}
    for kept, (mean, standard_error) in found.items():
        assert abs(mean - expected[kept]) < 4 * standard_error
    assert found[best][0] < min(found[0.0][0], found[1.0][0])
    assert (found[0.0][0] < found[1.0][0]) == (share < 1) or share == 1


@pytest.mark.parametrize("weight", [0.0, 0.3, 5.0])
def test_the_penalty_in_the_loss_has_that_minimiser(weight: float) -> None:
    """The gradient of ½‖W − Ŵ‖² and the penalty of the library vanishes at P(Ŵ) + s (Ŵ − P(Ŵ)), s = 1 / (1 + 2 λ)."""
    layer = nn.Linear(8, 8, bias=False, dtype=torch.float64)
    estimate = truth(1.0)
    penalty = ProjectionPenalty(layer, layers={"": (RHO, RHO)}, weight_perpendicular=weight, power=2)
    for kept in (1 / (1 + 2 * weight), 1.2 / (1 + 2 * weight)):
        with torch.no_grad():
            layer.weight.copy_(project(estimate) + kept * (estimate - project(estimate)))
        layer.zero_grad()
        (0.5 * (layer.weight - estimate).square().sum() + penalty()).backward()
        assert layer.weight.grad is not None
        assert (float(layer.weight.grad.abs().max()) < 1e-12) == (kept == 1 / (1 + 2 * weight))
