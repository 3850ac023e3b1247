"""Types from data flow. The oracle is data: a network projected by inferred types commutes with turns."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equiproj import equivariance_report, measured_defect, project_
from equiproj.groups import SO2, CyclicGroup, DihedralGroup
from equiproj.layers import inferred_types, typed_parameters
from equiproj.representations import grid, irrep, regular, tensor_product, trivial

GROUP = CyclicGroup(4)
RHO, ONE = regular(GROUP), trivial(GROUP)


class HeadFirst(nn.Module):
    """`head` is registered before `body`, and runs after it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.body = nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu().mean((2, 3)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Conv2d(8, 1, 3, padding=1), nn.Conv2d(1, 8, 3, padding=1)
        self.shortcut, self.middle = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.first(x), inplace=True)
        h = torch.add(self.shortcut(h), functional.silu(self.middle(h)))
        return x - self.last(h)


class Joined(nn.Module):
    """Two scales, joined along channels, one of them the image itself."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.fine, self.coarse = (
            nn.Conv2d(13, 1, 1),
            nn.Conv2d(1, 8, 3, padding=1),
            nn.Conv2d(8, 4, 3, padding=1),
        )
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.norm(self.fine(x)).relu()
        coarse = self.up(self.coarse(functional.max_pool2d(fine, 2)).relu())
        return self.out(torch.cat([x, coarse, fine], dim=1))


class Excited(nn.Module):
    """Channels weighed by what they say of the whole image, and a map of one channel that weighs pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate, self.tail = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 1), nn.Conv2d(8, 1, 1)
        self.squeeze, self.excite = nn.Linear(8, 4), nn.Linear(4, 8)
        self.scale = nn.Parameter(torch.rand(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x).relu()
        weights = self.excite(self.squeeze(functional.adaptive_avg_pool2d(h, 1).flatten(1)).relu()).sigmoid()
        return self.tail(self.scale * h * weights[:, :, None, None] * self.gate(h).sigmoid())


class Patches(nn.Module):
    """A vision transformer: patches, a class token, positions, attention written by hand, a readout."""

    def __init__(self, written_by_hand: bool) -> None:
        super().__init__()
        self.head = nn.Linear(16, 3)
        self.patches = nn.Conv2d(1, 16, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 17, 16))
        self.qkv, self.project, self.norm = nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16)
        self.scale = nn.Parameter(torch.rand(16))
        self.written_by_hand = written_by_hand

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        q, k, v = self.qkv(self.norm(x)).reshape(len(x), 17, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        if self.written_by_hand:
            attended = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        else:
            attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.scale * self.project(attended.transpose(1, 2).reshape(len(x), 17, 16))
        return self.head(x[:, 0])


class Functional(nn.Module):
    """Weights that no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.matrix = nn.Parameter(torch.randn(8, 1, 3, 3)), nn.Parameter(torch.randn(8, 4))
        self.offset, self.table = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = functional.conv2d(x, self.kernel, self.offset, padding=1).relu()
        return functional.linear(h.mean((2, 3)) @ self.matrix, self.table)


class Split(nn.Module):
    """Halves of the channels that are made apart, and joined with others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        first, second = h.chunk(2, dim=1)
        return self.last(self.middle(torch.cat([second.relu() * first.sigmoid(), h[:, 4:]], 1)))


class ZeroPadded(nn.Module):
    """The shortcut of the first residual networks: every other pixel, and zeros for the channels that are missing."""

    def __init__(self, n_zeros: tuple[int, int] = (4, 4)) -> None:
        super().__init__()
        self.n_zeros, width = n_zeros, 8 + sum(n_zeros)
        self.first, self.deeper, self.last = nn.Conv2d(1, 8, 2), nn.Conv2d(8, width, 3, 2, 1), nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        shortcut = functional.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, *self.n_zeros))
        return self.last((shortcut + self.deeper(h)).relu())


