"""`certified_defect_bound`: it holds, it is sharp where it can be, and it refuses what it does not cover."""

import pytest
import torch
from torch import Tensor, nn

from equiproj import certified_defect_bound, project_
from equiproj.groups import CyclicGroup, DihedralGroup
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


def test_one_linear_layer_is_sharp() -> None:
    """‖T − PT‖ ≤ E(T) ≤ 2 ‖T − PT‖ (equation 6.1), and the slope is E(T) = max_g ‖g⁻¹Tg − T‖ itself."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 8, bias=False).double()
    rho = 2 * regular(GROUP)
    bound = certified_defect_bound(layer, GROUP, layers={"": (rho, rho)})
    weight = layer.weight.detach()
    exact = max(torch.linalg.matrix_norm(weight @ rho(g) - rho(g) @ weight, 2).item() for g in GROUP.elements)
    (constants,) = bound.layers
    assert bound.slope == pytest.approx(exact)
    assert exact <= bound.slope
    assert constants.perpendicular <= exact <= 2 * constants.perpendicular
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
    """Two layers by hand: slope = ‖T₂‖ c E₁ + E₂ c ‖T₁‖ with the activation's constant c; sizes at 0 are measured."""
    torch.manual_seed(0)
    network = project_(nn.Sequential(nn.Linear(1, 4), nn.SiLU(), nn.Linear(4, 1)).double(), GROUP)
    with torch.no_grad():  # far from equivariant, the size of the answers would say more
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    bound = certified_defect_bound(network, GROUP)
    first, activation, second = bound.layers
    c = activation.lipschitz
    slope = second.lipschitz * c * first.commutator + second.commutator * c * first.lipschitz
    assert bound.slope == pytest.approx(slope)
    size = network[1](network[0].bias).norm().item()
    assert bound.offset == pytest.approx(second.lipschitz * c * first.bias_defect + second.commutator * size)


def test_no_two_answers_are_farther_apart_than_twice_their_size() -> None:
    """A chain of layers that break the symmetry: D would be 4 S by (7.2), and is capped."""
    turn = torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    layers = [nn.Linear(2, 2, bias=False).double() for _ in range(2)]
    for layer in layers:
        layer.weight = nn.Parameter(turn)
    rho = regular(CyclicGroup(2))
    bound = certified_defect_bound(nn.Sequential(*layers), CyclicGroup(2), layers={"0": (rho, rho), "1": (rho, rho)})
    assert [layer.commutator for layer in bound.layers] == [pytest.approx(2), pytest.approx(2)]
    assert (bound.slope, bound.offset) == (pytest.approx(2), 0)


def test_the_bound_does_not_depend_on_the_image_size_without_biases(unbiased: nn.Module) -> None:
    small, large = (certified_defect_bound(unbiased, GROUP, image_shape=(n, n)) for n in (5, 64))
    assert (small.slope, small.offset) == (large.slope, 0.0)


EXAMPLES = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.Tanh(),
    nn.ELU(),
    nn.ELU(3.0),
    nn.ELU(-5.0),
    nn.SELU(),
    nn.CELU(0.3),
    nn.LeakyReLU(0.2),
    nn.LeakyReLU(-2.0),
    nn.GELU(),
    nn.SiLU(),
]


@pytest.mark.parametrize("activation", EXAMPLES, ids=str)
def test_activation_constants_are_suprema_of_the_derivative(activation: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(1, 4), activation, nn.Linear(4, 1))
    constant = certified_defect_bound(network, GROUP).layers[1].lipschitz
    points = torch.linspace(-30, 30, 200_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation(points).sum(), points)
    assert slope.abs().max().item() <= constant
    assert slope.abs().max().item() == pytest.approx(constant, rel=1e-3)
    assert activation(torch.zeros(1)).item() == 0


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


