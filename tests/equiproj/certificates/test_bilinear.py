"""Products of features: bounds near given inputs that hold, by hand and against what is found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, normalize, unfold

from equiproj.certificates import local_defect_bound
from equiproj.groups import CyclicGroup
from equiproj.representations import Representation, regular, tensor_product, trivial
from equiproj.representations.action import act

GROUP = CyclicGroup(4)
ROWS = tensor_product(2 * trivial(GROUP), regular(GROUP))


class Gated(nn.Module):
    """x ⊙ W x."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return features * self.layer(features)


class Directions(nn.Module):
    """Two rows of W x + b, divided by their length."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, features: Tensor) -> Tensor:
        rows = self.layer(features).unflatten(1, (2, 4))
        return (rows / (torch.linalg.vector_norm(rows, dim=2, keepdim=True) + 1e-3)).flatten(1)


class OwnFilters(nn.Module):
    """Maps M = W * x, weights ⟨M, D ⋆ x⟩ of atoms D, and maps and images filtered by what they sum to."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(1, 4, 3, padding=1)
        self.atoms = nn.Conv2d(4, 1, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        maps, atoms, n_images = self.maps(images), self.atoms.weight[0], len(images)
        windows = unfold(images, 3, padding=1)
        weights = torch.bmm(maps.flatten(2), windows.transpose(1, 2)) @ atoms.flatten(1).flip(1).T
        filters = torch.einsum("bne,exy->bnxy", weights, atoms)
        together = maps.reshape(1, -1, *maps.shape[2:])
        answer = conv2d(together, filters, padding=1, groups=n_images).transpose(0, 1)
        again = conv_transpose2d(answer.transpose(0, 1), filters, padding=1, groups=n_images)
        return 1 - again.reshape(maps.shape)


GATED = {"layer": (regular(GROUP), regular(GROUP))}
TURNED = {"layer": (ROWS, ROWS)}
FILTERED = {"maps": (trivial(GROUP), regular(GROUP)), "atoms": (regular(GROUP), trivial(GROUP))}


@pytest.mark.parametrize(
    ("build", "shape", "types"), [(Gated, (4,), GATED), (Directions, (8,), TURNED), (OwnFilters, (1, 5, 5), FILTERED)]
)
def test_the_bound_holds_and_is_what_is_measured_at_its_centre(
    build: type[nn.Module], shape: tuple[int, ...], types: dict[str, tuple[Representation, Representation]]
) -> None:
    torch.manual_seed(0)
    network, centre = build().double(), torch.randn(1, *shape, dtype=torch.float64)
    rho_in, rho_out = next(iter(types.values()))

    def defect(inputs: Tensor) -> Tensor:
        moved = [network(act(inputs, g, GROUP, rho_in)) - act(network(inputs), g, GROUP, rho_out) for g in (1, 2, 3)]
        return torch.stack([one.flatten(1).norm(dim=1) for one in moved]).amax(0)

    directions = normalize(torch.randn(256, centre.numel(), dtype=torch.float64)).reshape(256, *shape)
    for radius in (0.0, 0.3):
        bound = local_defect_bound(network, GROUP, centre, radius, layers=types)
        with torch.no_grad():
            found = defect(centre + radius * directions).max().item()
        assert found <= bound.value * (1 + 1e-12)
        assert radius > 0 or found == pytest.approx(bound.value)


def test_a_gate_on_a_ball_about_zero_by_hand() -> None:
    """‖gx ⊙ Wgx − g(x ⊙ Wx)‖ ≤ R² min(E, 2 ‖W‖) for ‖x‖ ≤ R."""
    torch.manual_seed(0)
    gate = Gated().double()
    bound = local_defect_bound(gate, GROUP, torch.zeros(1, 4), 3.0, layers=GATED)
    (layer,) = bound.layers
    assert bound.value == pytest.approx(9 * min(layer.commutator, 2 * layer.lipschitz))


def test_a_row_that_stays_long_turns_as_far_as_it_is_moved_by_its_length() -> None:
    """Rows of length 5 moved by at most 1: each by 1 / (4 + ε), and never both by more than 1 in all."""
    rows = Directions().double()
    with torch.no_grad():
        rows.layer.weight.copy_(torch.eye(8))
        rows.layer.bias.zero_()
    centre = torch.tensor([[3.0, 0.0, 4.0, 0.0, 0.0, 3.0, 0.0, 4.0]])
    bound = local_defect_bound(rows, GROUP, centre, 1.0, layers=TURNED)
    assert bound.value < 1e-12  # it commutes
    assert bound.layers[-1].lipschitz == pytest.approx(1 / (4 + 1e-3))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: self.layer(x) / (self.layer(x).abs() + 1.0), "expected a quotient by a number, or of rows"),
        (lambda self, x: self.layer(x)[:, :2] * x[:, :2], "cut a summand"),
        (lambda self, x: x @ self.layer(x).T, "no rule|matrices|expected"),
    ],
)
def test_other_products_are_refused(forward: Callable[..., Tensor], message: str) -> None:
    network = type("Other", (Gated,), {"forward": forward})()
    with pytest.raises(ValueError, match=message):
        local_defect_bound(network, GROUP, torch.ones(1, 4), 1.0, layers=GATED)