class ChannelsLast(nn.Module):
    """Layers on images whose channels are the last axis, which is padded by nothing while the pixels are."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 1, 3)
        self.norm, self.middle = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.pad(self.norm(self.first(x).permute(0, 2, 3, 1)), (0, 0, 1, 1, 1, 1))
        return self.last(self.middle(h).relu().permute(0, 3, 1, 2))


class TalkingHeads(Patches):
    """The heads of an attention are mixed before and after its softmax: they are channels that nothing moves."""

    def __init__(self) -> None:
        super().__init__(True)
        self.before, self.after = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        q, k, v = self.qkv(self.norm(x)).reshape(len(x), 17, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        logits = self.before((q @ k.transpose(-2, -1)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        shares = self.after(logits.softmax(-1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = x + self.scale * self.project((shares @ v).transpose(1, 2).reshape(len(x), 17, 16))
        return self.head(x[:, 0])


class MixedTokens(nn.Module):
    """A mixer: linear layers across channels, and across the points of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(1, 8, 4, stride=4), nn.LayerNorm(8), nn.Linear(8, 3)
        self.there, self.back, self.across = nn.Linear(16, 12), nn.Linear(12, 16), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.back(functional.gelu(self.there(self.norm(x).transpose(1, 2)))).transpose(1, 2)
        return self.head((x + self.across(x).tanh()).mean(1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "head before body": (HeadFirst, False),
    "flatten": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 3)),
        False,
    ),
    "flatten twice": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.ReLU(), nn.Flatten(1), nn.Linear(4 * 196, 3)),
        False,
    ),
    "residual": (Residual, True),
    "joined": (Joined, True),
    "excited": (Excited, True),
    "patches by hand": (lambda: Patches(True), False),
    "patches": (lambda: Patches(False), False),
    "functional": (Functional, False),
    "used twice": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), *[nn.Conv2d(8, 8, 3), nn.GELU()] * 2, nn.Conv2d(8, 1, 3)),
        True,
    ),
    "split": (Split, True),
    "zeros for channels": (ZeroPadded, True),
    "zeros behind the channels": (lambda: ZeroPadded((0, 8)), True),
    "channels last": (ChannelsLast, True),
    "talking heads": (TalkingHeads, False),
    "mixed tokens": (MixedTokens, False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_projected_by_inferred_types_is_equivariant(name: str) -> None:
    make, is_image = NETWORKS[name]
    torch.manual_seed(0)
    network, images = make().double(), torch.randn(2, 1, 16, 16, dtype=torch.float64)
    rho_out = None if is_image else "trivial"
    assert measured_defect(network, images, GROUP, rho_out=rho_out).maximum > 1e-3
    report = equivariance_report(network, GROUP, example=images, include_bias=True, strict=True)
    assert report.coverage.share == 1
    assert not report.coverage.missing_vectors
    assert report.total_ratio > 0.1
    project_(network, GROUP, example=images)
    assert measured_defect(network, images, GROUP, rho_out=rho_out).maximum < 1e-13
    assert equivariance_report(network, GROUP, example=images, include_bias=True).total_ratio < 1e-7
    still = (network(images) - network(torch.zeros_like(images))).norm()
    assert still > 1e-3 or name == "patches"  # it is no constant


def test_the_types_of_what_is_flattened() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 2))
    rho = tensor_product(2 * RHO, grid(GROUP, (4, 4)))
    types = inferred_types(network, GROUP, example=torch.zeros(1, 1, 6, 6))
    assert types == {"0": (ONE, 2 * RHO), "2": (rho, 2 * ONE)}


def test_sums_and_joins_have_their_types() -> None:
    types = inferred_types(Joined(), GROUP)
    assert types["out"] == (ONE + 3 * RHO, ONE)
    assert list(types) == ["out", "fine", "coarse", "up"]  # in order of registration
    assert inferred_types(Residual(), GROUP)["last"] == (2 * RHO, ONE)


def test_what_mixes_points_maps_between_images() -> None:
    types = inferred_types(MixedTokens(), GROUP, example=torch.zeros(1, 1, 16, 16))
    assert types["there"] == (tensor_product(ONE, grid(GROUP, (4, 4))), 3 * RHO)
    assert types["back"] == (3 * RHO, grid(GROUP, (4, 4)))


def test_a_bias_across_points_asks_for_channels_that_are_permuted() -> None:
    """It is added to every channel alike, which turns of vectors do not keep."""

    class Turned(nn.Module):
        def __init__(self, bias: bool) -> None:
            super().__init__()
            self.patches, self.there = nn.Conv2d(1, 8, 4, stride=4), nn.Linear(16, 12, bias=bias)
            self.back, self.head = nn.Linear(12, 16, bias=False), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patches(x).flatten(2)
            mixed = x + self.back(self.there(x))
            return self.head(mixed.mean(2))

    types = {"hidden_type": irrep(GROUP, 1), "example": torch.zeros(1, 1, 16, 16)}
    assert inferred_types(Turned(bias=False), GROUP, **types)["there"][1] == 6 * irrep(GROUP, 1)
    with pytest.raises(ValueError, match="layer 'there': acts on every channel by itself"):
        inferred_types(Turned(bias=True), GROUP, **types)


