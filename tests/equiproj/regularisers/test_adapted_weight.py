"""λ_⊥ that adapts itself: to a target by dual ascent, and in balance with the task."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.equiproj.regularisers.conftest import NORMS
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report
from equiproj.groups import CyclicGroup
from equiproj.projections import project_linear
from equiproj.regularisers.adapted_weight import AdaptedWeight
from equiproj.representations import regular

GROUP = CyclicGroup(4)
RHO = 2 * regular(GROUP)
TYPES = {"layers": {"": (RHO, RHO)}}


def convex_problem() -> tuple[nn.Linear, Tensor]:
    """A layer and the A of its task ½ ‖W − A‖², which is half outside the symmetry."""
    generator = torch.Generator().manual_seed(0)
    free = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    projected = project_linear(free, RHO, RHO)
    wanted = projected / projected.norm() + (free - projected) / (free - projected).norm()
    layer = nn.Linear(8, 8, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(wanted + 0.1 * torch.randn(8, 8, generator=generator, dtype=torch.float64))
    return layer, wanted


def solve(layer: nn.Linear, wanted: Tensor, penalty: object, n_steps: int, rate: float = 0.05) -> None:
    optimiser = torch.optim.SGD(layer.parameters(), lr=rate)
    for _ in range(n_steps):
        optimiser.zero_grad()
        loss = 0.5 * (layer.weight - wanted).square().sum()
        if isinstance(penalty, ProjectionPenalty):
            (loss + penalty()).backward()
            penalty.update()
            optimiser.step()
        else:
            loss.backward()
            optimiser.step()
            penalty.step(rate)


def closed_form(target: float, power: int) -> float:
    """λ at which the minimum of ½‖W − A‖² + λ‖W − PW‖^power has the ratio `target`; ‖PA‖ = ‖A − PA‖ = 1.

    The minimum is W = PA + s (A − PA) with s = 1 − λ or 1 / (1 + 2λ), and s / √(1 + s²) is to be the target.
    """
    kept = target / math.sqrt(1 - target**2)
    return 1 - kept if power == 1 else (1 / kept - 1) / 2


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("target", [0.1, 0.5])
def test_closed_form_a_target_is_reached_with_the_multiplier_of_the_constrained_problem(
    power: int, target: float
) -> None:
    layer, wanted = convex_problem()
    penalty = ProjectionPenalty(layer, target=target, power=power, **TYPES)
    solve(layer, wanted, penalty, 600)
    assert penalty.breakdown().total_ratio == pytest.approx(target, rel=1e-3)
    assert penalty.weight_perpendicular == pytest.approx(closed_form(target, power), rel=1e-2)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("target", [0.1, 0.5])
def test_closed_form_of_the_proximal_step(power: int, target: float) -> None:
    """Its fixed point is the minimum of the same problem, with λ √n for power 1."""
    layer, wanted = convex_problem()
    penalty = ProximalPenalty(layer, target=target, power=power, **TYPES)
    solve(layer, wanted, penalty, 600)
    assert equivariance_report(layer, **TYPES).total_ratio == pytest.approx(target, rel=1e-3)
    expected = closed_form(target, power) / (math.sqrt(64) if power == 1 else 1)
    assert penalty.weight_perpendicular == pytest.approx(expected, rel=1e-2)


def test_every_norm_reaches_the_target(norm: str) -> None:
    power = 1 + NORMS.index(norm) % 2
    layer, wanted = convex_problem()
    penalty = ProjectionPenalty(layer, norm=norm, target=0.3, power=power, **TYPES)
    solve(layer, wanted, penalty, 500, rate=0.02)
    assert penalty.breakdown().total_ratio == pytest.approx(0.3, rel=0.05)


def test_a_target_that_is_met_anyway_costs_nothing() -> None:
    layer, wanted = convex_problem()
    penalty = ProjectionPenalty(layer, target=0.9, **TYPES)  # the task alone ends at √½
    solve(layer, wanted, penalty, 600)
    assert penalty.weight_perpendicular < 1e-3  # it falls by the same factor in every step
    torch.testing.assert_close(layer.weight.detach(), wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("power", [1, 2])
def test_closed_form_balance_of_a_constant_gradient(power: int) -> None:
    """Task ⟨C, W⟩ at fixed weights: λ = r ‖C‖ / ‖∇penalty‖, with ‖∇penalty‖ = 1 or 2 ‖W − PW‖."""
    layer, slope = convex_problem()
    penalty = ProjectionPenalty(layer, balance=0.3, power=power, weight_equivariant=0.2, **TYPES)
    assert penalty.weight_perpendicular == 0
    for _ in range(4):
        layer.zero_grad()
        ((layer.weight * slope).sum() + penalty()).backward()
        penalty.update()
        length = 1 if power == 1 else 2 * penalty.breakdown().rows[0].norm_perpendicular
        assert penalty.weight_perpendicular == pytest.approx(0.3 * slope.norm().item() / length, rel=1e-5)


def test_closed_form_balance_of_the_proximal_step_under_gradient_descent() -> None:
    """The optimiser moves W by η C; the gradient of √n ‖W − PW‖ has length √n."""
    layer, slope = convex_problem()
    penalty = ProximalPenalty(layer, balance=0.3, **TYPES)
    for number in range(4):
        with torch.no_grad():
            layer.weight.sub_(1e-3 * slope)
        penalty.step(1e-3)
        expected = 0.3 * slope.norm().item() / 8 if number else 0.0
        assert penalty.weight_perpendicular == pytest.approx(expected, rel=1e-4)


def test_the_running_means_are_those_of_the_gradients() -> None:
    adapted = AdaptedWeight(target=None, balance=2.0, power=1)
    sizes = [(3.0, 1.0), (1.0, 4.0), (5.0, 2.0)]
    for task, penalty in sizes:
        adapted.update(torch.tensor(task), torch.tensor(penalty), torch.tensor(0.5))
    decays = [0.81, 0.9, 1.0]
    tasks, penalties = (sum(d * pair[i] for d, pair in zip(decays, sizes, strict=True)) for i in range(2))
    assert adapted.value.item() == pytest.approx(2 * tasks / penalties, rel=1e-6)
    adapted.update(torch.tensor(math.inf), torch.tensor(1.0), torch.tensor(0.5))
    assert adapted.value.item() == pytest.approx(2 * tasks / penalties, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 1e-3, 0.05])
def test_a_squared_norm_is_weighed_as_at_the_target(ratio: float) -> None:
    """‖∇‖W − PW‖²‖ = 2 ρ ‖W‖ is 2 t ‖W‖ at the target, however close to equivariance a run starts."""
    adapted = AdaptedWeight(target=0.05, balance=None, power=2)
    adapted.update(torch.tensor(3.0), torch.tensor(2 * ratio * 10), torch.tensor(ratio))
    assert adapted.value.item() == pytest.approx(3 / (2 * 0.05 * 10) if ratio else 0.0, rel=1e-5)


BUILD: dict[str, Callable[..., object]] = {"in the loss": ProjectionPenalty, "proximal": ProximalPenalty}


@pytest.mark.parametrize("option", ["target", "balance"])
@pytest.mark.parametrize("kind", BUILD)
def test_a_resumed_run_is_bit_identical(kind: str, option: str) -> None:
    def run(n_steps: int, state: bytes | None = None) -> dict[str, object]:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        penalty = BUILD[kind](network, GROUP, include_bias=True, **{option: 0.2})
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        parts = {"network": network, "penalty": penalty, "optimiser": optimiser}
        first = 0
        if state is not None:
            saved = torch.load(io.BytesIO(state), weights_only=True)
            first = saved.pop("step")
            for name, part in parts.items():
                part.load_state_dict(saved[name])
        for step in range(first, n_steps):
            images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
            optimiser.zero_grad()
            loss = (network(images) - images.cumsum(-1)).square().mean()
            (loss + penalty() if kind == "in the loss" else loss).backward()
            if kind == "in the loss":
                penalty.update()
            optimiser.step()
            if kind == "proximal":
                penalty.step(1e-2)
        buffer = io.BytesIO()
        torch.save({"step": n_steps, **{name: part.state_dict() for name, part in parts.items()}}, buffer)
        return {"weights": network.state_dict(), "weight": penalty.weight_perpendicular, "saved": buffer.getvalue()}

    whole, resumed = run(12), run(12, run(5)["saved"])
    assert whole["weight"] == resumed["weight"] > 0
    assert all(torch.equal(value, resumed["weights"][key]) for key, value in whole["weights"].items())


def test_what_does_not_fit_is_told() -> None:
    layer, _ = convex_problem()
    for kind in BUILD.values():
        with pytest.raises(ValueError, match="expected one of weight_perpendicular, target and balance"):
            kind(layer, weight_perpendicular=0.1, target=0.2, **TYPES)
        for target in (0.0, 1.0, math.nan):
            with pytest.raises(ValueError, match="expected target above 0 and below 1, found"):
                kind(layer, target=target, **TYPES)
        with pytest.raises(ValueError, match="expected balance to be a finite number above 0, found 0"):
            kind(layer, balance=0.0, **TYPES)
    with pytest.raises(ValueError, match="expected a schedule, or a weight that adapts itself"):
        ProjectionPenalty(layer, target=0.2, schedule=lambda step: 1.0, **TYPES)
    parametrised = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    with pytest.raises(ValueError, match="weight: expected a plain parameter for target or balance"):
        ProjectionPenalty(parametrised, balance=0.2, **TYPES)


def test_a_forgotten_update_is_told() -> None:
    layer, _ = convex_problem()
    penalty = ProjectionPenalty(layer, target=0.2, **TYPES)
    with pytest.raises(RuntimeError, match="expected a penalty computed since the last update, found none"):
        penalty.update()
    value = penalty()
    with pytest.raises(RuntimeError, match="weight: expected a gradient, found none"):
        penalty.update()
    value.backward()
    with torch.no_grad():
        layer.weight.add_(1.0)
        penalty()  # to look at it is free
    with pytest.raises(RuntimeError, match=r"expected update\(\) after backward\(\) in every step"):
        penalty()
    penalty.update()
    penalty()


def test_parts_of_a_batch_may_each_add_a_penalty() -> None:
    layer, slope = convex_problem()
    penalty = ProjectionPenalty(layer, balance=0.3, **TYPES)
    for _ in range(2):
        layer.zero_grad()
        for share in (0.25, 0.75):
            (share * (layer.weight * slope).sum() + penalty()).backward()
        penalty.update()
        assert penalty.weight_perpendicular == pytest.approx(0.3 * slope.norm().item(), rel=1e-5)


class Answers(TorchDispatchMode):
    """Counts what Python waits for on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.n_answers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_answers += function.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("option", ["target", "balance"])
@pytest.mark.parametrize("kind", BUILD)
def test_nothing_waits_for_the_device(kind: str, option: str) -> None:
    layer, wanted = convex_problem()
    penalty = BUILD[kind](layer, **{option: 0.2}, **TYPES)
    solve(layer, wanted, penalty, 2)
    with Answers() as answers:
        solve(layer, wanted, penalty, 2)
    assert answers.n_answers == 0
    assert penalty.weight_perpendicular > 0


def test_a_given_weight_needs_no_update() -> None:
    layer, _ = convex_problem()
    penalty = ProjectionPenalty(layer, weight_perpendicular=0.25, **TYPES)
    penalty()
    penalty()
    penalty.update()
    assert penalty.weight_perpendicular == 0.25
    assert penalty.state_dict() == {"n_calls": 0, "norms": {}, "weight": {}}
