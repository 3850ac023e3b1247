"""λ of a penalty by name, and as tensors that learn."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.groups import CyclicGroup
from equiproj.layers import typed_parameters
from equiproj.norms import matrix_norm
from equiproj.projections import project_conv
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
ONE, RHO = trivial(GROUP), 2 * regular(GROUP)
TYPES = {"head": (ONE, RHO), "body.0": (RHO, RHO), "body.1": (RHO, RHO), "body.2": (RHO, RHO), "tail": (RHO, ONE)}
NAMES = [f"{name}.weight" for name in TYPES]
WEIGHTS = dict(zip(NAMES, (0.5, 2.0, 0.0, 0.25, 1.5), strict=True))
OTHERS = dict(zip(NAMES, (0.1, 0.0, 0.3, 0.2, 0.4), strict=True))
SIDES = ("perpendicular", "equivariant")


def by_hand(network: nn.Module, norm: str, power: int) -> dict[str, list[Tensor]]:
    """‖W − PW‖^power and ‖PW‖^power of every layer, differentiated by autograd."""
    norms: dict[str, list[Tensor]] = {side: [] for side in SIDES}
    for name, types in TYPES.items():
        weight = network.get_submodule(name).weight
        projected = project_conv(weight, *types)
        for side, part in zip(SIDES, (weight - projected, projected), strict=True):
            norms[side].append(matrix_norm(part.flatten(1), norm) ** power)
    return norms


def gradients(network: nn.Module, value: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, [network.get_submodule(name).weight for name in TYPES], retain_graph=True))


CASES = [("frobenius", 1), ("frobenius", 2), ("nuclear", 2), ("spectral", 1), ("mixed:2,1", 1), ("entrywise:1", 2)]


@pytest.mark.parametrize("shared", [2**16, 0], ids=["one row", "a row each"])
@pytest.mark.parametrize(("norm", "power"), CASES)
def test_each_layer_has_its_own_weight(
    network: nn.Module, norm: str, power: int, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equiproj.regularisers.packs._N_ENTRIES_SHARED", shared)
    network = network.double()
    method = "exact" if norm in ("spectral", "nuclear") else None
    given = {"weight_perpendicular": WEIGHTS, "weight_equivariant": OTHERS}
    penalty = ProjectionPenalty(network, GROUP, norm=norm, power=power, method=method, **given)
    norms = by_hand(network, norm, power)
    expected = sum(
        weight * each
        for side, own in zip(SIDES, given.values(), strict=True)
        for weight, each in zip(own.values(), norms[side], strict=True)
    )
    value = penalty()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    for found, wanted in zip(gradients(network, value), gradients(network, expected), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert penalty.weight_perpendicular == WEIGHTS
    assert penalty.weight_equivariant == OTHERS


@pytest.mark.parametrize(("norm", "power"), CASES)
def test_the_gradient_in_a_weight_is_the_norm(network: nn.Module, norm: str, power: int) -> None:
    network = network.double()
    method = "exact" if norm in ("spectral", "nuclear") else None
    one = torch.tensor(0.7, requires_grad=True)
    each: dict[str, Any] = {name: nn.Parameter(torch.tensor(value)) for name, value in WEIGHTS.items()}
    each["tail.weight"] = 1.5
    options = {"weight_perpendicular": one, "weight_equivariant": each}
    value = ProjectionPenalty(network, GROUP, norm=norm, power=power, method=method, **options)()
    norms = by_hand(network, norm, power)
    found = torch.autograd.grad(value, [one, *list(each.values())[:-1]], retain_graph=True)
    expected = [sum(norms["perpendicular"]), *norms["equivariant"][:-1]]
    for gradient, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, wanted.detach().float(), rtol=1e-6, atol=0)
    weighted = one.double() * expected[0] + sum(
        e.double() * n for e, n in zip(list(each.values())[:-1], expected[1:], strict=True)
    )
    weighted = weighted + 1.5 * norms["equivariant"][-1]
    torch.testing.assert_close(value, weighted, rtol=1e-7, atol=0)
    for gradient, wanted in zip(gradients(network, value), gradients(network, weighted), strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-7, atol=1e-12)


def test_a_weight_is_learnt_by_whoever_gave_it(network: nn.Module) -> None:
    """Ascent on λ, as for a multiplier: it rises by η ‖W − PW‖² a step."""
    weight = nn.Parameter(torch.tensor(1.0))
    penalty = ProjectionPenalty(network, GROUP, power=2, weight_perpendicular=weight)
    size = ProjectionPenalty(network, GROUP, power=2)().item()
    optimiser = torch.optim.SGD([weight], lr=0.01, maximize=True)
    for _ in range(3):
        optimiser.zero_grad()
        penalty().backward()
        optimiser.step()
    assert penalty.weight_perpendicular == pytest.approx(1 + 0.03 * size, rel=1e-5)
    with torch.no_grad():
        weight.neg_()
    with pytest.raises(ValueError, match="expected weight_perpendicular to be a finite number of at least 0, found -"):
        penalty()


def test_the_step_of_an_inner_problem_is_differentiable_in_its_weight() -> None:
    """d/dλ of a function of W − η ∇(λ‖W − PW‖), which is what learning λ on validation data takes."""
    layer = nn.Linear(4, 4, bias=False, dtype=torch.float64)
    weight = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    rho = regular(GROUP)
    penalty = ProjectionPenalty(layer, layers={"": (rho, rho)}, norm="nuclear", weight_perpendicular=weight)
    (slope,) = torch.autograd.grad(penalty(), layer.weight, create_graph=True)
    (found,) = torch.autograd.grad((slope * layer.weight.detach()).sum(), weight)
    torch.testing.assert_close(found * weight, penalty().detach())  # Euler: ⟨∇‖A‖, A⟩ = ‖A‖


def test_the_report_knows_no_weights(network: nn.Module) -> None:
    plain = ProjectionPenalty(network, GROUP).breakdown()
    assert ProjectionPenalty(network, GROUP, weight_perpendicular=WEIGHTS).breakdown() == plain


def test_half_precision_weights_take_weights_by_name(network: nn.Module) -> None:
    network = network.bfloat16()
    learnt = {name: torch.tensor(value, requires_grad=True) for name, value in WEIGHTS.items()}
    value = ProjectionPenalty(network, GROUP, weight_perpendicular=learnt)()
    assert value.item() == pytest.approx(ProjectionPenalty(network, GROUP, weight_perpendicular=WEIGHTS)().item())
    value.backward()
    assert network.head.weight.grad.dtype == torch.bfloat16
    assert learnt["head.weight"].grad > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**WEIGHTS, "neck.weight": 1.0}, r"to name penalised parameters \(head.weight, .*\), found \['neck.weight'\]"),
        ({"head.weight": 1.0}, r"for every penalised parameter .*, found none of \['body.0.weight', .*'tail.weight'\]"),
        ({**WEIGHTS, "head.weight": -1.0}, "of head.weight to be a finite number of at least 0, found -1.0"),
        ({**WEIGHTS, "head.weight": math.nan}, "of head.weight to be a finite number of at least 0, found nan"),
        (torch.ones(1), r"to be a number or a tensor of one without axes, found torch.float32 of shape \(1,\)"),
        (torch.tensor(1), "to be a number or a tensor of one without axes, found torch.int64"),
    ],
)
@pytest.mark.parametrize("keyword", ["weight_perpendicular", "weight_equivariant"])
def test_what_is_no_weight_is_refused_by_name(network: nn.Module, keyword: str, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"expected {keyword} {message}") as error:
        ProjectionPenalty(network, GROUP, **{keyword: given})
    assert "\n" not in str(error.value)


def test_a_tensor_that_became_negative_is_refused_when_it_is_read(network: nn.Module) -> None:
    learnt: dict[str, Any] = {**WEIGHTS, "tail.weight": torch.tensor(0.0)}
    penalty = ProjectionPenalty(network, GROUP, weight_perpendicular=learnt)
    penalty()
    learnt["tail.weight"].fill_(-0.5)
    with pytest.raises(ValueError, match=r"weight_perpendicular of tail.weight to be a finite number of at least 0"):
        penalty()


def test_names_are_those_of_the_rows(network: nn.Module) -> None:
    found = typed_parameters(network, GROUP, include_bias=True)
    weights = {entry.name: 1.0 for entry in found}
    penalty = ProjectionPenalty(network, GROUP, include_bias=True, weight_perpendicular=weights)
    torch.testing.assert_close(penalty(), ProjectionPenalty(network, GROUP, include_bias=True)())


@pytest.mark.parametrize("power", [1, 2])
def test_the_proximal_step_takes_weights_by_name(network: nn.Module, power: int) -> None:
    """Each layer moves as if it were alone with its λ; a λ of 0 leaves every bit."""
    network = network.double()
    learnt = {**WEIGHTS, "tail.weight": torch.tensor(1.5)}
    alone = copy.deepcopy(network)
    penalty = ProximalPenalty(network, GROUP, weight_perpendicular=learnt, power=power)
    assert penalty.weight_perpendicular == WEIGHTS
    penalty.step(0.01)
    for name, types in TYPES.items():
        weight = WEIGHTS[f"{name}.weight"]
        ProximalPenalty(alone, layers={name: types}, weight_perpendicular=weight, power=power).step(0.01)
        found, expected = (each.get_submodule(name).weight for each in (network, alone))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
        assert weight > 0 or torch.equal(found, expected)
    with pytest.raises(ValueError, match=r"found \['neck.weight'\]"):
        ProximalPenalty(network, GROUP, weight_perpendicular={**WEIGHTS, "neck.weight": 1.0})
