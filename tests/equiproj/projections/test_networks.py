"""Layers and networks with projected weights commute with the group, and exactly where equation 3.8 says so."""

import pytest
import torch
from torch import nn

from equiproj.groups import CubeGroup, CyclicGroup, DihedralGroup
from equiproj.projections import project_bias, project_conv, samples_symmetrically
from equiproj.representations import regular, trivial
from equiproj.testing import assert_equivariant, move_field

C4, D4 = CyclicGroup(4), DihedralGroup(4)
REGULAR = 2 * regular(C4)


def projected(layer, rho_in, rho_out):
    """Project the weight and bias of a convolution in place."""
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    with torch.no_grad():
        layer.weight.copy_(project_conv(layer.weight, rho_in, rho_out, transposed=transposed, groups=layer.groups))
        layer.bias.copy_(project_bias(layer.bias, rho_out))
    return layer


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


SETTINGS = [
    {"kernel_size": 1},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "padding": 2},
    {"kernel_size": 2},
    {"kernel_size": 4, "padding": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": 3, "padding": 1, "groups": 2},
    {"kernel_size": 3, "padding": 1, "groups": 8},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
]


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_conv2d(settings, size):
    layer = projected(nn.Conv2d(8, 8, **settings), REGULAR, REGULAR)
    assert_equivariant(layer, REGULAR, REGULAR, image_shape=(size, size))


@pytest.mark.parametrize("settings", SETTINGS[:7], ids=str)
def test_conv2d_with_mirror_images(settings):
    rho = regular(D4) + trivial(D4)
    layer = projected(nn.Conv2d(9, 9, **settings), rho, rho)
    assert_equivariant(layer, rho, rho, image_shape=(7, 7))


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 4, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2},
        {"kernel_size": 3, "groups": 2, "stride": 2},
    ],
    ids=str,
)
def test_transposed_conv2d(settings, size):
    layer = projected(nn.ConvTranspose2d(8, 8, **settings), REGULAR, REGULAR)
    assert_equivariant(layer, REGULAR, REGULAR, image_shape=(size, size))


def test_output_padding_breaks_transposed_layers():
    layer = projected(nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1), REGULAR, REGULAR)
    with pytest.raises(AssertionError, match=r"f\(gx\) = g f\(x\)"):
        assert_equivariant(layer, REGULAR, REGULAR, image_shape=(8, 8))


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_conv1d_and_its_transpose(kernel_size):
    rho = 2 * regular(CyclicGroup(2))
    for layer in (nn.Conv1d(4, 4, kernel_size, padding=1), nn.ConvTranspose1d(4, 4, kernel_size, stride=2)):
        assert_equivariant(projected(layer, rho, rho), rho, rho, image_shape=(9,))


def test_conv3d_and_its_transpose():
    rho = regular(CubeGroup())
    some = CubeGroup().elements[1:8]
    for layer in (nn.Conv3d(24, 24, 3, padding=1), nn.ConvTranspose3d(24, 24, 2, stride=2)):
        assert_equivariant(projected(layer, rho, rho), rho, rho, image_shape=(4, 4, 4), elements=some)
    # quarter turns of every slice, for volumes with another spacing along the depth
    layer = projected(nn.Conv3d(8, 8, (2, 3, 3), padding=(0, 1, 1)), REGULAR, REGULAR)
    assert_equivariant(layer, REGULAR, REGULAR, image_shape=(3, 5, 5))


