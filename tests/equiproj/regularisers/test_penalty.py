"""`ProjectionPenalty`: values, gradients, what it leaves alone, and what it refuses."""

import copy
import io
import math

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, project_
from equiproj.groups import O2, O3, SO2, SO3, CyclicGroup, DihedralGroup, Group
from equiproj.norms import matrix_norm
from equiproj.projections import project_bias, project_conv, project_linear
from equiproj.representations import irreps, regular, trivial

GROUP = CyclicGroup(4)
ONE, RHO = trivial(GROUP), 2 * regular(GROUP)
TYPES = {"head": (ONE, RHO), "body.0": (RHO, RHO), "body.1": (RHO, RHO), "body.2": (RHO, RHO), "tail": (RHO, ONE)}


def by_hand(network: nn.Module, norm: str, power: int, perpendicular: float = 1.0, equivariant: float = 0.0) -> Tensor:
    """Equation 6.2 of docs/derivation.md, layer by layer, differentiated by autograd."""
    total = torch.zeros((), dtype=network.head.weight.dtype)
    for name, (rho_in, rho_out) in TYPES.items():
        weight = network.get_submodule(name).weight
        projected = project_conv(weight, rho_in, rho_out)
        for factor, part in ((perpendicular, weight - projected), (equivariant, projected)):
            total = total + factor * matrix_norm(part.flatten(1), norm) ** power
    return total


def gradients(network: nn.Module, value: Tensor) -> list[Tensor]:
    weights = [network.get_submodule(name).weight for name in TYPES]
    return list(torch.autograd.grad(value, weights))


@pytest.mark.parametrize("power", [1, 2])
def test_value_and_gradient_are_the_formula(network: nn.Module, norm: str, power: int) -> None:
    network = network.double()
    method = "exact" if norm in ("spectral", "nuclear", "schatten:3") else None
    options = {"weight_perpendicular": 0.7, "weight_equivariant": 0.2}
    penalty = ProjectionPenalty(network, GROUP, norm=norm, power=power, method=method, **options)
    value, expected = penalty(), by_hand(network, norm, power, 0.7, 0.2)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    for found, wanted in zip(gradients(network, value), gradients(network, expected), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "schatten:3"])
@pytest.mark.parametrize("method", ["power", "gram", None])
def test_fast_methods_agree_with_the_exact_one(network: nn.Module, norm: str, method: str | None) -> None:
    fast = ProjectionPenalty(network, GROUP, norm=norm, weight_equivariant=0.5, method=method)
    exact = by_hand(network.double(), norm, 1, 1.0, 0.5)
    assert fast().item() == pytest.approx(exact.item(), rel=1e-3)


def test_closed_form_of_one_matrix() -> None:
    """For two channels that C_2 swaps, P averages the diagonals: W − PW = ½ [[a−d, b−c], [c−b, d−a]]."""
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(torch.tensor([[1.0, 2.0], [5.0, 3.0]]))
    swap = regular(CyclicGroup(2))
    squared = ProjectionPenalty(layer, layers={"": (swap, swap)}, power=2, weight_equivariant=0.5)
    assert squared().item() == pytest.approx(2 * 1.0 + 2 * 2.25 + 0.5 * (2 * 4 + 2 * 12.25))
    largest = ProjectionPenalty(layer, layers={"": (swap, swap)}, norm="entrywise:inf")
    assert largest().item() == pytest.approx(1.5)


def test_frozen_value() -> None:
    layer = nn.Conv2d(1, 4, 3)
    layer.weight = nn.Parameter(torch.arange(36.0).reshape(4, 1, 3, 3).sin())
    penalty = ProjectionPenalty(layer, GROUP, output_type="regular", norm="nuclear", method="exact")
    assert penalty().item() == pytest.approx(5.986835576852242, rel=1e-6)


def test_squared_frobenius_has_the_gradient_2_w_minus_pw(network: nn.Module) -> None:
    value = ProjectionPenalty(network, GROUP, power=2, weight_perpendicular=0.3)()
    for (name, types), found in zip(TYPES.items(), gradients(network, value), strict=True):
        weight = network.get_submodule(name).weight.detach()
        torch.testing.assert_close(found, 0.6 * (weight - project_conv(weight, *types)), rtol=1e-5, atol=1e-7)


def projections_of(penalty: ProjectionPenalty) -> list[tuple[int, ...]]:
    """Shapes of what is projected in one forward and backward pass."""
    shapes = []
    for weights in penalty._packs:
        original = weights.project
        weights.project = lambda rows, original=original: (shapes.append(tuple(rows.shape)), original(rows))[1]
    penalty().backward()
    return shapes


