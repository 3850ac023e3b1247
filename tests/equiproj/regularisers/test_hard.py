"""Weights drawn or set to be equivariant, in place."""

import torch
from torch import nn

from equiproj.groups import CyclicGroup
from equiproj.projections import project_bias, project_conv, project_linear
from equiproj.regularisers import project_initial_
from equiproj.representations import regular


def test_projected_initial_weights_keep_their_scale_and_pass_a_signal_on():
    group = CyclicGroup(4)
    rho = 2 * regular(group)
    torch.manual_seed(0)
    network = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())])
    drawn = [network[2 * i].weight.detach().clone() for i in range(6)]
    project_initial_(network, layers={str(2 * i): (rho, rho) for i in range(6)})
    for i, weight in enumerate(drawn):
        found = network[2 * i].weight
        torch.testing.assert_close(found.norm(), weight.norm())  # closed form
        torch.testing.assert_close(found, project_conv(found, rho, rho))  # a fixed point of the projection
        # the same direction as the plain projection
        plain = project_conv(weight, rho, rho)
        torch.testing.assert_close(found / found.norm(), plain / plain.norm())


def test_a_weight_drawn_as_zero_stays_zero():
    rho = regular(CyclicGroup(4))
    layer = nn.Conv2d(4, 4, 3)
    nn.init.zeros_(layer.weight)
    project_initial_(layer, layers={"": (rho, rho)})
    assert not layer.weight.any()


def test_declared_types_and_parametrised_layers_are_drawn_alike():
    """The same declaration as `project_`; a weight behind a parametrisation is set through it."""
    group = CyclicGroup(4)
    rho, layer = regular(group), torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    drawn, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    project_initial_(layer, group, input_type="regular", output_type="regular")
    projected = project_linear(drawn, rho, rho)
    torch.testing.assert_close(layer.weight, projected * drawn.norm() / projected.norm())
    torch.testing.assert_close(layer.bias, project_bias(bias, rho))