class OwnForward(nn.Module):
    """What it does in training must not be taken for what it does in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, features: Tensor) -> Tensor:
        return 0.01 * self.layer(features) if self.training else self.layer(features)


def hooked() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, inputs, output: 45 * output)
    return nn.Sequential(layer)


def patched() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.forward = lambda features: 33 * nn.functional.linear(features, layer.weight, layer.bias)
    return nn.Sequential(layer)


@pytest.mark.parametrize("build", [OwnForward, hooked, patched])
def test_what_runs_is_what_is_certified(build: object) -> None:
    """Once each of these was certified for another function, 33 to 94 times too low."""
    torch.manual_seed(0)
    network = build().train()
    layer = next(part for part in network.modules() if isinstance(part, nn.Linear))
    name = next(name for name, part in network.named_modules() if part is layer)
    bound = certified_defect_bound(network, GROUP, layers={name: REGULAR})
    features = 10 * torch.randn(64, 4)
    with torch.no_grad():
        network.eval()
        found = network(features.roll(1, 1)) - network(features).roll(1, 1)
    limits = torch.tensor([bound.at(size) for size in features.norm(dim=1).tolist()])
    assert (found.norm(dim=1) <= limits).all()
    assert (found.norm(dim=1) > 0.2 * limits).any()  # it is not bought by being loose


def test_the_mode_of_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(1, 4), nn.Dropout(), nn.Linear(4, 1))
    network[1].eval()
    certified_defect_bound(network, GROUP)
    assert [part.training for part in network] == [True, False, True]


def test_other_precisions_of_cudnn_hinder_nobody() -> None:
    """Whoever sets them in torch's new way, as `ctmar` does, met an error of torch's tracer."""
    parts = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [part.fp32_precision for part in parts]
    try:
        for part in parts:
            part.fp32_precision = "ieee"
        network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
        assert certified_defect_bound(network, GROUP).slope > 0
        assert [part.fp32_precision for part in parts] == ["ieee", "ieee"]
    finally:
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision


def test_an_activation_in_place_changes_what_is_read_later() -> None:
    """H + relu_(h) is 2 relu(h): the slope is that of the function that runs."""

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4, bias=False)

        def forward(self, features: Tensor) -> Tensor:
            hidden = self.layer(features)
            return hidden + torch.relu_(hidden)

    network = Reading().double()
    bound = certified_defect_bound(network, GROUP, layers={"layer": REGULAR})
    (layer, _) = bound.layers
    assert bound.slope == pytest.approx(2 * layer.commutator)


def test_normalisation_is_joined_to_the_layer_before_it() -> None:
    """By hand: s (W x + b − m) + t is a layer with rows s W, and is certified as that."""
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double().eval()
    network[1].running_mean.normal_()
    network[1].running_var.uniform_(0.5, 2.0)
    alone = nn.Linear(4, 4).double()
    with torch.no_grad():
        network[1].weight.normal_()
        scale = network[1].weight / (network[1].running_var + network[1].eps).sqrt()
        alone.weight.copy_(scale[:, None] * network[0].weight)
        alone.bias.copy_(scale * (network[0].bias - network[1].running_mean) + network[1].bias)
    joined = certified_defect_bound(network, GROUP, layers={"0": REGULAR})
    expected = certified_defect_bound(alone, GROUP, layers={"": REGULAR})
    assert (joined.slope, joined.offset) == (pytest.approx(expected.slope), pytest.approx(expected.offset))


def test_a_projected_network_in_single_precision_is_certified_for_its_rounding(network: nn.Module) -> None:
    project_(network, GROUP)
    bound = certified_defect_bound(network, GROUP, image_shape=(8, 8))
    images = torch.randn(16, 1, 8, 8)
    defects = absolute_defect(network, images)
    sizes = images.flatten(1).norm(dim=1).tolist()
    assert defects.max() > 0
    assert all(defect <= bound.at(size) for defect, size in zip(defects.tolist(), sizes, strict=True))
    assert bound.at(1.0) < 1e-2


@pytest.mark.parametrize(
    ("part", "norm"),
    [
        (nn.AvgPool2d(2), 0.5),
        (nn.AdaptiveAvgPool2d(1), 1 / 8),
        (nn.MaxPool2d(2), 1.0),
        (nn.MaxPool2d(4, 2, 1), 2.0),
        (nn.Upsample(scale_factor=2), 2.0),
        (nn.Upsample(scale_factor=3), 3.0),
        (nn.ZeroPad2d(2), 1.0),
    ],
)
def test_what_pixels_contribute(part: nn.Module, norm: float) -> None:
    """Closed forms: the largest singular value of a map of pixels, or the Lipschitz constant of a maximum."""
    layer = nn.Conv2d(1, 1, 1, bias=False).double()
    alone, followed = (
        certified_defect_bound(network, GROUP, image_shape=(8, 8), layers={"0": (trivial(GROUP), trivial(GROUP))})
        for network in (nn.Sequential(layer), nn.Sequential(layer, part))
    )
    slope, lipschitz = followed.slope, alone.layers[0].lipschitz
    assert slope <= 1e-12  # a 1 × 1 kernel commutes, and so does the part
    shifted = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False).double(), part)
    bound = certified_defect_bound(shifted, GROUP, image_shape=(8, 8), layers={"0": (trivial(GROUP), trivial(GROUP))})
    assert bound.slope == pytest.approx(norm * bound.layers[0].commutator)
    assert lipschitz > 0


class Cut(nn.Module):
    """Rows are cut and columns are not, before a mean that hides it."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images[:, :, 2:-2], 1)