def test_squared_frobenius_keeps_no_graph_through_the_projection(network: nn.Module) -> None:
    n_entries = sum(network.get_submodule(name).weight.numel() for name in TYPES)
    assert projections_of(ProjectionPenalty(network, GROUP, power=2, weight_equivariant=1.0)) == [(1, n_entries)]


def test_small_layers_share_one_gather_and_large_ones_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(1, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 1, 3))
    once_for_the_value, once_for_the_slope = [(1, 1152), (2, 36864)], [(1, 1152), (2, 36864)]
    found = projections_of(ProjectionPenalty(network, GROUP, norm="mixed:2,1"))
    assert sorted(found) == sorted(once_for_the_value + once_for_the_slope)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("shared", "padded"), [(0, 0), (2**16, 0), (0, 2**15)])
def test_how_weights_are_stacked_changes_no_number(
    norm: str, power: int, shared: int, padded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer by itself, without padding, is the oracle of the one gather."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.ConvTranspose2d(8, 4, 2), nn.Conv2d(4, 4, 3)),
        *(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 1)),
    ).double()
    options = {"norm": norm, "power": power, "weight_equivariant": 0.3, "include_bias": True}
    options["example"] = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    together = ProjectionPenalty(network, GROUP, **options)
    monkeypatch.setattr("equiproj.regularisers.packs._N_ENTRIES_SHARED", shared)
    monkeypatch.setattr("equiproj.regularisers.packs._N_ENTRIES_PADDED", padded)
    apart = ProjectionPenalty(network, GROUP, **options)
    assert len(together._packs) == 1
    assert len(apart._packs) > 1 or padded == 0
    results = []
    for penalty in (together, apart):
        network.zero_grad()
        value = penalty()
        value.backward()
        results.append([value.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_nothing_pushes_at_exact_equivariance(network: nn.Module, norm: str, power: int, dtype: torch.dtype) -> None:
    """Rounding of the projection is not non-equivariance: a norm's gradient has full length however small W − PW is."""
    project_(network, GROUP)
    network = network.to(dtype)
    value = ProjectionPenalty(network, GROUP, norm=norm, power=power)()
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    for name in TYPES:
        gradient = network.get_submodule(name).weight.grad
        assert gradient.isfinite().all()
        # The squared Frobenius norm needs no threshold: its gradient is of the size of the rounding.
        assert gradient.abs().max() <= (1e-6 if (norm, power) == ("frobenius", 2) else 0)


def test_nothing_pushes_at_exact_equivariance_of_a_group_whose_means_round() -> None:
    torch.manual_seed(0)
    group = DihedralGroup(3)
    layer = nn.Linear(12, 18)
    types = {"input_type": "regular", "output_type": "regular"}
    project_(layer, group, **types)
    rho_in, rho_out = 2 * regular(group), 3 * regular(group)
    assert (layer.weight - project_linear(layer.weight, rho_in, rho_out)).abs().max() > 0
    ProjectionPenalty(layer, group, norm="entrywise:1", **types)().backward()
    assert layer.weight.grad.abs().max() == 0


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
def test_continuous_groups_are_penalised_and_projected(group: Group) -> None:
    torch.manual_seed(0)
    kinds = irreps(group, 2)
    rho = 2 * kinds[0] + 2 * kinds[1] + kinds[2]
    layer = nn.Linear(rho.dim, rho.dim)
    types = {"layers": {"": (rho, rho)}}
    expected = (layer.weight - project_linear(layer.weight, rho, rho)).norm()
    torch.testing.assert_close(ProjectionPenalty(layer, **types)(), expected, rtol=1e-5, atol=0)
    project_(layer, **types)
    ProjectionPenalty(layer, norm="nuclear", **types)().backward()
    assert layer.weight.grad.abs().max() == 0


def test_zero_weights_give_zero(network: nn.Module, norm: str) -> None:
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    value = ProjectionPenalty(network, GROUP, norm=norm, weight_equivariant=1.0)()
    value.backward()
    assert value.item() == 0
    assert all(network.get_submodule(name).weight.grad.abs().max() == 0 for name in TYPES)


def test_descent_reaches_equivariance(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, power=2)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.2)
    equivariant = [project_conv(network.get_submodule(n).weight.detach(), *t) for n, t in TYPES.items()]
    for _ in range(60):
        optimiser.zero_grad()
        penalty().backward()
        optimiser.step()
    assert penalty.breakdown().total_ratio < 1e-6
    # The equivariant part is orthogonal to the penalty and must not have moved.
    for name, wanted in zip(TYPES, equivariant, strict=True):
        torch.testing.assert_close(network.get_submodule(name).weight.detach(), wanted, rtol=0, atol=1e-6)


def test_the_module_is_only_read(network: nn.Module) -> None:
    before = copy.deepcopy(network.state_dict())
    penalty = ProjectionPenalty(network, GROUP, norm="spectral", method="power")
    penalty()
    penalty.breakdown()
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(network.state_dict()[key], before[key]) for key in before)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())
    network.penalty = penalty
    assert network.state_dict().keys() == before.keys()


