"""`equivariance_report` and `project_`."""

import pytest
import torch
from torch import nn

from equiproj import equivariance_report, measured_defect, project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_bias, project_conv
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)


def test_rows_are_the_two_parts_of_every_weight(network: nn.Module, norm: str) -> None:
    report = equivariance_report(network, GROUP, norm=norm)
    assert [row.name for row in report.rows] == ["head.weight", *(f"body.{i}.weight" for i in range(3)), "tail.weight"]
    assert {row.norm for row in report.rows} == {norm}
    if norm == "frobenius":
        weight = network.body[1].weight
        projected = project_conv(weight, 2 * regular(GROUP), 2 * regular(GROUP))
        row = report.rows[2]
        assert row.norm_equivariant == pytest.approx(projected.norm().item(), rel=1e-5)
        assert row.norm_perpendicular == pytest.approx((weight - projected).norm().item(), rel=1e-5)
        assert row.ratio == pytest.approx(((weight - projected).norm() / weight.norm()).item(), rel=1e-5)


def test_pythagoras_holds_in_the_frobenius_norm_and_for_the_total(network: nn.Module) -> None:
    report = equivariance_report(network, GROUP)
    squares = [(row.norm_equivariant**2, row.norm_perpendicular**2) for row in report.rows]
    for row, (equivariant, perpendicular) in zip(report.rows, squares, strict=True):
        assert row.ratio == pytest.approx((perpendicular / (equivariant + perpendicular)) ** 0.5, rel=1e-5)
    total, rest = sum(map(sum, squares)), sum(perpendicular for _, perpendicular in squares)
    assert report.total_ratio == pytest.approx((rest / total) ** 0.5, rel=1e-6)


def test_a_random_weight_has_the_ratio_of_dimensions() -> None:
    """W uniform on directions: E‖PW‖² / ‖W‖² = dim(equivariant) / dim(all) = 1/4 between regular features of C_4."""
    torch.manual_seed(0)
    layer = nn.Linear(200, 200, bias=False)
    nn.init.normal_(layer.weight)
    ratio = equivariance_report(layer, GROUP, input_type="regular", output_type="regular").total_ratio
    assert ratio == pytest.approx((3 / 4) ** 0.5, rel=0.01)


def test_the_table_prints_a_line_per_layer(network: nn.Module) -> None:
    lines = str(equivariance_report(network, GROUP, norm="mixed:2,1")).splitlines()
    assert len(lines) == 1 + 5 + 1 + 1
    assert all(line.rstrip().endswith("mixed:2,1") for line in lines[1:-2])


def test_a_network_of_zeros_has_ratio_zero() -> None:
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    report = equivariance_report(layer, GROUP)
    assert (report.total_ratio, report.rows[0].ratio) == (0.0, 0.0)


@pytest.mark.parametrize("group", [CyclicGroup(4), CyclicGroup(2), DihedralGroup(4), DihedralGroup(2)], ids=str)
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (6, 9)])
def test_a_projected_network_commutes_with_the_group(
    network: nn.Module, group: CyclicGroup | DihedralGroup, size: tuple[int, int]
) -> None:
    images = torch.randn(2, 1, *size)
    assert measured_defect(network, images, group).maximum > 1e-2
    assert project_(network, group) is network
    assert measured_defect(network, images, group).maximum < 1e-5
    assert equivariance_report(network, group, include_bias=True).total_ratio < 1e-6


def test_projection_changes_what_it_must_and_nothing_else(network: nn.Module) -> None:
    weight, bias = network.body[0].weight.detach().clone(), network.body[0].bias.detach().clone()
    parameters = {name: id(parameter) for name, parameter in network.named_parameters()}
    rho = 2 * regular(GROUP)
    project_(network, layers={"body.0": (rho, rho)})
    torch.testing.assert_close(network.body[0].weight.detach(), project_conv(weight, rho, rho))
    torch.testing.assert_close(network.body[0].bias.detach(), project_bias(bias, rho))
    assert {name: id(parameter) for name, parameter in network.named_parameters()} == parameters
    assert network.body[0].weight.requires_grad


def test_projecting_twice_is_projecting_once(network: nn.Module) -> None:
    project_(network, GROUP)
    once = network.body[0].weight.detach().clone()
    project_(network, GROUP)
    torch.testing.assert_close(network.body[0].weight.detach(), once, rtol=0, atol=1e-7)


def test_a_weight_normed_layer_is_set_through_its_parametrisation() -> None:
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    types = {"input_type": "regular", "output_type": "regular"}
    project_(layer, GROUP, **types)
    assert equivariance_report(layer, GROUP, **types).total_ratio < 1e-6


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


class Ones(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + torch.arange(float(weight.numel())).reshape(weight.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return weight


@pytest.mark.parametrize(
    ("parametrisation", "message"),
    [(Doubled(), r"0\.weight: its parametrisation has no right_inverse"), (Ones(), r"0\.weight: .* cannot represent")],
    ids=["no inverse", "wrong inverse"],
)
def test_a_parametrisation_that_cannot_hold_the_projection_is_refused(parametrisation: nn.Module, message: str) -> None:
    network = nn.Sequential(nn.Linear(4, 4))
    torch.nn.utils.parametrize.register_parametrization(network[0], "weight", parametrisation)
    with pytest.raises(ValueError, match=message):
        project_(network, GROUP)


def test_even_kernels_and_transposed_layers_are_projected_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 4), nn.ReLU(), nn.ConvTranspose2d(4, 1, 4))
    images = torch.randn(1, 1, 9, 9)
    project_(network, GROUP)
    assert measured_defect(network, images, GROUP).maximum < 1e-5


def test_grouped_layers_are_projected_where_the_group_keeps_the_blocks() -> None:
    torch.manual_seed(0)
    rho = 4 * regular(GROUP)
    layer = nn.Conv2d(16, 16, 3, padding=1, groups=2)
    images = torch.randn(1, 16, 7, 7)
    project_(layer, layers={"": (rho, rho)})
    assert measured_defect(layer, images, GROUP, rho, rho).maximum < 1e-5
    assert equivariance_report(layer, layers={"": (rho, rho)}).rows[0].norm_equivariant > 0.1


def test_trivial_channels_between_regular_ones() -> None:
    """A declared mixture of types, as ctmar's networks use them."""
    torch.manual_seed(0)
    rho = trivial(GROUP) + regular(GROUP)
    layer = nn.Conv2d(5, 5, 3, padding=1)
    project_(layer, layers={"": (rho, rho)})
    assert measured_defect(layer, torch.randn(1, 5, 6, 6), GROUP, rho, rho).maximum < 1e-5
