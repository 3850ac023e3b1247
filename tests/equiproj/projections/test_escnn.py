"""Kernels that escnn builds as equivariant are fixed points of our projection, channel by channel.

Cyclic groups only: escnn 1.0.11 cannot build dihedral kernels beside a current scikit-learn.
"""

import pytest
import torch

from equiproj.groups import CyclicGroup
from equiproj.projections import project_bias, project_conv
from equiproj.representations import regular, trivial


def escnn_layer(escnn, n_turns, n_in, n_out, kernel_size):
    space = escnn.gspaces.rot2dOnR2(n_turns)
    field = lambda n: escnn.nn.FieldType(space, n * [space.regular_repr] if n else [space.trivial_repr])  # noqa: E731
    torch.manual_seed(0)
    layer = escnn.nn.R2Conv(field(n_in), field(n_out), kernel_size, bias=True)
    torch.nn.init.normal_(layer.bias)
    kernel, bias = layer.expand_parameters()
    return kernel.detach(), bias.detach()


@pytest.mark.parametrize("n_turns", [2, 4])
@pytest.mark.parametrize(("n_in", "n_out"), [(0, 2), (1, 2), (2, 0)])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_escnn_kernels_are_fixed(escnn, n_turns, n_in, n_out, kernel_size):
    group = CyclicGroup(n_turns)
    kernel, bias = escnn_layer(escnn, n_turns, n_in, n_out, kernel_size)
    rho_in, rho_out = (n * regular(group) if n else trivial(group) for n in (n_in, n_out))
    projected = project_conv(kernel, rho_in, rho_out)
    torch.testing.assert_close(projected, kernel, atol=1e-5 * float(kernel.abs().max()), rtol=0)
    torch.testing.assert_close(project_bias(bias, rho_out), bias)
    # the same kernel with a channel moved is not equivariant: the order of channels is what is compared
    wrong = kernel.roll(1, dims=0) if n_out else kernel.roll(1, dims=1)
    wrong = wrong if kernel_size > 1 else torch.randn_like(kernel)
    assert not torch.allclose(project_conv(wrong, rho_in, rho_out), wrong)
