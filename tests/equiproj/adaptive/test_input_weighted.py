"""Covariances of inputs, averaged over the group, and the norm that they weigh."""

import pytest
import torch
from torch import nn
from torch.nn.functional import unfold

from equiproj import score_test
from equiproj.adaptive import InputWeightedPenalty, input_covariances
from equiproj.adaptive.input_covariance import patches, power_of
from equiproj.groups import CyclicGroup
from equiproj.projections import ConvProjector, project_linear
from equiproj.representations import regular, trivial
from equiproj.testing.moves import move_weight

GROUP = CyclicGroup(4)
RHO = regular(GROUP)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(-1)


@pytest.mark.parametrize(
    "arguments", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": (2, 1)}]
)
def test_patches_are_those_of_torch(arguments):
    layer, batch = nn.Conv2d(4, 2, (3, 2), dtype=torch.float64, **arguments), images(2, 4, 9, 8)
    expected = unfold(batch, (3, 2), **arguments).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(patches(batch, layer), expected)


def test_patches_times_kernel_is_the_convolution_in_every_padding_mode_and_dimension():
    for kind, shape in ((nn.Conv1d, (2, 3, 9)), (nn.Conv2d, (2, 3, 7, 8)), (nn.Conv3d, (2, 3, 5, 6, 7))):
        for mode in ("zeros", "circular", "reflect", "replicate"):
            layer = kind(3, 4, 3, padding=1, padding_mode=mode, bias=False, dtype=torch.float64)
            batch = images(*shape)
            expected = layer(batch).movedim(1, -1).flatten(0, -2)
            torch.testing.assert_close(patches(batch, layer) @ layer.weight.flatten(1).T, expected)


def test_theorem_the_norm_is_the_groups_and_the_projection_is_orthogonal_in_it():
    layer = nn.Conv2d(4, 8, 3, padding=1, bias=False, dtype=torch.float64)
    types = {"layers": {"": (RHO, 2 * RHO)}}
    (sigma,) = input_covariances(layer, batches=[images(3, 4, 6, 6)], shrinkage=0.0, **types).values()
    assert float((sigma - sigma.diagonal().mean() * torch.eye(36)).abs().max()) > 0.1 * float(sigma.max())
    weight, project = layer.weight.detach(), ConvProjector(RHO, 2 * RHO, (3, 3))

    def inner(a, b):
        return float(((a.flatten(1) @ sigma) * b.flatten(1)).sum())

    size = inner(weight, weight)
    for g in GROUP.elements:
        moved = move_weight(weight, 2 * RHO, RHO, g)
        assert inner(moved, moved) == pytest.approx(size, rel=1e-9)
    assert abs(inner(project(weight), weight - project(weight))) < 1e-9 * size


def test_the_penalty_is_what_the_rest_does_to_the_outputs():
    layer, batch = nn.Linear(4, 8, bias=False, dtype=torch.float64), images(500, 4)
    penalty = InputWeightedPenalty(
        layer, layers={"": (RHO, 2 * RHO)}, batches=[batch], shrinkage=0.0, weight_perpendicular=3.0
    )
    turned = torch.cat([batch.roll(k, 1) for k in range(4)])
    rest = layer.weight - ConvProjector(RHO, 2 * RHO, (1,))(layer.weight[..., None])[..., 0]
    expected = 3 * (turned @ rest.T).square().sum(1).mean()
    torch.testing.assert_close(penalty(), expected)
    penalty().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("even_in_outputs", [False, True])
