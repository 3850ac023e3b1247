"""`certified_defect_bound`: it holds, it is sharp where it can be, and it refuses what it does not cover."""

import pytest
import torch
from torch import Tensor, nn

from equiproj import certified_defect_bound, project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.regularisers.certificate import ACTIVATION_CONSTANTS
from equiproj.representations import irreps, regular, trivial

GROUP = CyclicGroup(4)


def absolute_defect(network: nn.Module, images: Tensor) -> Tensor:
    """Maximum over g of ‖f(gx) − g f(x)‖ for every image."""
    with torch.no_grad():
        answer = network(images)
        turned = [network(images.rot90(k, (-2, -1))) - answer.rot90(k, (-2, -1)) for k in (1, 2, 3)]
    return torch.stack([difference.flatten(1).norm(dim=1) for difference in turned]).amax(0)


def assert_bound_holds(network: nn.Module, image_shape: tuple[int, int]) -> None:
    bound = certified_defect_bound(network, GROUP, image_shape=image_shape)
    for scale in (0.0, 0.1, 1.0, 30.0):
        images = scale * torch.randn(8, 1, *image_shape)
        # The worst direction is rarely random: walk uphill from there.
        images = images + scale * torch.linspace(-1, 1, image_shape[0])[:, None]
        sizes = images.flatten(1).norm(dim=1)
        defects = absolute_defect(network, images)
        assert all(defect <= bound.at(size) for defect, size in zip(defects.tolist(), sizes.tolist(), strict=True))
        assert defects.max() > 0 or scale == 0


@pytest.mark.parametrize("size", [6, 9])
@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2)),
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.GELU(), nn.Conv2d(4, 1, 2)),
        lambda: (
            nn.Sequential(nn.Conv2d(1, 8, 3, padding="same"), nn.ELU(2.0), nn.Conv2d(8, 8, 3, dilation=2, groups=2))
            .append(nn.SiLU())
            .append(nn.Conv2d(8, 1, 1))
        ),
    ],
    ids=["zeros", "circular, even", "same, dilated, grouped"],
)
def test_the_bound_holds(build: object, size: int) -> None:
    torch.manual_seed(0)
    assert_bound_holds(build().double().float(), (size, size))


def test_the_bound_holds_for_a_residual_network(network: nn.Module) -> None:
    assert_bound_holds(network, (6, 6))


def test_a_projected_network_has_bound_zero(network: nn.Module) -> None:
    bound = certified_defect_bound(project_(network.double(), GROUP), GROUP, image_shape=(8, 8))
    assert bound.at(10.0) < 1e-10
    assert all(layer.lipschitz > 0.1 for layer in bound.layers)


def test_one_linear_layer_is_sharp_up_to_the_two_of_the_triangle_inequality() -> None:
    """E(T) ≤ 2 ‖T − PT‖ and E(T) ≥ ‖T − PT‖ (equation 6.1): the slope is twice the latter, exactly."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 8, bias=False).double()
    rho = 2 * regular(GROUP)
    bound = certified_defect_bound(layer, GROUP, layers={"": (rho, rho)})
    weight = layer.weight.detach()
    exact = max(torch.linalg.matrix_norm(weight @ rho(g) - rho(g) @ weight, 2).item() for g in GROUP.elements)
    (constants,) = bound.layers
    assert bound.slope == pytest.approx(2 * constants.perpendicular)
    assert constants.perpendicular <= exact <= bound.slope
    assert constants.lipschitz == pytest.approx(torch.linalg.matrix_norm(weight, 2).item())
    assert bound.offset == 0


def test_a_bias_alone_gives_its_exact_offset() -> None:
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    layer.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    rho = regular(GROUP)
    bound = certified_defect_bound(layer, GROUP, layers={"": (rho, rho)})
    assert (bound.slope, bound.offset) == (0.0, pytest.approx(2**0.5))


def test_constants_multiply_along_a_chain() -> None:
    """Two layers by hand: slope = ‖T₂‖ c 2‖R₁‖ + 2‖R₂‖ c ‖T₁‖, with c the constant of the activation."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 4), nn.SiLU(), nn.Linear(4, 1)).double()
    bound = certified_defect_bound(network, GROUP)
    first, activation, second = bound.layers
    c = activation.lipschitz
    slope = second.lipschitz * c * 2 * first.perpendicular + 2 * second.perpendicular * c * first.lipschitz
    assert bound.slope == pytest.approx(slope)
    size = network[0].bias.norm().item()
    assert bound.offset == pytest.approx(second.lipschitz * c * first.bias_defect + 2 * second.perpendicular * c * size)