@pytest.mark.parametrize("size", range(7, 13))
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(("stride", "dilation"), [(2, 1), (3, 1), (2, 2)])
def test_strided_layers_are_equivariant_exactly_where_windows_lie_symmetrically(
    size, kernel_size, padding, stride, dilation
):
    rho = regular(C4)
    layer = projected(nn.Conv2d(4, 4, kernel_size, stride, padding, dilation), rho, rho)
    if samples_symmetrically(size, kernel_size, stride, padding, dilation):
        assert_equivariant(layer, rho, rho, image_shape=(size, size))
    else:
        with pytest.raises(AssertionError, match="found"):
            assert_equivariant(layer, rho, rho, image_shape=(size, size))


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_padding_modes_do_not_change_the_condition(mode):
    layer = projected(nn.Conv2d(8, 8, 3, 2, 1, padding_mode=mode), REGULAR, REGULAR)
    assert_equivariant(layer, REGULAR, REGULAR, image_shape=(9, 9))
    with pytest.raises(AssertionError, match="found"):
        assert_equivariant(layer, REGULAR, REGULAR, image_shape=(8, 8))


@pytest.mark.filterwarnings("ignore:Using padding:UserWarning")
def test_same_padding_of_even_kernels_is_lopsided():
    layer = projected(nn.Conv2d(8, 8, 4, padding="same"), REGULAR, REGULAR)
    with pytest.raises(AssertionError, match="found"):
        assert_equivariant(layer, REGULAR, REGULAR, image_shape=(8, 8))


class Network(nn.Module):
    """Image in, image out: lift, normalise, go down by two and up again, skip connection."""

    def __init__(self, down_size):
        super().__init__()
        image, field = trivial(C4), 4 * regular(C4)
        self.lift = projected(nn.Conv2d(1, 16, 3, padding=1), image, field)
        self.norm = nn.GroupNorm(4, 16, affine=False)  # one group per field
        self.down = projected(nn.Conv2d(16, 16, down_size, stride=2, padding=1), field, field)
        self.body = projected(nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"), field, field)
        self.up = projected(nn.ConvTranspose2d(16, 16, down_size, stride=2, padding=1), field, field)
        self.head = projected(nn.Conv2d(16, 1, 1), field, image)

    def forward(self, x):
        top = torch.relu(self.norm(self.lift(x)))
        low = torch.nn.functional.silu(self.down(top))
        return self.head(top + self.up(torch.relu(self.body(low)) + low))


@pytest.mark.parametrize(("size", "down_size"), [(17, 3), (33, 3), (16, 4), (32, 4)])
def test_a_network_commutes_with_quarter_turns(size, down_size):
    network = Network(down_size).eval()
    image = torch.randn(2, 1, size, size)
    with torch.no_grad():
        output = network(image)
        for k in range(1, 4):
            turned = network(torch.rot90(image, k, dims=(-2, -1)))
            error = (turned - torch.rot90(output, k, dims=(-2, -1))).abs().max() / output.abs().max()
            assert float(error) < 1e-5
    assert_equivariant(network, trivial(C4), trivial(C4), image_shape=(size, size))


def test_a_network_without_projection_does_not():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    with pytest.raises(AssertionError, match="found"):
        assert_equivariant(network, trivial(C4), trivial(C4), image_shape=(9, 9))


def test_which_layers_between_commute_with_permuted_channels():
    field = 2 * regular(C4)
    x = torch.randn(4, 8, 6, 6)
    keeps = [nn.ReLU(), nn.GELU(), nn.GroupNorm(2, 8, affine=False), nn.AvgPool2d(2), nn.MaxPool2d(3, 1, 1)]
    keeps += [nn.InstanceNorm2d(8), nn.Upsample(scale_factor=2, mode="nearest"), nn.Dropout2d(0.5).eval()]
    for layer in keeps:
        assert_equivariant(layer, field, field, image_shape=(6, 6))
    # a separate scale and shift per channel breaks it; one per field keeps it
    norm = nn.BatchNorm2d(8).eval()
    nn.init.normal_(norm.weight)
    with pytest.raises(AssertionError, match="found"):
        assert_equivariant(norm, field, field, image_shape=(6, 6))
    with torch.no_grad():
        norm.weight.copy_(project_bias(norm.weight, field))
    assert_equivariant(norm, field, field, image_shape=(6, 6))
    moved = move_field(x, field, 1)
    torch.testing.assert_close(torch.relu(moved), move_field(torch.relu(x), field, 1))