def test_layers_not_declared_are_not_penalised(network: nn.Module) -> None:
    some = {name: TYPES[name] for name in ("body.1", "tail")}
    penalty = ProjectionPenalty(network, layers=some)
    assert [row.name for row in penalty.breakdown().rows] == ["body.1.weight", "tail.weight"]
    penalty().backward()
    assert network.body[0].weight.grad is None
    assert network.body[1].weight.grad is not None


def test_biases_are_left_out_unless_asked_for(network: nn.Module) -> None:
    without = ProjectionPenalty(network, GROUP, power=2)()
    with_bias = ProjectionPenalty(network, GROUP, power=2, include_bias=True)()
    biases = [network.head.bias, *(layer.bias for layer in network.body)]
    # The bias of the last layer has a trivial channel, on which nothing acts.
    expected = sum((bias - project_bias(bias, RHO)).square().sum() for bias in biases)
    torch.testing.assert_close(with_bias - without, expected)


def test_the_schedule_multiplies(network: nn.Module) -> None:
    plain = ProjectionPenalty(network, GROUP)().item()
    scheduled = ProjectionPenalty(network, GROUP, schedule=lambda step: 0.1 * step)
    assert [scheduled().item() for _ in range(3)] == pytest.approx([0.0, 0.1 * plain, 0.2 * plain])
    assert scheduled(step=50).item() == pytest.approx(5 * plain)
    assert scheduled().item() == pytest.approx(0.3 * plain)


@pytest.mark.parametrize(("norm", "method"), [("spectral", "power"), ("spectral", None), ("frobenius", None)])
def test_a_resumed_run_is_bit_identical(norm: str, method: str | None) -> None:
    def run(n_steps: int, state: bytes | None = None) -> bytes:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        # The schedule makes the result depend on the step count too.
        penalty = ProjectionPenalty(network, GROUP, norm=norm, method=method, schedule=lambda step: 1 / (1 + step))
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
            (network(images).square().mean() + penalty()).backward()
            optimiser.step()
        buffer = io.BytesIO()
        torch.save({"step": n_steps, **{name: part.state_dict() for name, part in parts.items()}}, buffer)
        return buffer.getvalue()

    whole = torch.load(io.BytesIO(run(12)), weights_only=True)
    resumed = torch.load(io.BytesIO(run(12, run(5))), weights_only=True)
    for key, value in whole["network"].items():
        assert torch.equal(value, resumed["network"][key]), key
    assert whole["penalty"].keys() == resumed["penalty"].keys()


def test_the_state_of_the_power_iteration_is_saved(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, norm="spectral", method="power", weight_equivariant=1.0)
    # of the layers with eight singular values, and of the one with a single one
    names = [f"left_{side}_0_{number}" for number in range(2) for side in ("perpendicular", "equivariant")]
    assert set(penalty.state_dict()["norms"]) == set(names)
    assert penalty.state_dict()["norms"]["left_perpendicular_0_0"].shape == (1, 4, 8, 8)


def test_breakdown_is_exact_and_touches_nothing(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, norm="spectral", method="power")
    state = copy.deepcopy(penalty.state_dict())
    report = penalty.breakdown()
    assert all(torch.equal(state["norms"][key], value) for key, value in penalty.state_dict()["norms"].items())
    assert [row.name for row in report.rows] == [f"{name}.weight" for name in TYPES]
    assert sum(row.norm_perpendicular for row in report.rows) == pytest.approx(
        by_hand(network, "spectral", 1).item(), rel=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "rtol"), [("spectral", 1e-3), ("nuclear", 1e-5), ("schatten:3", 1e-5)])