def test_the_evidence_tells_which_norm_the_truth_was_drawn_from(even_in_outputs):
    """Smooth inputs; what breaks the symmetry is even in the entries of W, or in what it does to the outputs."""
    rho, generator = regular(CyclicGroup(8)), torch.Generator().manual_seed(1)
    steps = torch.fft.fftfreq(8, d=1 / 8)
    first = torch.fft.ifft(1 / (1 + steps.square()) ** 2).real.double()
    covariance = first[(torch.arange(8)[:, None] - torch.arange(8)) % 8]
    broken = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    if even_in_outputs:
        broken = 0.3 * broken @ power_of(covariance, -0.5)
    inputs = torch.randn(400, 8, generator=generator, dtype=torch.float64) @ power_of(covariance, 0.5)
    layer, types = nn.Linear(8, 8, bias=False, dtype=torch.float64), {"layers": {"": (rho, rho)}}
    nn.init.zeros_(layer.weight)
    rest = broken - project_linear(broken, rho, rho)
    targets = inputs @ rest.T + 0.3 * torch.randn(400, 8, generator=generator, dtype=torch.float64)
    given = {"loss": lambda a, b: (a - b).square().sum(1).mean(), "batches": [(inputs, targets)], **types}
    sigma = input_covariances(layer, batches=[inputs], shrinkage=0.0, **types)
    gain = score_test(layer, covariances=sigma, **given).log_evidence - score_test(layer, **given).log_evidence
    assert (gain > 3) if even_in_outputs else (gain < -3)


def test_the_identity_as_covariance_is_the_frobenius_norm():
    torch.manual_seed(0)
    layer, inputs = nn.Linear(4, 4, bias=False), torch.randn(50, 4)
    given = {"loss": nn.functional.mse_loss, "batches": [(inputs, inputs)], "layers": {"": (RHO, RHO)}}
    plain = score_test(layer, **given).rows[0]
    weighted = score_test(layer, covariances={"weight": torch.eye(4)}, **given).rows[0]
    assert weighted[1:] == pytest.approx(plain[1:], rel=1e-4)


def test_equivariant_weights_are_not_pushed():
    layer = nn.Linear(4, 4, bias=False)
    nn.init.eye_(layer.weight)
    penalty = InputWeightedPenalty(layer, layers={"": (RHO, RHO)}, batches=[images(9, 4).float()], power=1)
    penalty().backward()
    assert float(layer.weight.grad.abs().max()) == 0


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), {}, "expected a convolution with groups=1"),
        (nn.ConvTranspose2d(4, 4, 3), {}, "that is not transposed"),
        (nn.Conv2d(4, 4, 3), {"shrinkage": 2.0}, "expected shrinkage from 0 to 1, found 2.0"),
        (nn.Conv2d(4, 4, 3), {"batches": []}, "expected a batch that reaches its layer"),
        (nn.Conv2d(4, 4, 3), {"batches": [torch.full((1, 4, 5, 5), torch.nan)]}, "weight: expected finite inputs"),
        (nn.Conv2d(4, 4, 3), {"weight_perpendicular": {}}, "expected weight_perpendicular to name weight"),
    ],
)
def test_what_has_no_such_norm_is_refused(layer, arguments, message):
    given = {"batches": [torch.ones(1, 4, 5, 5)], "layers": {"": (RHO, RHO)}, **arguments}
    with pytest.raises(ValueError, match=message):
        InputWeightedPenalty(layer, **given)


class ByName(nn.Module):
    """Calls its layer by the name of the argument."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, features):
        return self.inner(input=features)


def test_a_layer_may_be_called_by_name():
    given = {"batches": [torch.randn(9, 4)], "shrinkage": 0.0}
    network = nn.Sequential(ByName())
    (named,) = input_covariances(network, layers={"0.inner": (RHO, RHO)}, **given).values()
    (expected,) = input_covariances(nn.Linear(4, 4), layers={"": (RHO, RHO)}, **given).values()
    torch.testing.assert_close(named, expected)


def test_invariant_inputs_need_no_channels_to_move():
    layer = nn.Conv2d(1, 4, 3)
    (sigma,) = input_covariances(layer, batches=[torch.randn(2, 1, 5, 5)], layers={"": (trivial(GROUP), RHO)}).values()
    assert sigma.shape == (9, 9)
