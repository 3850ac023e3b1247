"""The penalty beside the optimiser: its step is the proximal point, and Adam then sees the task alone."""

import math

import pytest
import torch
from tests.equiproj.conftest import Residual
from torch import nn

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report, project_
from equiproj.groups import CyclicGroup
from equiproj.layers import TypedParameter, typed_parameters
from equiproj.projections import project_conv
from equiproj.representations import regular

GROUP = CyclicGroup(4)
HIDDEN = 2 * regular(GROUP)


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("power", [1, 2])
def test_oracle_the_step_is_the_minimum_of_the_proximal_objective(power: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, dtype=torch.float64)
    before = layer.weight.detach().clone()
    reach = 0.03
    found = before.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([found], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16)

    def objective() -> torch.Tensor:
        optimiser.zero_grad()
        rest = torch.linalg.vector_norm(found - project_conv(found, HIDDEN, HIDDEN))
        n_entries = before.numel()
        value = 0.5 * (found - before).square().sum() + reach * n_entries * (rest / n_entries**0.5) ** power
        value.backward()
        return value

    optimiser.step(objective)
    ProximalPenalty(layer, layers={"": (HIDDEN, HIDDEN)}, weight_perpendicular=0.3, power=power).step(0.1)
    assert torch.linalg.vector_norm(layer.weight - before) > 0.05
    torch.testing.assert_close(layer.weight.detach(), found.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("power", "left"), [(1, 1 - 0.3 * math.sqrt(4 / 2)), (2, 1 / 1.6)])
def test_closed_form_of_one_regular_field(power: int, left: float) -> None:
    """On C_2 the map [[a, b], [c, d]] splits into means and halves of differences."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 1.0], [1.0, 1.0]]))  # P: [[2, 1], [1, 2]], rest diag(1, −1), norm √2
    types = {"input_type": "regular", "output_type": "regular"}
    ProximalPenalty(layer, CyclicGroup(2), weight_perpendicular=3.0, power=power, **types).step(0.1)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[2 + left, 1.0], [1.0, 2 - left]]))


def test_frozen_value(network: Residual) -> None:
    ProximalPenalty(network, GROUP, weight_perpendicular=0.2, include_bias=True).step(0.1)
    report = equivariance_report(network, GROUP, include_bias=True)
    found = [round(row.norm_perpendicular, 4) for row in report.rows[:4]]
    assert found == [1.294, 0.2765, 0.6183, 0.0593]


@pytest.mark.parametrize("power", [1, 2])
def test_theorem_the_equivariant_part_stays(network: Residual, power: int) -> None:
    typed = typed_parameters(network, GROUP, include_bias=True)
    before = [parameter.projector(parameter.read()).detach() for parameter in typed]
    ProximalPenalty(network, GROUP, weight_perpendicular=1.0, power=power, include_bias=True).step(0.1)
    for parameter, projected in zip(typed, before, strict=True):
        torch.testing.assert_close(parameter.projector(parameter.read()).detach(), projected, rtol=0, atol=1e-6)


def test_theorem_a_weight_is_equivariant_once_the_steps_add_up_to_its_distance(network: Residual) -> None:
    """Equation 6.8, and from there on it stays."""
    typed = typed_parameters(network, GROUP, include_bias=True)
    distance = max(root_mean_square(parameter).item() for parameter in typed)
    penalty = ProximalPenalty(network, GROUP, weight_perpendicular=1.0, include_bias=True)
    for n_steps, is_there in ((9, False), (2, True), (1, True)):
        for _ in range(n_steps):
            penalty.step(distance / 10)
        assert (equivariance_report(network, GROUP, include_bias=True).total_ratio < 1e-6) == is_there


def root_mean_square(parameter: TypedParameter) -> torch.Tensor:
    """Of W − P(W)."""
    value = parameter.read()
    return (value - parameter.projector(value)).square().mean().sqrt()


def test_theorem_biases_and_kernels_are_pinned_alike(network: Residual) -> None:
    """In one step the root mean square of every W − P(W) falls by η λ, or to zero, whatever the layer's size."""
    typed = typed_parameters(network, GROUP, include_bias=True)
    before = [root_mean_square(parameter).item() for parameter in typed]
    ProximalPenalty(network, GROUP, weight_perpendicular=0.2, include_bias=True).step(0.1)
    found = [root_mean_square(parameter).item() for parameter in typed]
    assert found == pytest.approx([max(0.0, value - 0.02) for value in before], abs=1e-6)
    assert sum(value > 0.02 for value in before) > 4


def test_theorem_steps_of_the_size_of_the_learning_rate_are_undone_in_every_layer_and_in_none() -> None:
    """Adam moves an entry by about η: λ > 1 takes that back from a bias that starts at zero as from a kernel."""
    for weight, stays in ((1.01, True), (0.5, False)):
        torch.manual_seed(0)
        network = project_(Residual(), GROUP)
        nn.init.zeros_(network.head.bias)
        penalty = ProximalPenalty(network, GROUP, weight_perpendicular=weight, include_bias=True)
        for _ in range(5):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(1e-2 * torch.randn_like(parameter).sign())
            penalty.step(1e-2)
        # on the one channel of the last bias the group does nothing
        ratios = [row.ratio for row in equivariance_report(network, GROUP, include_bias=True).rows[:-1]]
        assert all((ratio < 1e-6) == stays for ratio in ratios)
        assert network.head.bias.abs().max() > 1e-3  # a bias that may move is not pinned to zero


