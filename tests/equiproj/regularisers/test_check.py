"""`check` names the first layer or function that breaks, and why."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equiproj import check, equivariance_report, measured_defect, project_
from equiproj.groups import CyclicGroup, DihedralGroup, FiniteGroup
from equiproj.representations import grid, regular, trivial

GROUP = CyclicGroup(4)
RHO, ONE = regular(GROUP), trivial(GROUP)


def images(n_pixels: int = 16) -> Tensor:
    return torch.randn(2, 1, n_pixels, n_pixels, generator=torch.Generator().manual_seed(0))


def between(*layers: nn.Module, n_channels: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *layers, nn.Conv2d(n_channels, 1, 1))


@pytest.mark.parametrize(
    "batch", [torch.zeros(0, 1, 8, 8), torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)], ids=["empty", "zeros", "ones"]
)
def test_a_batch_that_nothing_moves_says_nothing(batch: Tensor) -> None:
    """A stride that leaves a pixel over is not seen where all pixels are alike."""
    network = between(nn.Conv2d(8, 8, 3, stride=2))
    with pytest.raises(ValueError, match=r"expected a batch that CyclicGroup\(4\) changes, found one that it leaves"):
        check(network, batch, GROUP)
    assert check(network, images(8), GROUP).broken == "layer '1'"


def test_features_of_no_type_are_not_checked() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    with pytest.raises(ValueError, match=r"for features give input_type="):
        check(network, torch.randn(3, 4), GROUP)
    assert check(network, torch.randn(3, 4), GROUP, input_type="regular", output_type="regular").is_equivariant


@pytest.mark.parametrize("group", [CyclicGroup(2), DihedralGroup(1)], ids=str)
def test_signals_are_turned_round(group: FiniteGroup) -> None:
    """They have their channels before their pixels, unlike sequences."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 1, 3, stride=2, padding=1)).double()
    signals = torch.randn(3, 2, 9, dtype=torch.float64)
    assert check(network, signals, group).is_equivariant
    assert check(network, signals[..., :8], group).broken == "layer '2'"
    assert not check(nn.Sequential(network, Ramp()), signals, group).is_equivariant

    def defect() -> float:
        types = ({1: "trivial", 2: grid(group, (9,))}, {1: "trivial", 2: grid(group, (5,))})
        return measured_defect(network, signals, group, *types).maximum

    assert defect() > 0.1
    project_(network, group)
    assert defect() < 1e-14
    torch.testing.assert_close(network(signals.flip(2)), network(signals).flip(2))


class TwoOutputs(nn.Module):
    """What is asked for, and beside it something that only some functions keep equivariant."""

    def __init__(self, beside: Callable[[Tensor], Tensor], form: str) -> None:
        super().__init__()
        self.body, self.beside, self.form = between(nn.ReLU()), beside, form

    def forward(self, x: Tensor) -> Any:
        first = self.body(x)
        second = self.beside(first)
        return {"tuple": (first, second), "list": [first, second], "nested": {"y": first, "more": [second]}}[self.form]


@pytest.mark.parametrize("form", ["tuple", "list", "nested"])
def test_every_output_is_looked_at(form: str) -> None:
    """The second one cannot be followed: it is taken for invariant, as a loss is."""
    found = check(TwoOutputs(lambda y: y.roll(1, -1), form), images(), GROUP)
    assert "a further output, whose type is not known (no rule for 'roll')" in found.broken
    assert found.defect_there > 0.1
    for good in (lambda y: y.flatten(1).sort(1).values, lambda y: y + 1, lambda y: torch.zeros(3)):
        assert check(TwoOutputs(good, form), images(), GROUP).is_equivariant


class Casts(nn.Module):
    """As normalisations of language models do."""

    def __init__(self, cast: str) -> None:
        super().__init__()
        self.cast, self.kernel = cast, nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h, before = self.kernel(x), x.dtype
        if self.cast == "softmax":
            return functional.softmax(h, dim=1, dtype=torch.float32).to(before)
        if self.cast == "like":
            return (h.to(torch.ones(1, dtype=torch.float32)).sin() * 3).type_as(x)
        casts = {"float": Tensor.float, "half": Tensor.half, "to": lambda t: t.to(torch.float32)}
        h = casts.get(self.cast, lambda t: t.to(dtype=torch.bfloat16))(h)
        return (h * torch.rsqrt(h.pow(2).mean(1, keepdim=True) + 1e-6)).to(before)


