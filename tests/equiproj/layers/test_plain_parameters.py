import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from equiproj.groups import CyclicGroup
from equiproj.layers import plain_parameters
from equiproj.projections import project_bias, project_conv, project_linear
from equiproj.representations import regular, trivial

C2, C4 = CyclicGroup(2), CyclicGroup(4)


@pytest.mark.parametrize(
    ("layer", "rho_in", "rho_out", "expected"),
    [
        (nn.Linear(4, 8), regular(C4), 2 * regular(C4), project_linear),
        (nn.Conv1d(2, 4, 3), regular(C2), 2 * regular(C2), project_conv),
        (nn.Conv2d(1, 4, 3, stride=2), trivial(C4), regular(C4), project_conv),
        (nn.Conv3d(1, 4, 3), trivial(C4), regular(C4), project_conv),
    ],
)
def test_weights_are_projected_as_by_the_functions(layer, rho_in, rho_out, expected):
    weight, bias = plain_parameters(layer, {"": (rho_in, rho_out)})
    assert (weight.attribute, bias.attribute) == ("weight", "bias")
    assert torch.equal(weight.project(layer.weight), expected(layer.weight, rho_in, rho_out))
    assert torch.equal(bias.project(layer.bias), project_bias(layer.bias, rho_out))


def test_transposed_and_grouped_layers():
    transposed = nn.ConvTranspose2d(4, 1, 3, bias=False)
    (weight,) = plain_parameters(transposed, {"": (regular(C4), trivial(C4))})
    expected = project_conv(transposed.weight, regular(C4), trivial(C4), transposed=True)
    assert torch.equal(weight.project(transposed.weight), expected)
    grouped = nn.Conv2d(8, 8, 3, groups=2, bias=False)
    (weight,) = plain_parameters(grouped, {"": (2 * regular(C4), 2 * regular(C4))})
    assert torch.equal(
        weight.project(grouped.weight),
        project_conv(grouped.weight, 2 * regular(C4), 2 * regular(C4), groups=2),
    )


@pytest.mark.parametrize(
    ("layer", "types", "message"),
    [
        (
            nn.Conv2d(1, 6, 3),
            (trivial(C4), regular(C4)),
            r"layer '0' has 6 output channels; they do not fit regular of CyclicGroup\(4\)",
        ),
        (
            nn.Conv2d(1, 4, (3, 5)),
            (trivial(C4), regular(C4)),
            "layer '0': expected a kernel with 2 equal axes for CyclicGroup",
        ),
        (nn.Linear(4, 4), (regular(C4), 2 * regular(C2)), "layer '0': expected representations of one group"),
        (
            nn.Softmax(-1),
            (regular(C4), regular(C4)),
            "layer '0': expected a linear, convolution, .* layer, found Softmax",
        ),
        (weight_norm(nn.Linear(4, 4)), (regular(C4), regular(C4)), "0.weight: expected a layer with plain parameters"),
    ],
)
def test_layers_that_do_not_fit_are_named(layer, types, message):
    with pytest.raises(ValueError, match=message):
        plain_parameters(nn.Sequential(layer), {"0": types})


def test_unknown_names_and_empty_mappings():
    with pytest.raises(ValueError, match="expected the name of a layer of Linear, found 'conv'"):
        plain_parameters(nn.Linear(4, 4), {"conv": (regular(C4), regular(C4))})
    with pytest.raises(ValueError, match="at least one layer"):
        plain_parameters(nn.Linear(4, 4), {})
