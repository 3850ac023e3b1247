"""Exported networks compute what they computed, and report and penalty find them equivariant."""

import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty, equivariance_report, project_
from equiproj.bridges import export_e3nn, export_escnn
from equiproj.groups import O3, SO3, CyclicGroup
from equiproj.projections import Sampling, escnn_rings, project_linear

o3 = pytest.importorskip("e3nn.o3")


def escnn_network(escnn, space, kernel_size=3, **settings):
    torch.manual_seed(0)
    image = escnn.nn.FieldType(space, [space.trivial_repr])
    if space.fibergroup.order() > 0:
        hidden = escnn.nn.FieldType(space, 2 * [space.regular_repr])
        between = [escnn.nn.InnerBatchNorm(hidden), escnn.nn.ReLU(hidden)]
    else:
        hidden = escnn.nn.FieldType(space, [space.trivial_repr, space.irrep(1), space.irrep(2)])
        between = []
    settings = {"padding": kernel_size // 2, **settings}
    layers = [
        escnn.nn.R2Conv(image, hidden, kernel_size, **settings),
        *between,
        escnn.nn.R2Conv(hidden, hidden, kernel_size, **settings),
        escnn.nn.R2Conv(hidden, image, kernel_size, **settings),
    ]
    for layer in layers:
        if getattr(layer, "bias", None) is not None:
            torch.nn.init.normal_(layer.bias)
    return escnn.nn.SequentialModule(*layers), image


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("settings", [{}, {"padding_mode": "circular"}, {"stride": 2}, {"kernel_size": 5}], ids=str)
def test_escnn_networks_are_in_our_space(escnn, n, settings):
    network, image = escnn_network(escnn, escnn.gspaces.rot2dOnR2(n), **settings)
    pixels = torch.randn(2, 1, 17, 17)
    network.eval()
    expected = network(image(pixels)).tensor
    exported = export_escnn(network)
    torch.testing.assert_close(exported.module(pixels), expected, atol=1e-5, rtol=1e-5)
    assert set(exported.layers) == {"0", "3", "4"}
    report = equivariance_report(exported.module, layers=exported.layers, include_bias=True)
    assert len(report.rows) == 6
    assert report.total_ratio < 1e-6
    assert float(ProjectionPenalty(exported.module, layers=exported.layers)().detach()) < 1e-5


def test_networks_of_all_turns_are_in_the_space_of_their_rings(escnn):
    network, _ = escnn_network(escnn, escnn.gspaces.rot2dOnR2(-1))
    exported = export_escnn(network)
    assert 0.1 < equivariance_report(exported.module, layers=exported.layers).total_ratio < 0.2
    rings = Sampling(rings=escnn_rings)
    report = equivariance_report(exported.module, layers=exported.layers, sampling=rings, include_bias=True)
    assert report.total_ratio < 1e-6


def test_an_exported_network_leaves_the_space_and_comes_back(escnn):
    network, _ = escnn_network(escnn, escnn.gspaces.rot2dOnR2(4))
    exported = export_escnn(network)
    with torch.no_grad():
        exported.module[3].weight += 0.1 * torch.randn_like(exported.module[3].weight)
    assert equivariance_report(exported.module, layers=exported.layers).total_ratio > 0.01
    project_(exported.module, layers=exported.layers)
    assert equivariance_report(exported.module, layers=exported.layers).total_ratio < 1e-6


def test_one_layer_and_features_without_pixels(escnn):
    space = escnn.gspaces.no_base_space(escnn.group.cyclic_group(4))
    torch.manual_seed(0)
    field = escnn.nn.FieldType(space, [space.regular_repr, *space.irreps])
    exported = export_escnn(escnn.nn.Linear(field, field))
    assert isinstance(exported.module, nn.Linear)
    assert exported.layers[""][0].group == CyclicGroup(4)
    assert equivariance_report(exported.module, layers=exported.layers, include_bias=True).total_ratio < 1e-6


def test_what_escnn_cannot_export_is_refused(escnn):
    with pytest.raises(ValueError, match=r"expected an escnn network with export\(\), found Linear"):
        export_escnn(nn.Linear(2, 2))
    space = escnn.gspaces.flipRot2dOnR2(4, axis=0.3)
    layer = nn.Module()
    layer.in_type = layer.out_type = escnn.nn.FieldType(space, [space.trivial_repr])
    layer.expand_parameters = layer.export = lambda: None
    outer = nn.Module()
    outer.inner, outer.export = layer, layer.export
    with pytest.raises(ValueError, match="layer 'inner': expected mirror axes"):
        export_escnn(outer)


@pytest.mark.parametrize("biases", [False, True])
def test_linear_layers_of_e3nn_are_in_our_space(biases):
    torch.manual_seed(0)
    first = o3.Linear("4x0e + 2x1o + 1e", "3x0e + 0o + 2x1o + 2e", biases=biases)
    network = nn.Sequential(first, nn.Tanh(), o3.Linear("3x0e + 0o + 2x1o + 2e", "1o + 0e"))
    if biases:
        torch.nn.init.normal_(first.bias)
    exported = export_e3nn(network)
    features = torch.randn(5, first.irreps_in.dim)
    torch.testing.assert_close(exported.module(features), network(features))
    assert isinstance(network[0], o3.Linear)
    report = equivariance_report(exported.module, layers=exported.layers, include_bias=True)
    assert len(report.rows) == 2 + biases
    assert report.total_ratio < 1e-5  # e3nn's maps are in single precision
    assert equivariance_report(exported.module, layers=export_e3nn(network, SO3()).layers).total_ratio < 1e-5


def test_the_maps_of_e3nn_are_all_of_ours():
    """Same dimension, and inside: the spaces are the same; without parities ours is larger."""
    irreps_in, irreps_out = o3.Irreps("2x0e + 0o + 2x1o + 1e"), o3.Irreps("0e + 3x1o + 1e")
    layer = o3.Linear(irreps_in, irreps_out)
    exported = export_e3nn(layer)
    dimensions = {}
    for group in (O3(), SO3()):
        (rho_in, rho_out) = export_e3nn(layer, group).layers[""]
        unit = torch.eye(rho_in.dim * rho_out.dim, dtype=torch.float64).unflatten(-1, (rho_out.dim, rho_in.dim))
        dimensions[group] = round(float(project_linear(unit, rho_in, rho_out).flatten(1).trace()))
    assert dimensions == {O3(): layer.weight_numel, SO3(): 3 + 12}
    assert layer.weight_numel == 2 + 2 * 3 + 1
    assert exported.module.weight.shape == (irreps_out.dim, irreps_in.dim)


def test_layers_without_own_weights_and_none_are_refused():
    with pytest.raises(ValueError, match=r"expected an e3nn\.o3\.Linear in Linear, found none"):
        export_e3nn(nn.Linear(2, 2))
    outer = nn.Sequential(o3.Linear("0e", "0e", internal_weights=False))
    with pytest.raises(ValueError, match=r"layer '0': expected an e3nn\.o3.Linear with weights of its own"):
        export_e3nn(outer)
    with pytest.raises(ValueError, match=r"layer '': expected an e3nn\.o3.Linear with weights of its own"):
        export_e3nn(o3.Linear("0e", "0e", f_in=2, f_out=2))