def test_an_input_is_found_where_none_is_given() -> None:
    """Without example= the linear layer's own shape is tried first, which the convolution does not take."""
    assert inferred_types(HeadFirst(), GROUP) == {"head": (2 * RHO, 5 * ONE), "body": (ONE, 2 * RHO)}


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_transformer_of_torch_is_equivariant_on_features(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=batch_first, norm_first=True, activation="gelu")
    network = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    x = torch.randn(3, 5, 16, dtype=torch.float64)
    types = {"input_type": "regular", "output_type": "regular", "example": x}
    report = equivariance_report(network, GROUP, strict=True, include_bias=True, **types)
    assert (report.coverage.share, report.coverage.missing_vectors) == (1, ())
    assert measured_defect(network, x, GROUP, "regular", "regular").maximum > 0.1
    project_(network, GROUP, **types)
    assert measured_defect(network, x, GROUP, "regular", "regular").maximum < 1e-13


def test_keys_of_another_width_have_the_type_of_their_own_input() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, kdim=12, vdim=12, batch_first=True)
            self.keys = nn.Linear(8, 12)

        def forward(self, x: Tensor) -> Tensor:
            y = self.keys(x)
            return self.attention(x, y, y, need_weights=False)[0]

    torch.manual_seed(0)
    network, x = Cross().double(), torch.randn(2, 5, 8, dtype=torch.float64)
    project_(network, GROUP, input_type="regular", output_type="regular", example=x, strict=True)
    assert measured_defect(network, x, GROUP, "regular", "regular").maximum < 1e-13


def test_recurrent_layers_and_words() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.readout, self.words = nn.Linear(16, 8), nn.Embedding(9, 4)
            self.memory = nn.LSTM(4, 8, 2, bidirectional=True, batch_first=True)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.readout(self.memory(self.words(tokens))[0])

    found = {p.name: p.projector for p in typed_parameters(Words(), GROUP, output_type="regular", strict=True)}
    assert (found["words.weight"].rho_in, found["words.weight"].rho_out) == (9 * ONE, RHO)
    assert found["memory.weight_ih_l1_reverse"].rho_in == 4 * RHO
    assert (found["readout.weight"].rho_in, found["readout.weight"].rho_out) == (4 * RHO, 2 * RHO)


