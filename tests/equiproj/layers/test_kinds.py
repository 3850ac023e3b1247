"""Every known kind of layer: after the projection it commutes with the group, and P is the mean over the group."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, equivariance_report, project_
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.layers import plain_parameters, typed_parameters
from equiproj.representations import Representation, grid, regular, standard, tensor_product, trivial

GROUP = DihedralGroup(3)
RHO = regular(GROUP)


class Conv1D(nn.Module):
    """As `transformers.pytorch_utils.Conv1D`, copied so that the test needs no transformers."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.randn(nf))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.reshape(-1, x.size(-1)), self.weight).reshape(*x.shape[:-1], self.nf)


Conv1D.__module__ = "transformers.pytorch_utils"


def tokens(rho: Representation) -> Tensor:
    return torch.randn(4, 3, rho.dim, dtype=torch.float64)


def attend(layer: nn.MultiheadAttention) -> Callable[[Tensor], Tensor]:
    return lambda x: layer(x, x, x)[0]


KINDS = {
    "linear": (nn.Linear(12, 6), 2 * RHO, RHO, lambda layer: layer),
    "Conv1D": (Conv1D(6, 12), 2 * RHO, RHO, lambda layer: layer),
    "attention": (nn.MultiheadAttention(12, 2, batch_first=True), 2 * RHO, 2 * RHO, attend),
    "attention with added keys": (nn.MultiheadAttention(12, 2, add_bias_kv=True), 2 * RHO, 2 * RHO, attend),
    "LSTM": (nn.LSTM(6, 12, num_layers=2), RHO, 2 * RHO, lambda layer: lambda x: layer(x)[0]),
    "both directions": (nn.LSTM(6, 6, 2, bidirectional=True), RHO, 2 * RHO, lambda layer: lambda x: layer(x)[0]),
    "projected LSTM": (nn.LSTM(6, 12, proj_size=6), RHO, RHO, lambda layer: lambda x: layer(x)[0]),
    "GRU": (nn.GRU(6, 12), RHO, 2 * RHO, lambda layer: lambda x: layer(x)[0]),
    "RNN": (nn.RNN(6, 6), RHO, RHO, lambda layer: lambda x: layer(x)[0]),
    "LSTM cell": (nn.LSTMCell(6, 12), RHO, 2 * RHO, lambda layer: lambda x: layer(x[0])[0]),
    "GRU cell": (nn.GRUCell(6, 12), RHO, 2 * RHO, lambda layer: lambda x: layer(x[0])),
    "layer norm": (nn.LayerNorm(12), 2 * RHO, 2 * RHO, lambda layer: layer),
    "RMS norm": (nn.RMSNorm(12), 2 * RHO, 2 * RHO, lambda layer: layer),
    "batch norm": (nn.BatchNorm1d(12), 2 * RHO, 2 * RHO, lambda layer: lambda x: layer(x[0])),
    "group norm": (nn.GroupNorm(2, 12), 2 * RHO, 2 * RHO, lambda layer: lambda x: layer(x[0])),
    "PReLU": (nn.PReLU(12), 2 * RHO, 2 * RHO, lambda layer: lambda x: layer(x[0])),
}


