"""What once gave a wrong number without a word: now the right one, or an error that names the tensor."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from jaxtyping import config
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report, measured_defect, project_
from equiproj.adaptive import InputWeightedPenalty
from equiproj.groups import CyclicGroup
from equiproj.layers import typed_parameters
from equiproj.regularisers import project_initial_
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
RHO = regular(GROUP)
TYPES = {"layers": {"0": (RHO, RHO), "1": (RHO, RHO)}}


@pytest.fixture
def unchecked_annotations() -> Iterator[None]:
    """Annotations are checked in tests alone: what they refuse here has to be an error without them, too."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


as_users_run = pytest.mark.usefixtures("unchecked_annotations")


def two_layers(bias: bool = False) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4, bias=bias), nn.Linear(4, 4, bias=bias))


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (nn.Linear(4, 4, dtype=torch.complex64), "complex64"),
        (nn.Linear(4, 4).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (nn.LazyLinear(4), "0 input channels"),
        (nn.LazyBatchNorm1d(), "0 input channels"),
    ],
    ids=["complex", "8 bits", "lazy", "lazy normalisation"],
)
def test_tensors_that_cannot_be_split_are_refused_by_name(layer: nn.Module, found: str) -> None:
    with pytest.raises(ValueError, match=f"'0'.*{found}"):
        typed_parameters(nn.Sequential(layer), GROUP, layers={"0": (RHO, RHO)})


def test_a_group_has_a_name() -> None:
    network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    assert equivariance_report(network, "C4").rows == equivariance_report(network, GROUP).rows
    assert ProjectionPenalty(network, "C4")() == ProjectionPenalty(network, GROUP)()
    images, relu = torch.randn(2, 1, 4, 4), nn.ReLU()
    assert measured_defect(relu, images, "C4") == measured_defect(relu, images, GROUP)
    with pytest.raises(ValueError, match="expected a group C<n>, D<n> or a product"):
        project_(network, "SO3")


@pytest.mark.parametrize("power", [1, 2])
def test_tied_weights_are_one_weight(power: int) -> None:
    network = two_layers()
    network[1].weight = network[0].weight
    alone = ProjectionPenalty(network[:1], layers={"0": (RHO, RHO)}, power=power)()
    assert ProjectionPenalty(network, power=power, **TYPES)().item() == pytest.approx(alone.item())
    assert len(equivariance_report(network, **TYPES).rows) == 1
    with pytest.raises(ValueError, match=r"1.weight: expected the types of 0.weight, whose tensor it is"):
        typed_parameters(network, layers={"0": (RHO, RHO), "1": (RHO, 4 * trivial(GROUP))})


@pytest.mark.parametrize("group", [CyclicGroup, 4, (1, 2)], ids=str)
@as_users_run
def test_what_is_no_group_is_refused(group: object) -> None:
    for use in (ProjectionPenalty, equivariance_report, project_):
        with pytest.raises(ValueError, match=r"expected a group, such as CyclicGroup\(4\), or its name"):
            use(nn.Linear(1, 4), group)


@as_users_run
def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a torch module, found <function"):
        equivariance_report(project_, "C4")


@as_users_run
def test_names_of_types_are_no_representations() -> None:
    with pytest.raises(ValueError, match=r"layer '0': expected two representations, found 'regular' and 'trivial'"):
        typed_parameters(two_layers(), GROUP, layers={"0": ("regular", "trivial")})
    with pytest.raises(ValueError, match=r"parameter '0.weight': expected two representations, found 'regular'"):
        typed_parameters(two_layers(), GROUP, parameters={"0.weight": ("regular", "regular")})


def test_a_pattern_that_fits_no_name_is_refused() -> None:
    network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), weight_norm(nn.Linear(4, 1)))
    for pattern in ("0.*", "*.bias", "1.running_mean", "2.weight", ("0.weight", "1.*")):
        typed_parameters(network, GROUP, skip=pattern, include_bias=True)
    for pattern in ("0.wieght", ("0.*", "head.*")):
        with pytest.raises(ValueError, match=r"expected skip= to hold patterns .* found none for '(0.wieght|head.\*)'"):
            typed_parameters(network, GROUP, skip=pattern)


