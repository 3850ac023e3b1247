"""Derivatives of the penalty: by `torch.func`, forward, of second order; right, or an error and never a zero."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jvp, vmap

from equiproj import ProjectionPenalty
from equiproj.groups import CyclicGroup
from equiproj.norms import matrix_norm
from equiproj.projections import project_linear
from equiproj.representations import regular

GROUP = CyclicGroup(4)
RHO = regular(GROUP)
TYPES = {"layers": {"0": (RHO, 2 * RHO), "2": (2 * RHO, RHO)}}
QUADRATIC = [("frobenius", 2), ("schatten:2", 2)]
ONCE = "differentiable once"


class Penalised(nn.Module):
    """A network that keeps its penalty, which is no part of its parameters."""

    def __init__(self, norm: str, power: int, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = (nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 4, bias=False))
        self.network = nn.Sequential(*layers).double()
        self.penalty = ProjectionPenalty(self.network, norm=norm, power=power, **options, **TYPES)

    def forward(self) -> Tensor:
        return self.penalty()

    def values(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.named_parameters()}

    def of(self, values: dict[str, Tensor]) -> Tensor:
        """The penalty as a function of weights."""
        return functional_call(self, values, ())


def direction(values: dict[str, Tensor]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(value.shape, generator=generator, dtype=value.dtype) for name, value in values.items()}


def moved(values: dict[str, Tensor], by: dict[str, Tensor], step: float) -> dict[str, Tensor]:
    return {name: value + step * by[name] for name, value in values.items()}


@pytest.mark.parametrize("power", [1, 2])
def test_first_derivatives_by_transforms_are_those_of_backward(norm: str, power: int) -> None:
    module = Penalised(norm, power, weight_equivariant=0.3)
    values = module.values()
    module().backward()
    found = grad(module.of)(values)
    along = direction(values)
    value, slope = jvp(module.of, (values,), (along,))
    torch.testing.assert_close(value, module().detach())
    expected = 0.0
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)
        expected += (parameter.grad * along[name]).sum()
    torch.testing.assert_close(slope, expected)
    difference = (module.of(moved(values, along, 1e-6)) - module.of(moved(values, along, -1e-6))) / 2e-6
    torch.testing.assert_close(slope, difference, rtol=1e-3 if norm == "spectral" else 1e-5, atol=1e-7)


@pytest.mark.parametrize("weights", ["one", "each"])
@pytest.mark.parametrize(("norm", "power"), QUADRATIC)
def test_closed_form_of_the_hessian_of_a_squared_frobenius_norm(norm: str, power: int, weights: str) -> None:
    """2 λ_⊥ (1 − P) + 2 λ_G P, by every way there is to it."""
    perpendicular: object = 0.7
    if weights == "each":
        perpendicular = {"0.weight": 0.7, "2.weight": torch.tensor(0.2, dtype=torch.float64)}
    module = Penalised(norm, power, weight_perpendicular=perpendicular, weight_equivariant=0.3)
    values = module.values()
    along = direction(values)
    expected = {}
    for name, types in (("0", (RHO, 2 * RHO)), ("2", (2 * RHO, RHO))):
        vector, factor = along[f"network.{name}.weight"], 0.2 if (weights, name) == ("each", "2") else 0.7
        projected = project_linear(vector, *types)
        expected[f"network.{name}.weight"] = 2 * factor * (vector - projected) + 0.6 * projected

    def along_direction(of: Callable[[dict[str, Tensor]], Tensor]) -> Callable[[dict[str, Tensor]], Tensor]:
        return lambda values: jvp(of, (values,), (along,))[1]

    def contracted(values: dict[str, Tensor]) -> Tensor:
        return sum((slope * along[name]).sum() for name, slope in grad(module.of)(values).items())

    forward_over_reverse = jvp(grad(module.of), (values,), (along,))[1]
    ways = [forward_over_reverse, grad(along_direction(module.of)), grad(contracted)]
    ways = [way(values) if callable(way) else way for way in ways]
    parameters = dict(module.named_parameters())
    slopes = torch.autograd.grad(module(), list(parameters.values()), create_graph=True)
    product = sum((slope * along[name]).sum() for name, slope in zip(parameters, slopes, strict=True))
    ways.append(dict(zip(parameters, torch.autograd.grad(product, list(parameters.values())), strict=True)))
    for number, way in enumerate(ways):
        for name, wanted in expected.items():
            torch.testing.assert_close(way[name], wanted, msg=lambda text, n=number: f"way {n}: {text}")
    with pytest.raises(RuntimeError, match="once in forward mode; take one of two derivatives in reverse"):
        jvp(along_direction(module.of), (values,), (along,))


def test_the_whole_hessian_is_twice_the_projection() -> None:
    layer = nn.Linear(4, 4, bias=False, dtype=torch.float64)
    penalty = ProjectionPenalty(layer, layers={"": (RHO, RHO)}, power=2)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self) -> Tensor:
            return penalty()

    both = Both()
    found = hessian(lambda weight: functional_call(both, {"layer.weight": weight}, ()))(layer.weight.detach())
    eye = torch.eye(16, dtype=torch.float64).view(16, 4, 4)
    expected = 2 * (eye - project_linear(eye, RHO, RHO)).view(4, 4, 4, 4)
    torch.testing.assert_close(found, expected)
    other = jacfwd(grad(lambda weight: functional_call(both, {"layer.weight": weight}, ())))(layer.weight.detach())
    torch.testing.assert_close(other, expected)


def test_an_ensemble_is_penalised_at_once() -> None:
    module = Penalised("nuclear", 1)
    values = module.values()
    stacked = {name: torch.stack([value, 2 * value, -3 * value]) for name, value in values.items()}
    torch.testing.assert_close(vmap(module.of)(stacked), torch.tensor([1.0, 2.0, 3.0]).double() * module().detach())
    slopes, alone = vmap(grad(module.of))(stacked), grad(module.of)(values)
    for name, slope in alone.items():
        torch.testing.assert_close(slopes[name], torch.stack([slope, slope, -slope]))


WAYS: dict[str, Callable[[Penalised], object]] = {
    "reverse over reverse": lambda module: torch.autograd.grad(
        torch.autograd.grad(module(), module.network[0].weight, create_graph=True)[0].sum(), module.network[0].weight
    ),
    "forward over reverse": lambda module: jvp(grad(module.of), (module.values(),), (direction(module.values()),)),
    "reverse over forward": lambda module: grad(lambda v: jvp(module.of, (v,), (direction(v),))[1])(module.values()),
    "forward over forward": lambda module: jvp(
        lambda v: jvp(module.of, (v,), (direction(module.values()),))[1],
        (module.values(),),
        (direction(module.values()),),
    ),
    "transforms": lambda module: hessian(module.of)(module.values()),
    "dual weights": lambda module: dual_gradient(module),
}


def dual_gradient(module: Penalised) -> Tensor:
    """The tangent of a gradient that backward computes without a graph of its own."""
    values = {name: value.requires_grad_() for name, value in module.values().items()}
    along = direction(values)
    with forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(value, along[name]) for name, value in values.items()}
        slopes = torch.autograd.grad(module.of(duals), list(values.values()))
        tangent = forward_ad.unpack_dual(slopes[0]).tangent
    assert tangent is not None
    return tangent


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("norm", "power"), [("frobenius", 1), ("spectral", 1), ("nuclear", 2), ("mixed:2,1", 1)])
def test_second_derivatives_of_other_norms_are_refused(way: str, norm: str, power: int) -> None:
    with pytest.raises(RuntimeError, match=ONCE):
        WAYS[way](Penalised(norm, power))


def test_a_tangent_passes_through_backward() -> None:
    module = Penalised("frobenius", 2, weight_perpendicular=0.7)
    vector = direction(module.values())["network.0.weight"]
    expected = 1.4 * (vector - project_linear(vector, RHO, 2 * RHO))
    torch.testing.assert_close(dual_gradient(module), expected)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "dual weights"])
def test_second_derivatives_of_a_matrix_norm_are_refused(way: str) -> None:
    matrix = torch.randn(3, 3, dtype=torch.float64)

    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.ModuleList([nn.Linear(3, 3, bias=False, dtype=torch.float64)])

        def forward(self) -> Tensor:
            return matrix_norm(self.network[0].weight, "nuclear")

        values, of = Penalised.values, Penalised.of

    alone = Alone()
    slope = jvp(lambda m: matrix_norm(m, "nuclear"), (matrix,), (matrix,))[1]
    torch.testing.assert_close(slope, matrix_norm(matrix, "nuclear"))
    with pytest.raises(RuntimeError, match=ONCE):
        WAYS[way](alone)


def test_a_transform_leaves_the_power_iteration_as_it_is() -> None:
    """Its tensors are of no use after it."""
    module = Penalised("spectral", 1, method="power")
    state = {name: value.clone() for name, value in module.penalty.state_dict()["norms"].items()}
    grad(module.of)(module.values())
    vmap(module.of)({name: torch.stack([value, value]) for name, value in module.values().items()})
    after = module.penalty.state_dict()["norms"]
    assert all(torch.equal(after[name], value) for name, value in state.items())


def test_a_weight_that_adapts_itself_needs_gradients_in_place() -> None:
    module = Penalised("frobenius", 1, target=0.2)
    with pytest.raises(RuntimeError, match="target and balance read gradients"):
        grad(module.of)(module.values())


COMPILED = """
import torch
from equiproj.norms import matrix_norm

weight = torch.randn(4, 4, requires_grad=True)
compiled = torch.compile(lambda weight: matrix_norm(weight, "mixed:2,1"), fullgraph=True, backend="aot_eager")
found, expected = compiled(weight), matrix_norm(weight, "mixed:2,1")
torch.testing.assert_close(found, expected)
torch.testing.assert_close(*(torch.autograd.grad(value, weight) for value in (found, expected)))
"""


@pytest.mark.slow
def test_a_norm_with_forward_derivatives_compiles_to_one_graph() -> None:
    """In a process of its own, without annotation checks; dynamo refuses functions with a `jvp`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], capture_output=True, text=True, env=environment, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