def drawn(layer: nn.Module) -> nn.Module:
    """Every tensor at random: a normalisation begins with factors that are equivariant already."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())):
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    return layer.double().eval()


def defect(function: Callable[[Tensor], Tensor], x: Tensor, rho_in: Representation, rho_out: Representation) -> float:
    """Written out with dense matrices on the last axis."""
    answer = function(x).detach()
    return max(
        float((function(x @ rho_in(g).T).detach() - answer @ rho_out(g).T).norm() / answer.norm())
        for g in GROUP.elements
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_projected_layer_commutes_with_the_group_and_none_of_it_is_left_out(kind: str) -> None:
    layer, rho_in, rho_out, as_function = KINDS[kind]
    function, x = as_function(drawn(layer)), tokens(rho_in)
    assert defect(function, x, rho_in, rho_out) > 1e-3
    types = {"layers": {"": (rho_in, rho_out)}, "include_bias": True}
    before = equivariance_report(layer, **types)
    assert before.coverage.share == 1
    assert not before.coverage.missing_vectors
    assert 0.01 < before.total_ratio < 1
    project_(layer, layers={"": (rho_in, rho_out)})
    assert defect(function, x, rho_in, rho_out) < 1e-12
    assert equivariance_report(layer, **types).total_ratio < 1e-7  # the root of a rounding
    assert all(tensor.abs().max() > 0.01 for tensor in layer.parameters())  # no trivial success


def mean_over_the_group(weight: Tensor, rho_rows: Representation, rho_columns: Representation) -> Tensor:
    return torch.stack([rho_rows(g).T @ weight @ rho_columns(g) for g in GROUP.elements]).mean(0)


@pytest.mark.parametrize(
    ("kind", "name", "rho_rows", "rho_columns"),
    [
        ("attention", "in_proj_weight", 6 * RHO, 2 * RHO),
        ("LSTM", "weight_ih_l0", 8 * RHO, RHO),
        ("both directions", "weight_ih_l1_reverse", 4 * RHO, 2 * RHO),
        ("GRU", "weight_hh_l0", 6 * RHO, 2 * RHO),
        ("projected LSTM", "weight_hr_l0", RHO, 2 * RHO),
        ("Conv1D", "weight", 2 * RHO, RHO),
    ],
)
def test_weights_are_the_mean_over_the_group(
    kind: str, name: str, rho_rows: Representation, rho_columns: Representation
) -> None:
    layer, rho_in, rho_out, _ = KINDS[kind]
    weight = drawn(layer).get_parameter(name).detach().clone()
    project_(layer, layers={"": (rho_in, rho_out)})
    torch.testing.assert_close(
        layer.get_parameter(name).detach(), mean_over_the_group(weight, rho_rows, rho_columns), rtol=0, atol=1e-12
    )


def test_keys_and_values_of_other_widths_are_declared_one_by_one() -> None:
    layer = drawn(nn.MultiheadAttention(12, 2, kdim=6, vdim=18))
    one = trivial(GROUP)
    project_(
        layer,
        parameters={
            "q_proj_weight": (2 * RHO, 2 * RHO),
            "k_proj_weight": (2 * RHO, RHO),
            "v_proj_weight": (2 * RHO, 3 * RHO),
            "in_proj_bias": (6 * RHO, one),
            "out_proj.weight": (2 * RHO, 2 * RHO),
            "out_proj.bias": (2 * RHO, one),
        },
    )
    query, key, value = (torch.randn(5, 2, n, dtype=torch.float64) for n in (12, 6, 18))
    g = GROUP.elements[4]
    turned = layer(query @ (2 * RHO)(g).T, key @ RHO(g).T, value @ (3 * RHO)(g).T)[0]
    torch.testing.assert_close(turned, layer(query, key, value)[0] @ (2 * RHO)(g).T, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"layer '': expected k_proj_weight to map .* found shape \(12, 6\); declare"):
        project_(layer, layers={"": (2 * RHO, 2 * RHO)})


def test_a_vocabulary_is_invariant() -> None:
    layer = drawn(nn.Embedding(5, 6))
    project_(layer, layers={"": (5 * trivial(GROUP), RHO)})
    torch.testing.assert_close(layer.weight.detach(), layer.weight.detach()[:, :1].expand(5, 6))


def test_a_bilinear_layer_takes_a_product_of_types() -> None:
    layer = drawn(nn.Bilinear(6, 12, 6))
    rho_in = tensor_product(RHO, 2 * RHO)
    project_(layer, layers={"": (rho_in, RHO)})
    first, second, g = tokens(RHO), tokens(2 * RHO), GROUP.elements[5]
    turned = layer(first @ RHO(g).T, second @ (2 * RHO)(g).T)
    torch.testing.assert_close(turned, layer(first, second) @ RHO(g).T, rtol=0, atol=1e-12)


def test_positions_on_a_grid_are_declared_as_a_matrix() -> None:
    """Positions (1, 16, 8) of tokens on a 4 × 4 grid with regular channels: invariant under both at once."""
    group = CyclicGroup(4)
    network = nn.Module()
    network.positions = nn.Parameter(torch.randn(1, 16, 8, dtype=torch.float64))
    pixels, channels = grid(group, (4, 4)), 2 * regular(group)
    project_(network, parameters={"positions": (pixels, channels)})
    found = network.positions.detach()[0]
    torch.testing.assert_close(pixels(1) @ found @ channels(1).T, found, rtol=0, atol=1e-12)
    image = found.reshape(4, 4, 8).permute(2, 0, 1)
    assert torch.allclose(image[1], image[0].rot90(1, (-2, -1)))  # the next channel of the field is the turned image


def test_a_kernel_held_by_any_module_is_declared_as_one() -> None:
    group = CyclicGroup(4)
    network = nn.Module()
    network.kernel = nn.Parameter(torch.randn(4, 1, 3, 3))
    project_(network, parameters={"kernel": (regular(group), trivial(group))})
    assert torch.allclose(network.kernel[1, 0], network.kernel[0, 0].rot90())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weigth": (RHO, RHO)}, "parameter 'weigth': expected the name of a parameter of Linear"),
        ({"inner.weight": (RHO, RHO)}, "parameter 'inner.weight': Linear has no attribute `inner`"),
        ({"weight": (RHO, 2 * RHO)}, r"parameter 'weight': expected 6 x 12 entries .* found shape \(6, 6\)"),
        ({"weight": (regular(CyclicGroup(6)), RHO)}, "parameter 'weight': expected representations of DihedralGroup"),
    ],
    ids=["name", "module", "size", "group"],
)
def test_a_wrong_declaration_of_a_parameter_is_refused_by_name(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        typed_parameters(nn.Linear(6, 6), GROUP, parameters=parameters)


def test_heads_that_the_group_mixes_are_refused() -> None:
    """Regular fields of six channels in heads of four: no dot product of a head is invariant."""
    with pytest.raises(ValueError, match="layer '': expected queries and keys whose 3 heads of 4 entries"):
        project_(nn.MultiheadAttention(12, 3), layers={"": (2 * RHO, 2 * RHO)})


def test_factors_are_means_over_what_the_group_mixes() -> None:
    """(x, y) of the plane mix under turns: one factor for both; the trivial channels keep theirs."""
    layer = nn.LayerNorm(4)
    rho = 2 * trivial(CyclicGroup(3)) + standard(CyclicGroup(3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 5.0]))
    project_(layer, layers={"": (rho, rho)})
    assert layer.weight.tolist() == pytest.approx([1.0, 2.0, 4.0, 4.0])


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "induced:1", "mixed:2,1"])
def test_a_transposed_layer_has_the_norms_of_a_linear_one(norm: str) -> None:
    """`Conv1D` stores the transpose: the norms of its matrix are those of the linear layer."""
    transposed, linear = drawn(KINDS["Conv1D"][0]), nn.Linear(12, 6).double()
    with torch.no_grad():
        linear.weight.copy_(transposed.weight.T)
    types = {"layers": {"": (2 * RHO, RHO)}, "norm": norm}
    found, expected = equivariance_report(transposed, **types), equivariance_report(linear, **types)
    assert found.rows[0] == pytest.approx(expected.rows[0])
    penalties = [ProjectionPenalty(layer, **types)() for layer in (transposed, linear)]
    (found_slope,) = torch.autograd.grad(penalties[0], transposed.weight)
    (expected_slope,) = torch.autograd.grad(penalties[1], linear.weight)
    torch.testing.assert_close(found_slope, expected_slope.T)


def test_a_large_vocabulary_is_projected_row_by_row_like_a_small_one() -> None:
    rho = 16 * RHO
    layer = nn.Embedding(50_000, rho.dim)
    first = layer.weight.detach()[:10].clone()
    project_(layer, layers={"": (50_000 * trivial(GROUP), rho)})
    expected = first.unflatten(-1, (16, 6)).mean(-1, keepdim=True).expand(10, 16, 6).flatten(1)
    torch.testing.assert_close(layer.weight.detach()[:10], expected)


def test_baselines_find_the_tensors_of_every_kind() -> None:
    found = plain_parameters(nn.Sequential(nn.GRU(6, 6)), {"0": (RHO, RHO)})
    assert [entry.name for entry in found] == ["0.weight_ih_l0", "0.weight_hh_l0", "0.bias_ih_l0", "0.bias_hh_l0"]


def test_the_real_conv1d_of_transformers() -> None:
    transformers = pytest.importorskip("transformers.pytorch_utils")
    assert isinstance(sys.modules["transformers"], ModuleType)
    layer = transformers.Conv1D(6, 12)
    project_(layer, layers={"": (2 * RHO, RHO)})
    assert equivariance_report(layer, layers={"": (2 * RHO, RHO)}).total_ratio < 1e-6