@pytest.mark.parametrize("power", [1, 2])
def test_theorem_under_gradient_descent_both_forms_agree_to_first_order(power: int) -> None:
    def gap(rate: float) -> float:
        torch.manual_seed(0)
        ends = []
        for beside in (False, True):
            torch.manual_seed(0)
            network = Residual().double()
            images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
            optimiser = torch.optim.SGD(network.parameters(), lr=rate)
            options = {"weight_perpendicular": 0.5, "power": power, "include_bias": True}
            loss = network(images).square().mean()
            if not beside:
                typed = typed_parameters(network, GROUP, include_bias=True)
                loss = loss + 0.5 * sum(p.read().numel() * root_mean_square(p) ** power for p in typed[:-1])
            loss.backward()
            optimiser.step()
            if beside:
                ProximalPenalty(network, GROUP, **options).step(rate)
            ends.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
        return float(torch.linalg.vector_norm(ends[0] - ends[1]))

    assert gap(1e-3) > 1e-9
    assert gap(1e-4) < gap(1e-3) / 50


def trained_by_adam(beside: bool, scale_of_task: float) -> tuple[float, float]:
    """An equivariant teacher's image error, and the relative change of P(W), under a penalty that is far too strong."""
    torch.manual_seed(1)
    teacher = project_(Residual(), GROUP)
    torch.manual_seed(0)
    network = Residual()
    before = project_conv(network.body[0].weight.detach().clone(), HIDDEN, HIDDEN)
    images = torch.randn(100, 4, 1, 12, 12)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    inside = ProjectionPenalty(network, GROUP, weight_perpendicular=10.0, include_bias=True)
    outside = ProximalPenalty(network, GROUP, weight_perpendicular=3.0, include_bias=True)
    for batch in images:
        optimiser.zero_grad()
        loss = scale_of_task * (network(batch) - teacher(batch).detach()).square().mean()
        (loss if beside else loss + inside()).backward()
        optimiser.step()
        if beside:
            outside.step(2e-3)
    after = project_conv(network.body[0].weight.detach(), HIDDEN, HIDDEN)
    with torch.no_grad():
        error = (network(images[0]) - teacher(images[0])).square().mean()
    return float(error), float(torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before))


@pytest.mark.slow
def test_adam_moves_the_equivariant_part_for_a_penalty_in_its_loss_and_not_for_one_beside_it() -> None:
    assert trained_by_adam(beside=False, scale_of_task=0.0)[1] > 0.4
    assert trained_by_adam(beside=True, scale_of_task=0.0)[1] < 1e-5


@pytest.mark.slow
def test_adam_learns_the_task_where_a_strong_penalty_stands_beside_it() -> None:
    beside, inside = (trained_by_adam(beside, scale_of_task=1e-3)[0] for beside in (True, False))
    assert beside < inside / 20


def test_without_a_weight_no_bit_changes(network: Residual) -> None:
    before = weights_of(network)
    ProximalPenalty(network, GROUP, weight_perpendicular=0.0).step(0.1)
    ProximalPenalty(network, GROUP, weight_perpendicular=1.0).step(0.0)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(network).items())


def test_what_is_not_declared_stays(network: Residual) -> None:
    before = weights_of(network)
    ProximalPenalty(network, layers={"body.0": (HIDDEN, HIDDEN)}).step(0.1)
    changed = {name for name, value in weights_of(network).items() if not torch.equal(value, before[name])}
    assert changed == {"body.0.weight"}


def test_zero_weights_and_half_precision_stay_finite() -> None:
    layer = nn.Linear(8, 8).to(torch.bfloat16)
    types = {"input_type": "regular", "output_type": "regular", "include_bias": True}
    penalty = ProximalPenalty(layer, GROUP, **types)
    penalty.step(0.1)
    assert layer.weight.dtype == torch.bfloat16
    nn.init.zeros_(layer.weight)
    penalty.step(0.1)
    assert torch.equal(layer.weight, torch.zeros_like(layer.weight))


def test_a_weight_normed_layer_is_shrunk_through_its_parametrisation() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    types = {"input_type": "regular", "output_type": "regular"}
    before = equivariance_report(layer, GROUP, **types).rows[0].norm_perpendicular
    ProximalPenalty(layer, GROUP, weight_perpendicular=1.0, **types).step(0.25 / 8)
    assert equivariance_report(layer, GROUP, **types).rows[0].norm_perpendicular == pytest.approx(
        before - 0.25, rel=1e-4
    )


def test_what_does_not_fit_is_told(network: Residual) -> None:
    with pytest.raises(ValueError, match="expected power 1 or 2, found 3"):
        ProximalPenalty(network, GROUP, power=3)
    with pytest.raises(ValueError, match="weight_perpendicular to be a finite number of at least 0, found -1"):
        ProximalPenalty(network, GROUP, weight_perpendicular=-1.0)
    with pytest.raises(ValueError, match="learning_rate to be a finite number of at least 0, found nan"):
        ProximalPenalty(network, GROUP).step(math.nan)
    with pytest.raises(ValueError, match="channels; they do not fit"):
        ProximalPenalty(network, CyclicGroup(3))
