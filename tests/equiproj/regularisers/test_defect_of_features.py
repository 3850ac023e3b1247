"""`measured_defect` on features, sequences, point clouds and volumes, on several outputs, and to how many digits."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equiproj import measured_defect, project_
from equiproj.groups import O2, O3, SO2, SO3, CubeGroup, CyclicGroup, SymmetricGroup
from equiproj.representations import regular, standard, trivial

C2, C4 = CyclicGroup(2), CyclicGroup(4)


class Function(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        return self.function(*inputs, **named)


@pytest.mark.parametrize(
    ("batch", "types"),
    [
        (torch.zeros(0, 1, 4, 4), (None, None)),
        (torch.zeros(2, 1, 4, 4), (None, None)),
        (torch.ones(2, 1, 4, 4), (None, None)),
        (torch.randn(2, 1, 1, 1), (None, None)),
        (torch.randn(1, 4, 4), ("trivial", "trivial")),  # an image without its batch is taken for a sequence
        (torch.randn(5, 4), ("trivial", "trivial")),
    ],
    ids=["empty", "zeros", "ones", "one pixel", "no batch", "features"],
)
def test_a_batch_that_nothing_moves_says_nothing(batch: Tensor, types: tuple[Any, Any]) -> None:
    """Any function of it would have the defect 0."""
    for function in (nn.Identity(), Function(lambda x: x.sin())):
        with pytest.raises(
            ValueError, match=r"expected a batch that CyclicGroup\(4\) changes, found one that it leaves"
        ):
            measured_defect(function, batch, C4, *types)


def test_of_a_constant_image_the_output_may_say_something() -> None:
    ramp = Function(lambda x: x + torch.arange(4.0))
    assert measured_defect(ramp, torch.ones(2, 1, 4, 4), C4).maximum > 0.1


def test_nothing_is_assumed_of_features() -> None:
    """Both types trivial would make any network on features equivariant: f(x) = f(x)."""
    layer, features = nn.Linear(8, 8), torch.randn(5, 8)
    for types, name in (({}, "the batch"), ({"rho_in": "regular"}, "the output")):
        with pytest.raises(ValueError, match=f"expected a type for {name}, features of shape .5, 8."):
            measured_defect(layer, features, C4, **types)
    assert measured_defect(layer, features, C4, "regular", "regular").maximum > 0.1
    project_(layer, C4, input_type="regular", output_type="regular")
    assert measured_defect(layer, features, C4, "regular", "regular").maximum < 1e-6
    assert measured_defect(layer, features, C4, 2 * regular(C4), "regular").maximum < 1e-6


@pytest.mark.parametrize("size", [1e-3, 1.6e-9, 1e-13])
def test_float64_is_measured_in_float64(size: float) -> None:
    """f(x) = ((1 + ε) x_0, x_1) at x = (1, 0): ‖f(gx) − g f(x)‖ / ‖f(x)‖ = ε / (1 + ε)."""
    layer = Function(lambda x: x * torch.tensor([1 + size, 1.0], dtype=torch.float64))
    found = measured_defect(layer, torch.tensor([[1.0, 0.0]], dtype=torch.float64), C2, "regular", "regular")
    assert found.maximum == pytest.approx(size / (1 + size), rel=1e-2 if size < 1e-10 else 1e-6)


def test_float32_differences_are_not_rounded_again() -> None:
    layer = Function(lambda x: x * torch.tensor([1 + 2**-20, 1.0]))
    found = measured_defect(layer, torch.tensor([[1.0, 0.0]]), C2, "regular", "regular")
    assert found.maximum == pytest.approx(2**-20 / (1 + 2**-20), rel=1e-12)


def test_volumes_turn_in_space() -> None:
    layer, volume = nn.Conv3d(1, 24, 3, padding=1), torch.randn(1, 1, 5, 5, 5)
    rho = regular(CubeGroup())
    assert measured_defect(layer, volume, CubeGroup(), rho_out=rho).maximum > 0.1
    project_(layer, CubeGroup(), output_type="regular")
    assert measured_defect(layer, volume, CubeGroup(), rho_out=rho).maximum < 1e-6


def test_a_volume_turned_by_hand() -> None:
    volume = torch.randn(1, 1, 4, 4, 4)
    found = measured_defect(Function(lambda x: x * torch.arange(4.0)), volume, C4, elements=[1])
    turned, answer = volume.rot90(1, (-2, -1)), volume * torch.arange(4.0)
    expected = (turned * torch.arange(4.0) - answer.rot90(1, (-2, -1))).norm() / answer.norm()
    assert found.maximum == pytest.approx(expected.item(), rel=1e-6)


def test_sequences_have_their_channels_last() -> None:
    layer, sequence = nn.GRU(8, 12, batch_first=True), torch.randn(2, 7, 8)
    network = Function(lambda x: layer(x)[0])
    network.layer = layer
    assert measured_defect(network, sequence, C4, "regular", "regular").maximum > 0.01
    project_(layer, C4, input_type="regular", output_type="regular")
    assert measured_defect(network, sequence, C4, "regular", "regular").maximum < 1e-6


def test_a_signal_on_a_line_moves_by_axes() -> None:
    """(n, c, length) looks like a sequence; a mapping says which axes move."""
    signal = torch.randn(2, 3, 6)
    mirror = {2: regular(C2) * 3}  # three pairs of neighbours change places
    assert measured_defect(nn.ReLU(), signal, C2, mirror, mirror).maximum == 0
    assert measured_defect(Function(lambda x: x.cumsum(2)), signal, C2, mirror, mirror).maximum > 0.1


@pytest.mark.parametrize("n_points", [4, 9], ids=["listed", "drawn"])
def test_points_that_are_permuted(n_points: int) -> None:
    """S_9 has 362,880 elements: its generators and some drawn ones are tried."""
    group, cloud = SymmetricGroup(n_points), torch.randn(2, n_points, 3)
    points = {1: standard(group)}
    sets = Function(lambda x: x.relu() + x.mean(1, keepdim=True))
    assert measured_defect(sets, cloud, group, points, points).maximum < 1e-6
    assert measured_defect(Function(lambda x: x.cumsum(1)), cloud, group, points, points).maximum > 0.1
    pooled = Function(lambda x: x.amax(1))
    assert measured_defect(pooled, cloud, group, points, "trivial").maximum == 0
    first = Function(lambda x: x[:, 0])
    assert measured_defect(first, cloud, group, points, "trivial").maximum > 0.1


def test_draws_are_repeatable() -> None:
    group = SymmetricGroup(9)
    arguments = (
        Function(lambda x: x.cumsum(1)),
        torch.randn(2, 9, 1),
        group,
        {1: standard(group)},
        {1: standard(group)},
    )
    assert measured_defect(*arguments, seed=1) == measured_defect(*arguments, seed=1)
    assert measured_defect(*arguments, seed=1).mean != measured_defect(*arguments, seed=2).mean


@pytest.mark.parametrize("angle", [0.1, 1.0, math.pi / 2])
def test_angles_of_the_plane_have_their_closed_form(angle: float) -> None:
    """F forgets y. At (1, 0): f(gx) = (cos a, 0) and g f(x) = (cos a, sin a)."""
    vectors, rho = torch.tensor([[1.0, 0.0]], dtype=torch.float64), standard(SO2())
    layer = Function(lambda x: x * torch.tensor([1.0, 0.0], dtype=torch.float64))
    found = measured_defect(layer, vectors, SO2(), rho, rho, elements=[angle])
    assert found.maximum == pytest.approx(abs(math.sin(angle)), rel=1e-12)


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=str)
def test_continuous_groups_are_drawn_from(group: SO2 | O2 | SO3) -> None:
    rho = standard(group)
    cloud = torch.randn(3, 10, rho.dim, dtype=torch.float64)
    scaled = Function(lambda x: x * x.norm(dim=-1, keepdim=True))
    assert measured_defect(scaled, cloud, group, rho, rho).maximum < 1e-14
    assert measured_defect(nn.ReLU(), cloud, group, rho, rho).mean > 0.1
    lengths = Function(lambda x: x.norm(dim=-1))
    assert measured_defect(lengths, cloud, group, rho, {}).maximum < 1e-14


def test_images_turn_by_those_angles_that_move_pixels_onto_pixels() -> None:
    image = torch.randn(1, 1, 5, 5)
    expected = measured_defect(Function(lambda x: x.cumsum(-1)), image, C4)
    quarters = [math.pi / 2, math.pi, 3 * math.pi / 2]
    found = measured_defect(Function(lambda x: x.cumsum(-1)), image, SO2(), elements=quarters)
    assert found == pytest.approx(expected)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    volume = torch.randn(1, 1, 4, 4, 4)
    found = measured_defect(Function(lambda x: x.cumsum(-1)), volume, SO3(), elements=[turn])
    assert found == pytest.approx(measured_defect(Function(lambda x: x.cumsum(-1)), volume, C4, elements=[1]))


class ModelOutput(OrderedDict):
    """As transformers has it: entries by name."""


@dataclass
class Plain:
    logits: Tensor
    hidden: Tensor


def answer(kind: type) -> Function:
    """Invariant logits, and hidden features that are regular up to a factor of 2 on one channel of four."""
    factors = torch.tensor([2.0, 1.0, 1.0, 1.0])

    def function(x: Tensor) -> Any:
        logits, hidden = x.sum(-1, keepdim=True), x * factors
        return (logits, hidden) if kind is tuple else kind(logits=logits, hidden=hidden)

    return Function(function)


@pytest.mark.parametrize("kind", [dict, ModelOutput, Plain, tuple])
def test_outputs_with_entries(kind: type) -> None:
    """At x = e_0: g f(x) has a 2 where f(gx) has a 1, so that the relative defect of `hidden` is 1/2."""
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    both = ("trivial", "regular") if kind is tuple else {"logits": "trivial", "hidden": "regular"}
    first = ("trivial", None) if kind is tuple else {"logits": "trivial"}
    assert measured_defect(answer(kind), x, C4, "regular", both).maximum == pytest.approx(0.5)
    assert measured_defect(answer(kind), x, C4, "regular", first).maximum < 1e-6
    with pytest.raises(ValueError, match="expected rho_out= to have a type for entries of"):
        measured_defect(answer(kind), x, C4, "regular")


def test_unknown_and_missing_entries_are_named() -> None:
    x = torch.randn(1, 4)
    with pytest.raises(ValueError, match=r"expected rho_out= to name entries of \['logits', 'hidden'\], found 'loss'"):
        measured_defect(answer(dict), x, C4, "regular", {"loss": "trivial"})
    with pytest.raises(ValueError, match="expected rho_out= to name at least one output"):
        measured_defect(answer(dict), x, C4, "regular", {"logits": None})
    with pytest.raises(ValueError, match="expected rho_in= to have a type, or None, for entry 'y' of the batch"):
        measured_defect(Function(lambda x, y: x), {"x": x, "y": x}, C4, {"x": "regular"}, "regular")
    with pytest.raises(ValueError, match=r"axis -1 of the batch has 6 entries; .*, expected a multiple of 4"):
        measured_defect(nn.ReLU(), torch.randn(1, 6), C4, "regular", "regular")
    with pytest.raises(ValueError, match=r"expected a type of CyclicGroup.4. for the batch, found regular"):
        measured_defect(nn.ReLU(), torch.randn(1, 4), C4, regular(C2), "trivial")


@pytest.mark.parametrize("kind", [dict, tuple])
def test_inputs_with_entries(kind: type) -> None:
    """Token numbers have no type; a mask of numbers is said to stay."""
    tokens, mask, x = torch.tensor([[1, 2]]), torch.rand(1, 2), torch.randn(1, 2, 4)
    network = Function(lambda x, mask, tokens: x.relu() * mask[..., None] + tokens[..., None])
    batch = {"x": x, "mask": mask, "tokens": tokens} if kind is dict else (x, mask, tokens)
    types = {"x": "regular", "mask": None} if kind is dict else ("regular", None)
    assert measured_defect(network, batch, C4, types, "regular").maximum == 0
    rho = 4 * trivial(C4)
    types = {"x": rho, "mask": None} if kind is dict else (rho, None)
    assert measured_defect(network, batch, C4, types, "regular").maximum > 0.1