class Made(nn.Module):
    """A convolution, something in between, and a convolution."""

    def __init__(self, between: Callable[[Tensor], Tensor], n_channels: int = 8) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Conv2d(1, 8, 3, padding=1), between, nn.Conv2d(n_channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Made(lambda h: h.cumsum(1).relu() if h.ndim == 0 else h + torch.arange(8.0)[:, None, None]),
            "'add': a constant",
        ),
        (Made(lambda h: h * torch.arange(16.0)), r"'mul': a constant \(16,\) that CyclicGroup\(4\) changes"),
        (Made(lambda h: h - h.mean(2, keepdim=True)), "'mean': runs over some axes of an image"),
        (Made(lambda h: h[:, :, 1:]), "'getitem': cuts an image off its centre, from 1 to 16 of 16"),
        (Made(lambda h: h[..., 3, 3][..., None, None]), "'getitem': cuts an image off its centre"),
        (
            Made(lambda h: torch.cat([h[:, :2], h[:, 4:]], 1), 6),
            "'first' has 2 output channels; they do not fit regular",
        ),
        (Made(nn.GroupNorm(4, 8)), "layer 'between': expected 4 groups that 2.regular of CyclicGroup.4. keeps"),
        (Made(lambda h: h + h[:, :1]), "'first' has|meets|do not fit"),
        (Made(lambda h: h.transpose(2, 3) + h), "an axis of pixels meets one of pixels"),
    ],
    ids=["channels", "pixels", "rows", "crop", "pixel", "channel", "groups", "one channel", "transposed"],
)
def test_conflicts_are_refused_by_name(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inferred_types(network, GROUP, example=torch.randn(2, 1, 16, 16))


def test_an_output_that_is_not_of_its_type_is_refused() -> None:
    class Shortcut(Made):
        def forward(self, x: Tensor) -> Tensor:
            return x + self.first(x)

    network = Shortcut(nn.Identity())
    network.first = nn.Conv2d(4, 4, 3, padding=1)
    with pytest.raises(ValueError, match=r"the output of the network: regular .* meets 4\*trivial"):
        inferred_types(network, GROUP, input_type="regular", example=torch.randn(1, 4, 8, 8))


def test_entries_taken_one_by_one_have_to_be_permuted() -> None:
    vectors = irrep(SO2(), 1)
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    types = {"input_type": vectors, "hidden_type": vectors, "output_type": vectors}
    with pytest.raises(ValueError, match="'relu' in '1': acts on every channel by itself, expected channels that SO2"):
        inferred_types(network, SO2(), **types)
    assert inferred_types(nn.Sequential(network[0], network[2]), SO2(), **types)["0"] == (vectors, 2 * vectors)


def test_what_no_rule_describes_is_not_covered_and_the_reason_is_told() -> None:
    network = nn.Sequential(nn.Linear(4, 4), Made(lambda h: h), nn.Linear(4, 4))
    network[1] = type("Sorted", (nn.Module,), {"forward": lambda self, x: x.sort(-1).values})()
    with pytest.warns(
        UserWarning, match=r"not covered: 2.weight \(4, 4\).*further: no rule for 'sort' in '1'"
    ) as caught:
        found = typed_parameters(network, GROUP, input_type="regular")
    assert len(caught) == 1
    assert [parameter.name for parameter in found] == ["0.weight"]
    with pytest.raises(ValueError, match="expected every matrix parameter to be covered"):
        typed_parameters(network, GROUP, input_type="regular", strict=True)
    assert len(typed_parameters(network, GROUP, input_type="regular", parameters={"2.weight": (RHO, RHO)})) == 2


@pytest.mark.parametrize(
    ("between", "width", "reason"),
    [
        (lambda h: functional.pad(h, (0, 0, 0, 0, 4, 4), value=1.0), 16, "'pad' in '1' pads channels by other than"),
        (lambda h: functional.pad(h.flatten(2), (2, 2)), 260, "'pad' in '1' pads an axis of points"),
        (lambda h: h[:, :, ::2], 16, "'getitem' in '1' takes every other entry"),
        (lambda h: h[:, ::2], 16, "'getitem' in '1' takes every other entry"),
    ],
    ids=["ones", "points", "rows of an even size", "channels"],
)
def test_what_is_padded_or_left_out_otherwise_is_not_followed(
    between: Callable[[Tensor], Tensor], width: int, reason: str
) -> None:
    middle = type("Between", (nn.Module,), {"forward": lambda self, h: between(h)})()
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), middle, nn.Linear(width, 4))
    with pytest.warns(UserWarning, match=reason):
        typed_parameters(network, GROUP, example=torch.randn(1, 1, 16, 16))


def test_any_function_of_token_numbers_is_invariant() -> None:
    """Positions that are counted from the tokens, as RoBERTa's are: no rule describes `cumsum`, and none is needed."""

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.positions, self.readout = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(4, 4)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.readout(self.words(tokens) + self.positions(tokens.ne(1).int().cumsum(1)))

    found = typed_parameters(Counted(), GROUP, output_type="regular", strict=True)
    assert [parameter.name for parameter in found] == ["words.weight", "positions.weight", "readout.weight"]


def test_nothing_of_the_module_or_of_the_draws_is_changed() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.Conv2d(8, 1, 3))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    typed_parameters(network, GROUP)
    assert torch.equal(torch.rand(3), expected)
    assert [layer.training for layer in network.modules()] == [True, True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_network_that_takes_no_guessed_input_asks_for_one() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 99, 1))
    with pytest.raises(ValueError, match="expected example=, an input of Sequential, or layers="):
        inferred_types(network, GROUP)


def test_a_layer_that_is_skipped_need_not_fit() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network.append(nn.Linear(4, 7))
    options = {"input_type": "regular", "include_bias": True}
    found = typed_parameters(network, DihedralGroup(2), skip="2.*", **options)
    assert [parameter.name for parameter in found] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    found = typed_parameters(network, DihedralGroup(2), skip=["0.weight", "1.bias", "2.*"], **options)
    assert [parameter.name for parameter in found] == ["0.bias", "1.weight"]
    with pytest.raises(ValueError, match="expected a module with linear or convolution layers, found none"):
        typed_parameters(network, DihedralGroup(2), skip="*", **options)
