"""The score test: against dense linear algebra, closed forms, simulations with known truth, and its own conventions."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, score_test
from equiproj.adaptive import ScoreRow, ScoreTest
from equiproj.adaptive.linearised import LinearisedLoss
from equiproj.adaptive.variance import variance_of_mean
from equiproj.baselines import StrictEquivariance
from equiproj.groups import CyclicGroup
from equiproj.layers import typed_parameters
from equiproj.projections import project_linear
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
RHO = 4 * regular(GROUP)  # 16 features, an invariant weight has 4 free entries
TYPES = {"layers": {"": (RHO, trivial(GROUP))}}
N_PERPENDICULAR = 12
SIGMA = 0.5


def project(weight: Tensor) -> Tensor:
    return project_linear(weight, RHO, trivial(GROUP))


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def regression(n: int, tau: float, seed: int) -> tuple[nn.Linear, Tensor, Tensor]:
    """The strict least-squares fit of a linear map whose symmetry is broken by entries of standard deviation τ."""
    generator = torch.Generator().manual_seed(seed)
    drawn, broken = torch.randn(2, 1, 16, generator=generator, dtype=torch.float64)
    truth = project(drawn) + tau * (broken - project(broken))
    inputs = torch.randn(n, 16, generator=generator, dtype=torch.float64)
    targets = inputs @ truth.T + SIGMA * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    fields = inputs.unflatten(1, (4, 4)).sum(2)
    free = torch.linalg.lstsq(fields, targets).solution
    layer = nn.Linear(16, 1, bias=False, dtype=torch.float64)
    layer.weight.data = free.T.repeat_interleave(4, 1)
    return layer, inputs, targets


def test_against_dense_algebra_and_a_scan_of_the_evidence():
    n = 60
    layer, inputs, targets = regression(n, tau=0.3, seed=1)
    (row,) = score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    x, y, w = inputs.numpy(), targets.numpy(), layer.weight.detach().numpy()
    kernel = np.eye(16) - np.kron(np.eye(4), np.full((4, 4), 0.25))
    gradients = np.stack([-2 * (y[i] - x[i] @ w.T) * (kernel @ x[i]) for i in range(n)])
    z = gradients.mean(0)
    covariance = np.cov(gradients.T) / n
    assert row.score == pytest.approx(z @ z, rel=1e-9)
    assert row.noise == pytest.approx(np.trace(covariance), rel=1e-9)
    values, vectors = np.linalg.eigh(2 * kernel @ x.T @ x @ kernel / n)
    assert row.curvature == pytest.approx(values.sum() / N_PERPENDICULAR, rel=1e-9)
    squares = (vectors.T @ z) ** 2
    lam = np.geomspace(1e-3, 15, 20_001)[:, None]
    dispersion = n * np.trace(covariance) / values.sum() - (squares / (values + 2 * lam)).sum(1)
    evidence = -n / 2 * np.log(dispersion) - 0.5 * np.log1p(values.clip(0) / (2 * lam)).sum(1)
    assert row.weight == pytest.approx(lam[evidence.argmax(), 0], rel=2e-3)
    assert row.dispersion == pytest.approx(dispersion[evidence.argmax()], rel=5e-3)
    assert row.tau_squared == pytest.approx(row.dispersion / (2 * n * row.weight))


def test_degrees_of_freedom_are_those_of_all_pairs():
    layer, inputs, targets = regression(30, tau=0.0, seed=2)
    entries = typed_parameters(layer, **TYPES)
    with torch.no_grad():
        probes = 4 * (
            torch.eye(16, dtype=torch.float64) - project(torch.eye(16, dtype=torch.float64).unsqueeze(1))[:, 0]
        )
        linearised = LinearisedLoss(layer, squared_error, [(inputs, targets)], entries)
        (found,) = variance_of_mean(linearised, [probes], "examples", chunk_size=7)
        gradients = (
            -2 * (targets - layer(inputs)) * (inputs - inputs.unflatten(1, (4, 4)).mean(2).repeat_interleave(4, 1))
        )
    dots = (gradients - gradients.mean(0)) @ (gradients - gradients.mean(0)).T
    pairs = float((dots - dots.diag().diag()).square().sum()) / (30**3 * 29)
    assert found.square == pytest.approx(pairs, rel=1e-9)


def test_tau_and_weight_are_the_truth_on_average():
    """τ² of equation 9.3: the mean excess over h² d, and the median weight against σ²/(n τ²)."""
    n, tau = 400, 0.1
    found = []
    for seed in range(40):
        layer, inputs, targets = regression(n, tau, seed)
        found += score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    moments = torch.tensor([row.excess / (4 * N_PERPENDICULAR) for row in found])
    error = 4 * float(moments.std()) / len(moments) ** 0.5
    # tr H² / d of 12 white inputs and n examples is 4 (1 + 13/n), and 4 of n equations go to the equivariant part
    assert float(moments.mean()) == pytest.approx(tau**2, abs=error + 0.05 * tau**2)
    assert np.median([row.tau_squared for row in found]) == pytest.approx(tau**2, rel=0.2)
    assert np.median([row.weight for row in found]) == pytest.approx(SIGMA**2 / (n * tau**2), rel=0.25)


def test_strongly_broken_symmetry_does_not_pass_for_noise():
    """The dispersion at the strict solution is over 2 (σ² + ‖β‖²); a second look at the penalised one finds 2 σ²."""
    layer, inputs, targets = regression(400, tau=1.0, seed=3)
    (row,) = score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    assert 400 * row.noise / (row.curvature * N_PERPENDICULAR) > 10 * 2 * SIGMA**2
    assert row.p_value < 1e-12
    gram, moment = inputs.T @ inputs / 400, inputs.T @ targets / 400
    rest = torch.eye(16, dtype=torch.float64) - project(torch.eye(16, dtype=torch.float64)[:, None])[:, 0]
    layer.weight.data = torch.linalg.solve(gram + row.weight * rest, moment).T
    (again,) = score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    assert again.dispersion == pytest.approx(2 * SIGMA**2, rel=0.2)
    assert again.weight == pytest.approx(SIGMA**2 / 400, rel=0.5)


def test_p_values_are_uniform_where_the_symmetry_holds():
    values = []
    for seed in range(100):
        layer, inputs, targets = regression(100, tau=0.0, seed=1000 + seed)
        entries = typed_parameters(layer, **TYPES)
        with torch.no_grad():
            unit = torch.eye(16, dtype=torch.float64)
            probes = 4 * (unit - project(unit.unsqueeze(1))[:, 0])
            linearised = LinearisedLoss(layer, squared_error, [(inputs, targets)], entries)
            (found,) = variance_of_mean(linearised, [probes], "examples", 100)
        values.append(found.p_value(float(found.mean.square().sum()), float(N_PERPENDICULAR)))
    ordered = np.sort(values)
    distance = np.abs(ordered - (np.arange(100) + 0.5) / 100).max() + 0.5 / 100
    assert distance < 1.36 / 100**0.5  # Kolmogorov and Smirnov, 5 %


def test_a_classifier_that_is_right_has_dispersion_one():
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(4000, 16, generator=generator)
    layer = nn.Linear(16, 1, bias=False)
    layer.weight.data = 0.5 * project(torch.randn(1, 16, generator=generator))
    targets = torch.bernoulli(torch.sigmoid(layer(inputs)).detach(), generator=generator)
    (row,) = score_test(
        layer, loss=nn.functional.binary_cross_entropy_with_logits, batches=[(inputs, targets)], **TYPES
    ).rows
    assert 4000 * row.noise / (row.curvature * N_PERPENDICULAR) == pytest.approx(1, rel=0.05)


def test_a_second_look_at_other_weights_finds_the_same():
    """A squared error is quadratic: from any W, P(W) can be extrapolated to."""
    layer, inputs, targets = regression(200, tau=0.3, seed=5)
    (strict,) = score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    drawn = torch.randn(1, 16, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    layer.weight.data += 0.1 * (drawn - project(drawn))
    (again,) = score_test(layer, loss=squared_error, batches=[(inputs, targets)], **TYPES).rows
    assert again.score == pytest.approx(strict.score, rel=1e-9)
    assert again.weight == pytest.approx(strict.weight, rel=0.15)


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))


def test_weights_of_a_network_go_into_its_penalty():
    network, images = convolutions(), torch.randn(12, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    strict = StrictEquivariance(network, {"0": (trivial(GROUP), regular(GROUP)), "2": (regular(GROUP), trivial(GROUP))})
    with pytest.raises(ValueError, match=r"0\.weight: expected a plain parameter, found a parametrised one"):
        score_test(network, GROUP, loss=squared_error, batches=[(images, images)])
    strict.remove()
    network.train()
    found = score_test(network, GROUP, loss=squared_error, batches=[(images, images)], include_bias=True)
    assert network.training
    names = [row.name for row in ProjectionPenalty(network, GROUP, include_bias=True).breakdown().rows]
    assert list(found.weights) == names
    by_name = {row.name: row for row in found.rows}
    assert by_name["2.bias"].weight == 0  # an invariant channel has no other bias than an invariant one
    assert by_name["2.bias"].p_value == 1
    assert 0 < found.p_value < 1
    assert found.gradients["0.weight"].shape == (4, 9)
    assert "2.weight" in str(found)


def test_frozen_values():
    network, images = convolutions(), torch.randn(12, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    StrictEquivariance(network, {"0": (trivial(GROUP), regular(GROUP)), "2": (regular(GROUP), trivial(GROUP))}).remove()
    found = score_test(network, GROUP, loss=squared_error, batches=[(images, 0.2 * images)])
    assert [row.p_value for row in found.rows] == pytest.approx([0.834, 0.0574], rel=2e-3)
    assert list(found.weights.values()) == pytest.approx([0.1122, 0.0192], rel=4e-3)
    assert found.strict == ("0.weight",)


def test_draws_of_dense_breaking_have_the_gradients_length_and_noise():
    layer, inputs, targets = regression(200, tau=0.5, seed=9)
    given = {"loss": squared_error, "batches": [(inputs, targets)], **TYPES}
    found = score_test(layer, n_draws=400, **given)
    (row,), draws = found.rows, found.draws["weight"]
    assert draws.shape == (400, 1, 16)
    assert float(draws.square().sum((1, 2)).mean()) == pytest.approx(row.score, rel=0.1)
    assert score_test(layer, **given).draws == {}
    torch.testing.assert_close(project(draws), torch.zeros_like(draws))


def test_batches_as_observations_and_examples_agree():
    layer, inputs, targets = regression(800, tau=0.1, seed=7)
    batches = list(zip(inputs.split(20), targets.split(20), strict=True))
    (single,) = score_test(layer, loss=squared_error, batches=batches, **TYPES).rows
    (batched,) = score_test(layer, loss=squared_error, batches=batches, observations="batches", **TYPES).rows
    assert batched.score == pytest.approx(single.score, rel=1e-9)
    assert batched.noise == pytest.approx(single.noise, rel=0.2)
    assert batched.weight == pytest.approx(single.weight, rel=0.3)


def test_weights_for_more_examples_are_smaller():
    layer, inputs, targets = regression(100, tau=0.3, seed=8)
    batches = [(inputs, targets)]
    (here,) = score_test(layer, loss=squared_error, batches=batches, **TYPES).rows
    (more,) = score_test(layer, loss=squared_error, batches=batches, n_examples=400, **TYPES).rows
    assert more.weight == pytest.approx(here.weight / 4)
    assert more.tau_squared == here.tau_squared


def test_a_large_weight_by_lanczos_and_by_all_of_its_curvature():
    generator = torch.Generator().manual_seed(10)
    layer, rho = nn.Linear(20, 20, bias=False, dtype=torch.float64), 5 * regular(GROUP)
    layer.weight.data = project_linear(layer.weight.data, rho, rho)
    inputs = torch.randn(200, 20, generator=generator, dtype=torch.float64)
    broken = 0.1 * torch.randn(20, 20, generator=generator, dtype=torch.float64)
    targets = layer(inputs).detach() + inputs @ broken.T + torch.randn(200, 20, generator=generator)
    given = {"loss": squared_error, "batches": [(inputs, targets)], "layers": {"": (rho, rho)}}
    (exact,), (few,) = (score_test(layer, n_probes=n, **given).rows for n in (400, 16))
    assert few.score == pytest.approx(exact.score, rel=1e-9)
    assert few.curvature == pytest.approx(exact.curvature, rel=0.05)
    assert few.weight == pytest.approx(exact.weight, rel=0.1)
    assert few.p_value == pytest.approx(exact.p_value, abs=0.02)


def test_tuples_and_dictionaries_are_batches_too():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 1, bias=False)

        def forward(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
            return {"out": self.layer(first + second)}

    torch.manual_seed(0)
    module, x, y = Two(), torch.randn(20, 16), torch.randn(20, 1)
    weights = [
        score_test(
            module,
            loss=lambda outputs, targets: squared_error(outputs["out"], targets["y"]),
            batches=[(inputs, {"y": y})],
            layers={"layer": (RHO, trivial(GROUP))},
        ).weights
        for inputs in ((x, x), {"second": x, "first": x})
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": []}, "expected at least one batch"),
        ({"batches": [(torch.ones(1, 16), torch.ones(1, 1))]}, "expected at least two examples"),
        ({"observations": "slices"}, "expected observations 'examples' or 'batches', found 'slices'"),
        ({"loss": nn.functional.l1_loss}, "weight: expected a loss with second derivatives"),
        ({"batches": [(torch.full((5, 16), torch.nan), torch.ones(5, 1))]}, "weight: expected finite gradients"),
        ({"batches": [(torch.arange(16.0).expand(5, 16), torch.ones(5, 1))]}, "gradients, found all alike"),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, message):
    torch.manual_seed(0)
    given = {"loss": squared_error, "batches": [(torch.randn(5, 16), torch.randn(5, 1))], **arguments}
    with pytest.raises(ValueError, match=message):
        score_test(nn.Linear(16, 1), **given, **TYPES)


def test_what_explains_every_example_may_as_well_be_strict():
    layer, inputs = nn.Linear(16, 1, bias=False), torch.randn(20, 16)
    nn.init.ones_(layer.weight)
    (row,) = score_test(layer, loss=squared_error, batches=[(inputs, layer(inputs).detach())], **TYPES).rows
    assert (row.score, row.p_value, row.tau_squared) == (0.0, 1.0, 0.0)
    assert row.weight == pytest.approx(9.5 * row.curvature)


def test_the_network_has_a_p_value():
    rows = [ScoreRow("w", 1, 1, p, curvature, 1, 0, 1, 1, 0) for p, curvature in ((0.02, 1), (0.02, 1), (1.0, 0))]
    assert ScoreTest(tuple(rows)).p_value == pytest.approx(0.02)
    assert ScoreTest(tuple(rows[2:])).p_value == 1
    tiny = [row._replace(p_value=1e-40) for row in rows[:2]]
    assert ScoreTest(tuple(tiny)).p_value == pytest.approx(1e-40)
    assert math.isclose(ScoreTest((rows[0]._replace(p_value=0.9),)).p_value, 0.9)
