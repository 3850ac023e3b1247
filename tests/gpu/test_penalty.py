"""The penalty of every norm, its gradient, its proximal step and its projections, on a GPU beside the CPU."""

import copy

import pytest
import torch
from torch import Tensor, nn

from equiproj import ProjectionPenalty, ProximalPenalty
from equiproj.bridges import attach
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.norms import matrix_norm, operator_norm
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import regular, standard, trivial

pytestmark = pytest.mark.gpu
GROUP = CyclicGroup(4)
NORMS = (
    "frobenius",
    "spectral",
    "nuclear",
    "schatten:3",
    "entrywise:1",
    "entrywise:2",
    "entrywise:4",
    "entrywise:inf",
    "induced:1",
    "induced:inf",
    "mixed:1,2",
    "mixed:2,1",
    "mixed:1,inf",
)
OF_SINGULAR_VALUES = ("spectral", "nuclear", "schatten:3")
METHODS = [(norm, None) for norm in NORMS] + [(norm, way) for norm in OF_SINGULAR_VALUES for way in ("exact", "power")]


def network() -> nn.Module:
    """Two layers of one signature, so that they are one bundle, between others."""
    sizes = [(1, 8, 3), (8, 8, 3), (8, 8, 3), (8, 4, 5)]
    layers = [nn.Conv2d(n_in, n_out, size, padding=size // 2) for n_in, n_out, size in sizes]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))


def value_and_gradients(module: nn.Module, penalty: ProjectionPenalty) -> list[Tensor]:
    """On the CPU, whatever they were computed on."""
    module.zero_grad()
    value = penalty()
    value.backward()
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    assert all(part.device == value.device for part in gradients)
    return [part.detach().cpu() for part in (value, *gradients)]


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("norm", "method"), METHODS)
def test_value_and_gradient_are_those_of_the_cpu(norm, method, power, device):
    modules = [network()]
    modules.append(copy.deepcopy(modules[0]).to(device))
    options = {"norm": norm, "method": method, "power": power, "weight_equivariant": 0.3, "include_bias": True}
    expected, found = (value_and_gradients(module, ProjectionPenalty(module, GROUP, **options)) for module in modules)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-3 * float(other.abs().max()))


@pytest.mark.parametrize("method", ["gram", "power"])
def test_the_state_of_the_penalty_follows_the_network_to_the_device(method, device):
    module = network()
    penalty = ProjectionPenalty(module, GROUP, norm="spectral", method=method)
    expected = penalty().item()
    module.to(device)
    assert penalty().item() == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("power", [1, 2])
def test_the_proximal_step_is_that_of_the_cpu(power, device):
    modules = [network()]
    modules.append(copy.deepcopy(modules[0]).to(device))
    for module in modules:
        ProximalPenalty(module, GROUP, weight_perpendicular=3.0, power=power, include_bias=True).step(0.1)
    for one, other in zip(modules[1].parameters(), modules[0].parameters(), strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_matrices_are_those_of_the_cpu_in_half_precision_too(norm, device):
    matrix = torch.randn(3, 12, 20)
    expected = matrix_norm(matrix.bfloat16(), norm)
    found = matrix_norm(matrix.bfloat16().to(device), norm)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "frobenius", "induced:1"])
def test_norms_of_operators_are_those_of_the_cpu(norm, device):
    kernel = torch.randn(4, 3, 3, 3)
    expected = operator_norm(kernel, norm, (16, 16))
    torch.testing.assert_close(operator_norm(kernel.to(device), norm, (16, 16)).cpu(), expected, rtol=1e-4, atol=0)


RHO, TURN = regular(GROUP), standard(DihedralGroup(4))
PROJECTORS = {
    "orbits": ConvProjector(RHO, 2 * RHO, (3, 3)),
    "groups=2": ConvProjector(4 * trivial(GROUP), 4 * trivial(GROUP), (3, 3), n_blocks=2),
    "transposed": ConvProjector(RHO, RHO, (4, 4), transposed=True),
    "average": LinearProjector(TURN, 2 * TURN),
    "spectral": LinearProjector(TURN, TURN, "spectral"),
}


@pytest.mark.parametrize("projector", PROJECTORS.values(), ids=PROJECTORS)
def test_projections_are_those_of_the_cpu(projector, device):
    weight = torch.randn(5, *projector.weight_shape)
    found = projector(weight.to(device))
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), projector(weight), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [ProjectionPenalty, ProximalPenalty])
def test_a_penalty_follows_a_network_that_a_trainer_moves(kind, device):
    """Built on the CPU and attached, as by the callbacks; restored from a checkpoint after the network was moved."""
    trained = []
    for place in (torch.device("cpu"), device):
        torch.manual_seed(0)
        module, images = network(), torch.randn(2, 1, 6, 6)
        state = None
        for _ in range(2):
            penalty = kind(module, GROUP, target=0.1)
            module.to(place)
            optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)
            if state is not None:
                penalty.load_state_dict(state)
            attach(optimiser, penalty)
            for _ in range(3):
                optimiser.zero_grad()
                module(images.to(place)).square().mean().backward()
                optimiser.step()
            state = penalty.state_dict()
            module.cpu()
        trained.append((list(module.parameters()), penalty.weight_perpendicular))
    torch.testing.assert_close(*(weights for weights, _ in trained), atol=1e-4, rtol=1e-3)
    assert trained[0][1] == pytest.approx(trained[1][1], rel=1e-2)