def test_a_run_of_training_stays_within_1e_3_of_the_svd(norm: str, rtol: float) -> None:
    """W − PW itself, while the penalty presses its singular values together and the task pulls back."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 20, 3, padding=1), nn.ReLU(), nn.Conv2d(20, 20, 5, padding=2), nn.ReLU())
    network.append(nn.Conv2d(20, 1, 3, padding=1))
    penalty = ProjectionPenalty(network, GROUP, norm=norm)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    worst, start = 0.0, penalty.breakdown().total_ratio
    for _ in range(80):
        images = torch.randn(1, 1, 8, 8, generator=generator)
        value = penalty()
        exact = sum(row.norm_perpendicular for row in penalty.breakdown().rows)
        worst = max(worst, abs(value.item() / exact - 1))
        optimiser.zero_grad()
        ((network(images) - images.roll(1, -1)).square().mean() + 0.2 * value).backward()
        optimiser.step()
    assert penalty.breakdown().total_ratio < 0.8 * start
    assert worst < rtol


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_measured_in_float32(network: nn.Module, norm: str, dtype: torch.dtype) -> None:
    network = network.to(dtype)
    value = ProjectionPenalty(network, GROUP, norm=norm)()
    value.backward()
    wide = copy.deepcopy(network).float()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(ProjectionPenalty(wide, GROUP, norm=norm)().item(), rel=1e-5)
    assert all(network.get_submodule(name).weight.grad.dtype == dtype for name in TYPES)


def test_autocast_does_not_lower_the_precision(network: nn.Module, norm: str) -> None:
    plain = ProjectionPenalty(network, GROUP, norm=norm, power=2)()
    penalty = ProjectionPenalty(network, GROUP, norm=norm, power=2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = penalty()
    assert torch.equal(inside, plain)


def test_parametrised_layers_are_penalised_through_their_parametrisation(norm: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)))
    penalty = ProjectionPenalty(network, GROUP, norm=norm, output_type="regular")
    before = penalty().item()
    penalty().backward()
    original = network[1].parametrizations.weight
    assert original.original0.grad.abs().max() > 0
    with torch.no_grad():
        original.original0.mul_(2)
    rows = penalty.breakdown().rows
    assert penalty().item() == pytest.approx(before + rows[1].norm_perpendicular / 2, rel=1e-3)


def test_the_operator_option_measures_biases_as_matrices(network: nn.Module) -> None:
    kernels = ProjectionPenalty(network, GROUP, norm="spectral", image_shape=(6, 6))()
    both = ProjectionPenalty(network, GROUP, norm="spectral", image_shape=(6, 6), include_bias=True)()
    biases = [network.head.bias, *(layer.bias for layer in network.body)]
    expected = sum(torch.linalg.vector_norm(bias - project_bias(bias, RHO)) for bias in biases)
    torch.testing.assert_close(both - kernels, expected)


def test_the_operator_option_measures_the_convolution(unbiased: nn.Module) -> None:
    """At least as large as the kernel's largest response to a constant image, and √n times the Frobenius norm."""
    kernel = ProjectionPenalty(unbiased, GROUP, norm="frobenius")
    operator = ProjectionPenalty(unbiased, GROUP, norm="frobenius", image_shape=(6, 7))
    torch.testing.assert_close(operator(), kernel() * math.sqrt(42), rtol=1e-5, atol=0)
    spectral = ProjectionPenalty(unbiased, GROUP, norm="spectral", image_shape=(6, 7))
    value = spectral()
    value.backward()
    assert unbiased.head.weight.grad.isfinite().all()
    constant = 0.0
    for name, types in TYPES.items():
        weight = unbiased.get_submodule(name).weight
        part = (weight - project_conv(weight, *types)).sum((-2, -1))
        constant += matrix_norm(part, "spectral").item()
    assert value.item() >= constant
    assert spectral.breakdown().rows[0].norm_perpendicular <= value.item()


def test_moving_the_network_to_another_precision_takes_the_state_along(network: nn.Module) -> None:
    penalty = ProjectionPenalty(network, GROUP, norm="spectral", method="power")
    before = penalty().item()
    network.double()
    value = penalty()
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "euclid"}, "unknown norm 'euclid'; known: frobenius"),
        ({"power": 3}, "expected power 1 or 2, found 3"),
        (
            {"weight_perpendicular": -1.0},
            "expected weight_perpendicular to be a finite number of at least 0, found -1.0",
        ),
        ({"weight_equivariant": math.nan}, "expected weight_equivariant to be a finite number"),
        ({"method": "gram"}, "'frobenius' does not come from singular values"),
        ({"norm": "spectral", "method": "svd"}, "expected method 'exact', 'gram', 'power' or None, found 'svd'"),
        ({"norm": "spectral", "method": "power", "image_shape": (8, 8)}, "method 'power' measures kernels"),
        ({"hidden_type": 3 * trivial(GROUP)}, "has 8 output channels; they do not fit 3.trivial"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(network: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ProjectionPenalty(network, GROUP, **options)
    assert "\n" not in str(error.value)