@pytest.mark.parametrize("kind", ["kernel", "matrix", "function"])
def test_a_layer_and_its_adjoint_may_share_a_weight(kind: str) -> None:
    """Both ends of an autoencoder: one space of weights (equation 3.7), and the projected network commutes."""

    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            convolution = kind != "matrix"
            self.first = nn.Conv2d(1, 8, 3, padding=1) if convolution else nn.Linear(4, 8)
            self.last = nn.ConvTranspose2d(8, 1, 3, padding=1) if convolution else nn.Linear(8, 4)
            if kind == "kernel":
                self.last.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = self.first(x).relu()
            if kind == "kernel":
                return self.last(hidden)
            if kind == "matrix":
                return nn.functional.linear(hidden, self.first.weight.t(), self.last.bias)
            return nn.functional.conv_transpose2d(hidden, self.first.weight, self.last.bias, padding=1)

    torch.manual_seed(0)
    network = Ends().double()
    types = {} if kind != "matrix" else {"input_type": "regular", "output_type": "regular"}
    batch = torch.randn(2, 1, 6, 6, dtype=torch.float64) if kind != "matrix" else torch.randn(3, 4, dtype=torch.float64)
    if kind != "kernel":
        types |= {"skip": "last.weight"}  # which nobody uses
    assert len(equivariance_report(network, GROUP, example=batch, **types).rows) == 1
    project_(network, GROUP, example=batch, **types)
    rho = "regular" if kind == "matrix" else None
    assert measured_defect(network, batch, GROUP, rho, rho).maximum < 1e-14


def test_weights_without_values_are_refused() -> None:
    """On the meta device a projection would do nothing, and say nothing; a penalty may be built there."""
    network = two_layers().to("meta")
    penalty = ProjectionPenalty(network, **TYPES)
    for use in (
        lambda: project_(network, **TYPES),
        lambda: equivariance_report(network, **TYPES),
        penalty,
        lambda: ProximalPenalty(network, **TYPES).step(0.1),
    ):
        with pytest.raises(ValueError, match=r"parameter '0.weight': expected values, found none yet: .* meta device"):
            use()
    network.to_empty(device="cpu").load_state_dict(two_layers().state_dict())
    assert penalty().item() == pytest.approx(ProjectionPenalty(network, **TYPES)().item())


@as_users_run
@pytest.mark.parametrize(("multiplier", "found"), [(-1.0, "-1.0"), (math.nan, "nan"), (None, "None")])
def test_a_schedule_rewards_nothing(multiplier: object, found: str) -> None:
    penalty = ProjectionPenalty(two_layers(), schedule=lambda step: multiplier, **TYPES)
    with pytest.raises(ValueError, match=rf"multiplier of step 0 to be a finite number of at least 0, found {found}"):
        penalty()


@as_users_run
def test_a_weight_that_is_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_perpendicular to be a finite number of at least 0, found '1e-3'"):
        ProjectionPenalty(two_layers(), weight_perpendicular="1e-3", **TYPES)


def test_lazy_and_complex_layers_are_named_where_an_input_is_guessed() -> None:
    with pytest.raises(ValueError, match=r"parameter '0.weight': expected one with a shape, found a lazy one"):
        typed_parameters(nn.Sequential(nn.LazyConv2d(8, 3), nn.Conv2d(8, 1, 3)), GROUP)
    with pytest.raises(ValueError, match=r"'0.weight' holds torch.complex64"):
        typed_parameters(nn.Sequential(nn.Linear(1, 4, dtype=torch.complex64)), GROUP)


def test_a_pruned_weight_is_refused_with_what_to_do() -> None:
    network = two_layers()
    prune.l1_unstructured(network[0], "weight", 0.5)
    with pytest.raises(ValueError, match=r"layer '0': .*found what a hook computes; .*prune.remove"):
        ProjectionPenalty(network, **TYPES)
    prune.remove(network[0], "weight")
    ProjectionPenalty(network, **TYPES)()


@pytest.mark.parametrize("kind", [ProjectionPenalty, ProximalPenalty])
def test_weights_that_are_tied_or_untied_later_are_noticed(kind: Any) -> None:
    """One of two would be passed over, or one count twice; pytorch issue 188346 has how it comes about."""
    tied, apart = two_layers(), two_layers()
    tied[1].weight = tied[0].weight
    penalties = [kind(network, **TYPES) for network in (tied, apart)]
    use = [penalty if kind is ProjectionPenalty else partial(penalty.step, 0.1) for penalty in penalties]
    for each in use:
        each()
    tied.load_state_dict(copy.deepcopy(tied.state_dict()), assign=True)
    assert tied[1].weight is not tied[0].weight
    apart[1].weight = apart[0].weight
    for each in use:
        with pytest.raises(RuntimeError, match=r"penalty: '1.weight' of its network has been tied to another .* again"):
            each()


def test_a_weight_may_be_replaced_by_another() -> None:
    network = two_layers()
    penalty = ProjectionPenalty(network, power=2, **TYPES)
    before = penalty().item()
    for layer in network:
        layer.weight = nn.Parameter(2 * layer.weight.detach())
    assert penalty().item() == pytest.approx(4 * before)


