"""`local_defect_bound`: it is what is measured at the inputs, the global bound on a ball about 0, and holds between."""

import pytest
import torch
from torch import Tensor, nn

from equiproj.certificates import certified_defect_bound, local_defect_bound
from equiproj.groups import CyclicGroup
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
REGULAR = (regular(GROUP), regular(GROUP))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    first, last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1, padding_mode="circular")
    return nn.Sequential(first, nn.BatchNorm2d(8), nn.GELU(), nn.AvgPool2d(2), last).double().eval()


def measured(network: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        answer = network(images)
        turned = [network(images.rot90(k, (2, 3))) - answer.rot90(k, (2, 3)) for k in (1, 2, 3)]
    return max(difference.flatten(1).norm(dim=1).max().item() for difference in turned)


def test_without_a_radius_it_is_what_is_measured_at_the_worst_input(network: nn.Module) -> None:
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    assert local_defect_bound(network, GROUP, images, radius=0.0).value == pytest.approx(measured(network, images))


def test_about_zero_it_is_the_global_bound(network: nn.Module) -> None:
    everywhere = certified_defect_bound(network, GROUP, image_shape=(8, 8))
    ball = local_defect_bound(network, GROUP, torch.zeros(1, 1, 8, 8), radius=50.0)
    assert ball.value <= everywhere.at(50.0) * (1 + 1e-9)
    assert ball.value == pytest.approx(everywhere.at(50.0), rel=0.01)
    assert ball.radius == 50.0
    assert ball.layers == everywhere.layers


@pytest.mark.parametrize("radius", [0.01, 0.1, 5.0])
def test_one_layer_by_hand(radius: float) -> None:
    """The smallest of E (‖x‖ + r) + max ‖b − gb‖, max_g ‖(Wg − gW) x + b − gb‖ + 2 ‖W‖ r, and 2 (‖Wx + b‖ + ‖W‖ r)."""
    torch.manual_seed(0)
    layer, features = nn.Linear(4, 4).double(), torch.randn(1, 4, dtype=torch.float64)
    bound = local_defect_bound(layer, GROUP, features, radius, layers={"": REGULAR})
    weight, bias, rho = layer.weight.detach(), layer.bias.detach(), regular(GROUP)
    commutators = [weight @ rho(g) - rho(g) @ weight for g in GROUP.elements]
    biases = [bias - rho(g) @ bias for g in GROUP.elements]
    norm = torch.linalg.matrix_norm(weight, 2).item()
    everywhere = max(torch.linalg.matrix_norm(one, 2).item() for one in commutators) * (features.norm().item() + radius)
    everywhere += max(one.norm().item() for one in biases)
    here = max((one @ features[0] + b).norm().item() for one, b in zip(commutators, biases, strict=True))
    size = layer(features).norm().item() + norm * radius
    assert bound.value == pytest.approx(min(everywhere, here + 2 * norm * radius, 2 * size))
    claim = f"‖f(gx) − g f(x)‖ ≤ {bound.value:.4g} within {radius:.4g} of the given inputs"
    assert str(bound).splitlines()[-1] == claim


@pytest.mark.parametrize(
    ("inputs", "radius", "options", "message"),
    [
        (torch.zeros(1, 1, 8, 8), -1.0, {}, "expected a finite radius of at least 0, found -1.0"),
        (torch.zeros(1, 1, 8, 8), float("inf"), {}, "expected a finite radius"),
        (torch.zeros(1, 3, 8, 8), 1.0, {}, "0.weight takes 1 channels, found inputs with 3; give input_type="),
        (torch.zeros(1, 3, 8, 8), 1.0, {"input_type": "regular"}, "they do not fit regular"),
        (torch.zeros(1, 1, 8, 9), 1.0, {}, "expected a square image"),
    ],
)
def test_what_does_not_fit_is_refused(
    network: nn.Module, inputs: Tensor, radius: float, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        local_defect_bound(
            network,
            GROUP,
            inputs,
            radius,
            layers={"0": (trivial(GROUP), 2 * regular(GROUP)), "4": (2 * regular(GROUP), trivial(GROUP))},
            **options,
        )