CIRCULAR = nn.CircularPad2d(1)
ONE_PIXEL = nn.Conv2d(1, 1, 1)


REGULAR, IMAGE = (regular(GROUP), regular(GROUP)), {"image_shape": (8, 8)}


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Sequential(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1)), {}, r"'1' \(aten.sigmoid.default\): no rule"),
        (nn.Sequential(nn.Linear(1, 4), nn.LayerNorm(4)), {}, r"'1' \(aten.[a-z_]*layer_norm.default\): no rule"),
        (nn.Sequential(nn.Linear(1, 4), nn.CELU(-1.0), nn.Linear(4, 1)), {}, "function with bounded derivative"),
        (nn.Sequential(nn.Linear(1, 4), nn.Hardtanh(1.0, 2.0), nn.Linear(4, 1)), {}, "that maps 0 to 0"),
        (nn.Sequential(nn.Linear(1, 4), nn.GELU("tanh"), nn.Linear(4, 1)), {}, "no rule for the approximate form"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), {"layers": {"0": REGULAR}}, r"1.weight: no declared layer"),
        (
            Multiplying(),
            {"layers": {"layer": REGULAR}},
            "grows faster than its input has a bound near given",
        ),
        (Branching(), {"layers": {"layer": REGULAR}}, "that torch.export can trace, found Branching"),
        (
            Mixing(),
            {"layers": {"first": REGULAR, "second": (regular(GROUP), 4 * trivial(GROUP))}},
            "expected terms of one type and size",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)),
            {"layers": {"0": REGULAR, "1": (4 * trivial(GROUP), 4 * trivial(GROUP))}},
            r"'1' \(aten.linear.default\): expected input of type 4",
        ),
        (nn.Conv2d(1, 1, 3), {}, "expected image_shape= for convolutions"),
        (nn.Conv2d(1, 1, 3), {"image_shape": (8, 9)}, r"expected a square image, found image_shape \(8, 9\)"),
        (nn.Conv2d(1, 1, 3, stride=2, padding=1), IMAGE, "stride 2 samples an image of 8 pixels unevenly"),
        (nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=1), IMAGE, "expected no output_padding"),
        (nn.Conv2d(1, 1, 3, padding=(1, 0)), IMAGE, "one kernel size, stride and symmetric padding"),
        (nn.Conv2d(1, 1, 3, dilation=(1, 2)), IMAGE, "one kernel size, stride and symmetric padding"),
        (nn.Conv2d(1, 1, 2, padding="same"), IMAGE, "one kernel size, stride and symmetric padding"),
        (nn.Conv2d(1, 1, 3, padding=2, padding_mode="circular"), IMAGE, "circular padding to the input's size"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), IMAGE, "no rule for padding 'reflect'"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), IMAGE, "no rule"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.MaxPool2d(3, 2)), IMAGE, "windows that lie symmetrically"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.AvgPool2d(2, count_include_pad=False)), IMAGE, "divided by their size"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.MaxPool2d(2, dilation=2)), IMAGE, "without dilation"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(256, 1)), IMAGE, "channels alone in another shape"),
        (nn.Linear(1, 1), IMAGE, "none for linear layers"),
        # each of these was certified as if nothing had been cut or framed
        (nn.Sequential(ONE_PIXEL, Cut()), IMAGE, "expected as much cut from every axis"),
        (nn.Sequential(ONE_PIXEL, CIRCULAR), IMAGE, "without a circular frame as output"),
        (nn.Sequential(ONE_PIXEL, CIRCULAR, nn.AvgPool2d(2)), IMAGE, "a convolution behind circular padding"),
    ],
)
def test_what_no_rule_covers_is_refused_by_name(network: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        certified_defect_bound(network, GROUP, **options)


def test_activations_on_channels_that_are_not_permuted_are_refused() -> None:
    rotating = irreps(DihedralGroup(4))[-1]
    network = nn.Sequential(nn.Linear(rotating.dim, rotating.dim), nn.ReLU())
    with pytest.raises(ValueError, match=r"'1' \(aten.relu.default\): expected features that the group permutes"):
        certified_defect_bound(network, DihedralGroup(4), layers={"0": (rotating, rotating)})


def test_sampled_kernels_are_refused() -> None:
    # a projected network of C_8 errs by the sampling of its kernels: a bound near 0 would be false
    network = project_(nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)), "C8")
    with pytest.raises(ValueError, match=r"0.weight: expected a kernel whose pixels CyclicGroup\(8\) moves onto each"):
        certified_defect_bound(network, CyclicGroup(8), image_shape=(8, 8))