def test_frozen_weights_stay_as_they_are() -> None:
    network = two_layers()
    network[0].requires_grad_(False)
    frozen = network[0].weight.clone()
    ProximalPenalty(network, weight_perpendicular=1e6, **TYPES).step(1.0)
    assert torch.equal(network[0].weight, frozen)
    assert equivariance_report(network, **TYPES).rows[1].ratio < 1e-6


def test_rates_are_those_of_the_optimiser() -> None:
    """By hand: with power 2 each layer keeps 1 / (1 + 2 λ η) of W − P(W), with the η of its own group."""
    network, before = two_layers(), None
    before = [layer.weight.detach().clone() for layer in network]
    optimiser = torch.optim.SGD([{"params": [network[0].weight], "lr": 0.5}, {"params": [network[1].weight]}], lr=0.25)
    ProximalPenalty(network, weight_perpendicular=2.0, power=2, **TYPES).step(optimiser)
    projectors = [entry.projector for entry in typed_parameters(network, **TYPES)]
    for layer, old, projector, rate in zip(network, before, projectors, (0.5, 0.25), strict=True):
        expected = projector(old) + (old - projector(old)) / (1 + 2 * 2.0 * rate)
        torch.testing.assert_close(layer.weight.detach(), expected)
    outside = torch.optim.SGD([network[0].weight], lr=0.5)
    kept = network[1].weight.detach().clone()
    ProximalPenalty(network, weight_perpendicular=2.0, **TYPES).step(outside)
    assert torch.equal(network[1].weight, kept)  # what the optimiser does not train is not moved


@pytest.mark.parametrize("change", [project_, project_initial_, lambda *a, **k: ProximalPenalty(*a, **k).step(0.1)])
def test_what_changes_weights_writes_all_or_nothing(change: Callable[..., object]) -> None:
    network = two_layers()
    orthogonal(network[1])  # the projection of an orthogonal matrix is none
    state = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=r"1.weight: its parametrisation cannot represent the projected value"):
        change(network, **TYPES)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


class Rotated(nn.Module):
    """Multiplies features by a complex phase of each."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 4)
        self.phase = nn.Parameter(torch.ones(8, dtype=torch.complex64))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.head((self.body(features) * self.phase).real)


def test_a_complex_parameter_outside_of_layers_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"expected parameter 'phase' to hold real .*complex64"):
        typed_parameters(Rotated(), GROUP, input_type="regular", include_bias=True)
    for options in ({"include_bias": True, "skip": "phase"}, {}):
        found = typed_parameters(Rotated(), GROUP, input_type="regular", **options)
        assert "phase" not in {entry.name for entry in found}


def test_a_spectrally_normed_layer_becomes_equivariant() -> None:
    network = two_layers()
    spectral_norm(network[0])
    weight_norm(network[1])
    project_(network, **TYPES)
    assert max(row.ratio for row in equivariance_report(network, **TYPES).rows) < 1e-6
    features = torch.randn(3, 4)
    network.eval()  # in training each pass divides by another estimate of σ₁
    torch.testing.assert_close(network(features).roll(1, 1), network(features.roll(1, 1)))


def test_reading_a_penalty_advances_no_power_iteration() -> None:
    network = nn.Sequential(spectral_norm(nn.Linear(4, 4)))
    vectors = {name: value.clone() for name, value in network.named_buffers()}
    penalty = ProjectionPenalty(network, layers={"0": (RHO, RHO)})
    for _ in range(3):
        penalty().backward()
        penalty.breakdown()
    assert all(torch.equal(value, vectors[name]) for name, value in network.named_buffers())
    assert network[0].parametrizations.weight.training


def test_an_operator_norm_of_a_strided_layer_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, stride=2))
    with pytest.raises(ValueError, match=r"1.weight: expected stride 1 for image_shape=, found \(2, 2\)"):
        ProjectionPenalty(network, GROUP, norm="spectral", image_shape=(8, 8), output_type="regular")


def test_a_penalty_says_that_its_network_has_changed() -> None:
    uses: dict[Callable[[nn.Module], object], Callable[[Any], object]] = {
        lambda network: ProjectionPenalty(network, **TYPES): lambda penalty: penalty(),
        lambda network: ProximalPenalty(network, **TYPES): lambda penalty: penalty.step(0.1),
        lambda network: InputWeightedPenalty(network, batches=[torch.eye(4)], **TYPES): lambda penalty: penalty(),
    }
    for build, use in uses.items():
        network = two_layers()
        penalty = build(network)
        network[1] = nn.Linear(4, 4)
        with pytest.raises(RuntimeError, match=r"penalty: '1' of its network is another module since it was built"):
            use(penalty)
        network = two_layers()
        penalty = build(network)
        network.append(nn.Linear(4, 4))
        with pytest.raises(RuntimeError, match="penalty: its network has more or fewer modules than when it was built"):
            use(penalty)