@pytest.mark.parametrize("cast", ["float", "half", "to", "named", "softmax", "like"])
def test_a_network_that_rounds_inside_is_checked_in_float64(cast: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Casts(cast), nn.Conv2d(8, 1, 1))
    found = check(network, images(8), GROUP)
    assert found.is_equivariant
    assert found.defect < 1e-14
    assert torch.get_default_dtype() == torch.float32
    assert not check(nn.Sequential(network, Shift()), images(8), GROUP).is_equivariant


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (1, 0, 0, 0))[..., :-1]


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(-1)


class Ramp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(1) * torch.linspace(0, 1, x.shape[-1], dtype=x.dtype)


SIZE = "on 16 pixels leaves 1 over at one side"
BROKEN = {
    "stride": (nn.Conv2d(8, 8, 3, stride=2, padding=1), "layer '1'", f"stride 2 with kernel 3 and padding 1 {SIZE}"),
    "transposed": (
        nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1),
        "layer '1'",
        r"output_padding \(1, 1\) adds pixels at one side",
    ),
    "same": (
        nn.Conv2d(8, 8, 4, padding="same"),
        "layer '1'",
        "padding 'same' with kernel .4, 4. pads more at one side",
    ),
    "unequal": (nn.Conv2d(8, 8, 3, stride=(1, 3), padding=1), "layer '1'", "differ between axes"),
    "pooling": (nn.MaxPool2d(3, stride=2, padding=1), "'max_pool2d' in '1'", f"stride 2 with kernel 3 .* {SIZE}"),
    "mean pooling": (nn.AvgPool2d(3, stride=2), "'avg_pool2d' in '1'", f"stride 2 with kernel 3 .* {SIZE}"),
    "resizing": (nn.Upsample(size=(23, 23)), "'interpolate' in '1'", "which is no whole factor"),
    "padding": (nn.ZeroPad2d((1, 0, 1, 0)), "'pad' in '1'", r"pads \[1, 0, 1, 0\], more at one side"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_first_layer_that_breaks_is_named_with_its_reason(case: str) -> None:
    layer, where, reason = BROKEN[case]
    network = between(layer, nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    found = check(network, images(), GROUP)
    assert found.broken == where
    assert re.search(reason, found.reason), found.reason
    assert not found.is_equivariant
    assert found.defect > 1e-5
    assert found.defect_there > 1e-3
    assert f"first at {where}" in str(found)
    # the defect is that of a projected copy, measured on all turns
    projected = project_(copy.deepcopy(network).double(), GROUP, example=images().double())
    if found.defect != math.inf:
        measured = measured_defect(projected, images().double(), GROUP, elements=[1]).maximum
        assert found.defect == pytest.approx(measured, rel=1e-6)


WHOLE = {
    "stride": (nn.Conv2d(8, 8, 3, stride=2, padding=1), 17),
    "even kernel": (nn.Conv2d(8, 8, 4, stride=2, padding=1), 16),
    "transposed": (nn.ConvTranspose2d(8, 8, 2, stride=2), 16),
    "pooling": (nn.MaxPool2d(2), 16),
    "batch norm": (nn.BatchNorm2d(8), 16),
    "group norm": (nn.GroupNorm(2, 8), 16),
    "nearest": (nn.Upsample(scale_factor=2), 9),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), 9),
    "adaptive": (nn.AdaptiveAvgPool2d(3), 16),
}


@pytest.mark.parametrize("case", WHOLE)
@pytest.mark.parametrize("group", [GROUP, DihedralGroup(4)], ids=str)
def test_what_commutes_passes(case: str, group: CyclicGroup | DihedralGroup) -> None:
    layer, n_pixels = WHOLE[case]
    torch.manual_seed(0)
    for tensor in (*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())):
        nn.init.uniform_(tensor, 0.1, 1)
    found = check(between(layer, nn.ReLU()), images(n_pixels), group)
    assert found.is_equivariant, str(found)
    assert found.defect < 1e-13
    assert found.coverage.share == 1


def test_a_normalisation_that_is_left_free_is_named() -> None:
    """Report 0.0 with its convolutions declared, and a defect: factors of a field differ."""
    norm = nn.BatchNorm2d(8)
    nn.init.uniform_(norm.weight, 0.1, 2)
    network = between(norm, nn.ReLU())
    layers = {"0": (ONE, 2 * RHO), "3": (2 * RHO, ONE)}
    found = check(network, images(), GROUP, layers=layers)
    assert found.broken == "layer '1'"
    assert found.reason == "not projected: 1.weight, 1.bias"
    skipped = check(network, images(), GROUP, skip="1.*")
    assert (skipped.broken, skipped.reason) == ("layer '1'", "not projected: 1.weight, 1.bias")