def test_the_bound_does_not_depend_on_the_image_size_without_biases(unbiased: nn.Module) -> None:
    small, large = (certified_defect_bound(unbiased, GROUP, image_shape=(n, n)) for n in (5, 64))
    assert (small.slope, small.offset) == (large.slope, 0.0)


@pytest.mark.parametrize("activation", [k for k in ACTIVATION_CONSTANTS if "Dropout" not in k.__name__])
def test_activation_constants_are_suprema_of_the_derivative(activation: type[nn.Module]) -> None:
    constant = ACTIVATION_CONSTANTS[activation]
    for layer in [activation(), *([nn.ELU(3.0)] if activation is nn.ELU else [])]:
        bound = constant(layer) if callable(constant) else constant
        points = torch.linspace(-30, 30, 200_001, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(layer(points).sum(), points)
        assert slope.abs().max().item() <= bound
        assert slope.abs().max().item() == pytest.approx(bound, rel=1e-3)
        assert layer(torch.zeros(1)).item() == 0


def test_every_constant_is_printed() -> None:
    network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    lines = str(certified_defect_bound(network, GROUP)).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["0", "1", "2"]
    assert lines[-1].startswith("‖f(gx) − g f(x)‖ ≤ ")


class Multiplying(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, features: Tensor) -> Tensor:
        return features * self.layer(features)


class Branching(Multiplying):
    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features) if features.sum() > 0 else features


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(self.first(features))


REGULAR, IMAGE = (regular(GROUP), regular(GROUP)), {"image_shape": (8, 8)}


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Sequential(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1)), {}, r"no rule for Sigmoid \('1'\)"),
        (nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4)), {}, r"no rule for BatchNorm1d \('1'\)"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), {"layers": {"0": REGULAR}}, r"no rule for Linear \('1'\)"),
        (Multiplying(), {"layers": {"layer": REGULAR}}, "no rule for call_function .*mul"),
        (Branching(), {"layers": {"layer": REGULAR}}, "that torch.fx can trace, found Branching"),
        (
            Mixing(),
            {"layers": {"first": REGULAR, "second": (regular(GROUP), 4 * trivial(GROUP))}},
            "expected terms of one type and size",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)),
            {"layers": {"0": REGULAR, "1": (4 * trivial(GROUP), 4 * trivial(GROUP))}},
            "layer '1': expected input of type 4",
        ),
        (nn.Conv2d(1, 1, 3), {}, "expected image_shape= for a convolution"),
        (nn.Conv2d(1, 1, 3), {"image_shape": (8, 9)}, r"expected a square image, found image_shape \(8, 9\)"),
        (nn.Conv2d(1, 1, 3, stride=2), IMAGE, "convolution of stride 1"),
        (nn.ConvTranspose2d(1, 1, 3), IMAGE, "convolution of stride 1"),
        (nn.Conv2d(1, 1, 3, padding=(1, 0)), IMAGE, "equal symmetric padding"),
        (nn.Conv2d(1, 1, 2, padding="same"), IMAGE, "equal symmetric padding"),
        (nn.Conv2d(1, 1, 3, padding=2, padding_mode="circular"), IMAGE, "equal symmetric padding"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), IMAGE, "equal symmetric padding"),
        (nn.Linear(1, 1), IMAGE, "no rule for a linear layer on images"),
    ],
)
def test_what_no_rule_covers_is_refused_by_name(network: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        certified_defect_bound(network, GROUP, **options)


def test_activations_on_channels_that_are_not_permuted_are_refused() -> None:
    rotating = irreps(DihedralGroup(4))[-1]
    network = nn.Sequential(nn.Linear(rotating.dim, rotating.dim), nn.ReLU())
    with pytest.raises(ValueError, match="activation '1': expected features that the group permutes"):
        certified_defect_bound(network, DihedralGroup(4), layers={"0": (rotating, rotating)})
