"""Widths that are no multiple of a type: mixed or left out by declaration, or refused with both ways named."""

import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty, check, equivariance_report, measured_defect, project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.layers import inferred_types, typed_parameters
from equiproj.layers.declaration import MisfitError, filling, mixed_types
from equiproj.projections import Sampling
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
RHO, ONE = regular(GROUP), trivial(GROUP)


def uneven(width: int = 8) -> nn.Sequential:
    """Hidden widths 10, which is no multiple of 4, and another."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU()),
        *(nn.Conv2d(10, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
        nn.Conv2d(width, 1, 3, padding=1),
    )


@pytest.mark.parametrize(
    ("declared", "n_channels", "expected"),
    [
        ("2*trivial + rest*regular", 10, 2 * ONE + 2 * RHO),
        ("rest*regular + rest*trivial", 11, 2 * RHO + 3 * ONE),
        ("rest*regular + rest*trivial", 3, 3 * ONE),
        ("rest*regular + rest*trivial", 8, 2 * RHO),
        ("trivial + regular", 5, ONE + RHO),
        ("regular", 8, 2 * RHO),
        ("2 * trivial+rest * regular", 2, 2 * ONE),
        (ONE + RHO, 10, ONE + RHO + ONE + RHO),
    ],
)
def test_mixtures_fill_channels_in_their_order(declared, n_channels, expected) -> None:
    assert filling(n_channels, declared, GROUP) == expected


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("2*trivial + rest*regular", r"they do not fit '2\*trivial \+ rest\*regular' of CyclicGroup\(4\): 1 too many"),
        ("12*trivial + rest*regular", "1 too few"),
        ("regular", r"they do not fit regular of CyclicGroup\(4\), expected a multiple of 4"),
    ],
)
def test_mixtures_that_do_not_fill_are_refused(declared, message) -> None:
    with pytest.raises(MisfitError, match=message):
        filling(11, declared, GROUP)


@pytest.mark.parametrize("text", ["2*scalar", "regular +", "-1*trivial", "rest", "1.5*regular"])
def test_other_words_are_no_types(text) -> None:
    with pytest.raises(ValueError, match=r"expected type 'trivial', 'regular', a mixture such as"):
        mixed_types(text)


@pytest.mark.parametrize(
    ("hidden_type", "group"),
    [
        ("2*trivial + rest*regular", GROUP),
        ("rest*regular + rest*trivial", GROUP),
        ("rest*regular + rest*trivial", DihedralGroup(4)),
    ],
    ids=str,
)
def test_a_network_of_any_width_is_projected_and_commutes(hidden_type, group) -> None:
    network = uneven(6)
    images = torch.randn(3, 1, 8, 8)
    before = measured_defect(network.eval(), images, group).maximum
    project_(network, group, hidden_type=hidden_type)
    assert measured_defect(network, images, group).maximum < 1e-5 < 0.1 * before
    assert check(uneven(6), images, group, hidden_type=hidden_type).is_equivariant


def test_the_refusal_names_both_ways_out_and_they_work() -> None:
    with pytest.raises(MisfitError) as caught:
        typed_parameters(uneven(), GROUP)
    assert str(caught.value) == (
        "layer '0' has 10 output channels; they do not fit regular of CyclicGroup(4), expected a multiple of 4; mix "
        "types, as hidden_type='rest*regular + rest*trivial' does, or leave out the layers that meet such channels: "
        "skip=['0.*', '1.*', '3.*']"
    )
    skip = ["0.*", "1.*", "3.*"]
    assert [entry.name for entry in typed_parameters(uneven(), GROUP, skip=skip)] == ["5.weight", "7.weight"]
    penalty = ProjectionPenalty(uneven(), GROUP, skip=skip)
    assert penalty.coverage.skipped == ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")
    assert "skipped: 0.weight, 0.bias, 1.weight, 1.bias, 3.weight, 3.bias" in str(penalty.coverage)
    assert float(penalty().detach()) > 0
    # half of the way out: a layer that still meets such channels is refused, with what is missing
    with pytest.raises(MisfitError, match=r"skip=\['3.\*'\]"):
        typed_parameters(uneven(), GROUP, skip=["0.*", "1.*"])


class Loose(nn.Module):
    """Parameters of a misfitting width outside of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 1)
        self.shift, self.weight = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.randn(6, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = (self.first(x) + self.shift + torch.full((6,), 0.5)).relu()
        return self.last(nn.functional.linear(hidden, self.weight))


def test_loose_parameters_and_constants_of_such_widths() -> None:
    x = torch.randn(2, 3)
    layers = ["first.*", "last.*"]
    with pytest.raises(MisfitError, match=r"(shift|weight): .*name it in skip="):
        typed_parameters(Loose(), GROUP, skip=layers, example=x)
    types = inferred_types(Loose(), GROUP, hidden_type="rest*regular + rest*trivial", example=x)
    assert types["first"] == (3 * ONE, RHO + 2 * ONE)
    assert len(typed_parameters(Loose(), GROUP, hidden_type="2*trivial + rest*regular", example=x)) == 3


def test_mixtures_at_both_ends() -> None:
    types = inferred_types(
        nn.Linear(6, 5), GROUP, input_type="2*trivial + rest*regular", output_type="trivial + regular"
    )
    assert types == {"": (2 * ONE + RHO, ONE + RHO)}
    found = measured_defect(nn.ReLU(), torch.randn(4, 6), GROUP, "2*trivial + rest*regular", "2*trivial + rest*regular")
    assert found.maximum == 0.0


def test_a_networks_kernels_are_sampled_as_declared() -> None:
    network, group = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1)), CyclicGroup(8)
    wide = Sampling(ring_width=0.9)
    default, declared = (typed_parameters(network, group, sampling=each) for each in (None, wide))
    assert [entry.projector.is_sampled for entry in declared] == [True, False]
    assert (default[0].projector.route, declared[0].projector.route, declared[1].projector.route) == (None, wide, None)
    project_(network, group, sampling=wide)
    assert equivariance_report(network, group, sampling=wide).total_ratio < 1e-6
    assert equivariance_report(network, group).total_ratio > 1e-2
    # exact kernels stay exact
    assert typed_parameters(network, GROUP, sampling=wide) == typed_parameters(network, GROUP)