def test_a_wrong_type_is_named_with_the_one_of_data_flow() -> None:
    network = between(nn.ReLU())
    found = check(network, images(), GROUP, layers={"0": (ONE, 8 * ONE), "2": (2 * RHO, ONE)})
    assert found.broken == "layer '0'"
    assert found.reason == (
        "declared trivial of CyclicGroup(4) to 8*trivial of CyclicGroup(4), "
        "data flow says trivial of CyclicGroup(4) to 2*regular of CyclicGroup(4)"
    )


def test_types_that_conflict_are_the_answer() -> None:
    network = between(Ramp())
    found = check(network, images(), GROUP)
    assert not found.is_equivariant
    assert found.broken == "'mul' in '1'"
    assert "a constant (16,) that CyclicGroup(4) changes meets features" in str(found)


class Overwriting(nn.Module):
    """Activations in place whose input is used again, and a batch that is written into."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(0.5)
        h = self.first(x)
        return self.last(functional.relu(h, inplace=True) + h.mul_(2))


def test_what_is_overwritten_is_compared_as_it_was() -> None:
    torch.manual_seed(0)
    network, batch = Overwriting(), images()
    before = batch.clone()
    assert check(network, batch, GROUP).is_equivariant
    assert torch.equal(batch, before)


def test_a_network_that_writes_into_its_batch_is_measured_on_the_batch() -> None:
    """f(x) = conv(x / 2), written in place: the second element would otherwise see half the batch."""
    torch.manual_seed(0)
    network, batch = Overwriting().double(), images().double()
    before = batch.clone()
    project_(network, GROUP, example=batch.clone())
    assert measured_defect(network, batch, GROUP).maximum < 1e-13
    assert torch.equal(batch, before)


def test_the_network_is_not_changed() -> None:
    network = between(nn.BatchNorm2d(8), nn.ReLU())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check(network, images(), GROUP)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert network[0].weight.dtype == torch.float32


def test_features_and_attention_are_checked_too() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
    types = {"input_type": "regular", "output_type": "regular"}
    assert check(layer, torch.randn(2, 5, 16), GROUP, **types).is_equivariant
    found = check(nn.Sequential(layer, Sums()), torch.randn(2, 5, 16), GROUP, **types)
    assert not found.is_equivariant
    assert (found.broken, found.reason) == ("'cumsum' in '1'", "no rule for 'cumsum' in '1'")
    assert found.defect > 0.1
    found = check(nn.Sequential(layer, Shift()), torch.randn(2, 5, 16), GROUP, **types)
    assert (found.is_equivariant, found.broken) == (False, "'getitem' in '1'")
    assert found.reason.startswith("channel 15 lies inside a field of 4*regular")


class Masked(nn.Module):
    """Infinite between its layers, where a mask is, and finite behind them."""

    def forward(self, features: Tensor) -> Tensor:
        return features.masked_fill(features.abs() < 0.5, -math.inf).exp()


class Logarithm(nn.Module):
    """NaN for half of what goes in."""

    def forward(self, features: Tensor) -> Tensor:
        return features.log()


class Infinite(nn.Module):
    """Not a number, or infinite, everywhere."""

    def forward(self, features: Tensor) -> Tensor:
        return (features - features + 1) / 0.0


def test_what_is_no_number_is_not_equivariant() -> None:
    """Neither checked nor measured nor reported: NaN is smaller than no tolerance."""
    batch = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def around(layer: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), layer, nn.Conv2d(4, 1, 1))

    broken = around(nn.ReLU())
    with torch.no_grad():
        broken[0].weight[0, 0, 0, 0] = math.nan
    for network, where in (
        (around(Logarithm()), "'log' in '1'"),
        (broken, "layer '0'"),
        (nn.Sequential(around(nn.ReLU()), Infinite()), "the output"),
    ):
        found = check(network, batch, "C4")
        assert (found.is_equivariant, found.broken) == (False, where)
        assert "holds NaN or infinity" in str(found)
        assert all(map(math.isnan, measured_defect(network, batch, "C4")))
    report = equivariance_report(broken, "C4")
    assert math.isnan(report.rows[0].ratio)
    assert math.isnan(report.total_ratio)
    assert check(around(Masked()), batch, "C4").is_equivariant
