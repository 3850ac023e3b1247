"""Which layers are found, how their types are inferred, and what is refused by name."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from equiproj import ProjectionPenalty, ProximalPenalty, equivariance_report
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.layers import typed_parameters
from equiproj.representations import regular, trivial

GROUP = CyclicGroup(4)
RHO, ONE = regular(GROUP), trivial(GROUP)


def test_first_middle_and_last_layer_get_their_types() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Sequential(nn.Conv2d(8, 12, 5), nn.ReLU())),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)),
    )
    found = [(p.name, p.projector.rho_in, p.projector.rho_out) for p in typed_parameters(network, GROUP)]
    assert found == [("0.weight", 3 * ONE, 2 * RHO), ("2.0.weight", 2 * RHO, 3 * RHO), ("5.weight", 3 * RHO, 5 * ONE)]


def test_a_declared_type_replaces_the_default() -> None:
    (parameter,) = typed_parameters(nn.Linear(8, 6), GROUP, input_type="regular", output_type=2 * ONE)
    assert (parameter.projector.rho_in, parameter.projector.rho_out) == (2 * RHO, 6 * ONE)


def test_layers_replaces_the_inference_and_leaves_the_rest_out() -> None:
    network = nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 4), nn.Linear(4, 4))
    (parameter,) = typed_parameters(network, layers={"2": (RHO, RHO)})
    assert parameter.name == "2.weight"
    assert parameter.layer is network[2]
    (itself,) = typed_parameters(network[2], layers={"": (RHO, RHO)})
    assert itself.name == "weight"


def test_a_layer_used_twice_counts_once() -> None:
    layer = nn.Linear(4, 4)
    assert len(typed_parameters(nn.Sequential(layer, nn.ReLU(), layer), GROUP)) == 1


def test_biases_follow_their_weights() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 1, 3, bias=False))
    names = [parameter.name for parameter in typed_parameters(network, GROUP, include_bias=True)]
    assert names == ["0.weight", "0.bias", "1.weight"]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 8, 1), (8, 4, 1)),
        (nn.Conv3d(4, 8, (1, 3, 3)), (8, 4, 1, 3, 3)),
        (nn.ConvTranspose2d(4, 8, 2), (4, 8, 2, 2)),
        (nn.Conv2d(8, 4, 3, groups=2), (4, 4, 3, 3)),
        (nn.ConvTranspose2d(8, 4, 3, groups=4, stride=2, dilation=2), (8, 1, 3, 3)),
    ],
    ids=["1d", "3d", "transposed", "grouped", "grouped transposed"],
)
def test_every_convolution_is_read_as_torch_stores_it(layer: nn.Module, shape: tuple[int, ...]) -> None:
    group = CyclicGroup(2) if isinstance(layer, nn.Conv1d) else GROUP
    (parameter,) = typed_parameters(layer, group, input_type="regular", output_type="regular")
    assert parameter.projector.weight_shape == shape
    assert parameter.projector(parameter.read()).shape == shape


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Linear(1, 6), nn.Linear(6, 1)), r"'0' has 6 output channels.*regular.*multiple of 4"),
        (nn.Sequential(nn.Linear(1, 4), nn.Linear(6, 1)), "expected example=, an input of Sequential, or layers="),
        (nn.Sequential(nn.Conv2d(1, 4, (3, 5))), r"layer '0': .*\(3, 5\)"),
        (nn.Sequential(nn.ReLU()), "expected a module with linear or convolution layers"),
    ],
    ids=["output", "input", "kernel", "none"],
)
def test_what_does_not_fit_is_refused_by_name(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        typed_parameters(network, GROUP)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"missing": (RHO, RHO)}, "expected the name of a layer of Sequential, found 'missing'"),
        ({"1": (RHO, RHO)}, "layer '1': expected a linear, convolution, .*layer, found ReLU; declare its tensors by"),
        ({"0": (RHO, ONE)}, r"layer '0' has 4 output channels; they do not fit trivial .*\(1\)"),
        ({"0": (regular(DihedralGroup(2)), RHO)}, "layer '0': expected representations of CyclicGroup"),
        ({}, "at least one layer"),
    ],
    ids=["missing", "activation", "channels", "group", "empty"],
)
def test_a_wrong_declaration_is_refused_by_name(layers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        typed_parameters(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), GROUP, layers=layers)


def test_a_group_is_needed_somewhere() -> None:
    with pytest.raises(ValueError, match="expected a group, or representations"):
        typed_parameters(nn.Linear(4, 4))


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected type 'trivial', 'regular', a mixture .* or a representation, found 'scalar'"
    ):
        typed_parameters(nn.Linear(4, 4), GROUP, input_type="scalar")


def test_parametrised_layers_are_read_through_their_parametrisation() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    (parameter,) = typed_parameters(layer, GROUP, input_type="regular", output_type="regular")
    assert parameter.read().requires_grad
    torch.testing.assert_close(parameter.read(), layer.weight)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_weight_norm_of_the_old_style_is_refused() -> None:
    """Its `.weight` is a leftover of the last forward pass: a penalty on it would be stale."""
    layer = torch.nn.utils.weight_norm(nn.Linear(4, 4))
    with pytest.raises(
        ValueError, match=r"layer '': expected weight to be a parameter .*torch\.nn\.utils\.parametrizations"
    ):
        typed_parameters(layer, GROUP)


@pytest.mark.parametrize("use", [typed_parameters, equivariance_report, ProjectionPenalty, ProximalPenalty])
def test_nothing_to_list_is_refused(use: Callable[..., object]) -> None:
    network = nn.Sequential(nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="expected at least one parameter that is not skipped, found none; include_bi"):
        use(network, CyclicGroup(4), input_type="regular", output_type="regular", example=torch.randn(2, 4, 5, 5))
