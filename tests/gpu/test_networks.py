"""Every network forward and backward in every precision, compiled, certified and measured, on a GPU beside the CPU."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ctmar.models import build_network
from ctmar.models.device import convolutions_in
from equiproj import certified_defect_bound, measured_defect, project_
from equiproj.groups import CyclicGroup

pytestmark = pytest.mark.gpu
UNROLLED = {"n_stages": 2, "n_blocks": 1, "n_extra_channels": 3, "normalisation": "field"}
NETWORKS = {
    "dncnn": {"fields": 2, "depth": 4},
    "unet": {"fields": 1, "levels": 2},
    "acdnet": UNROLLED | {"n_maps": 4, "n_atoms": 4},
    "dicdnet": UNROLLED | {"n_maps": 4},
    "oscnet": UNROLLED | {"n_maps": 2, "n_rotations": 4},
    "oscnetplus": UNROLLED | {"n_maps": 2, "n_rotations": 4},
}
PRECISIONS = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 0.1, "float16": 3e-2}  # relative error of the correction
GROUP = CyclicGroup(4)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = build_network(name, group_order=4, **NETWORKS[name])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # some start at zero, and would hide all errors
    return network


def images(size: int = 32) -> Tensor:
    inputs = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    inputs[:, 2] = inputs[:, 2] > 0.95
    return inputs


def forward_and_gradients(network: nn.Module, device: torch.device, precision: str) -> tuple[Tensor, list[Tensor]]:
    """The output and the gradients on the CPU in float32."""
    network = copy.deepcopy(network).to(device).to(memory_format=torch.channels_last)
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    convolutions = convolutions_in("tf32" if precision == "tf32" else "ieee")
    with convolutions, torch.autocast(device.type, dtype, enabled=dtype is not None):
        output = network(images().to(device, memory_format=torch.channels_last))
        loss = output.float().square().mean()
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return output.detach().float().cpu(), [gradient.float().cpu() for gradient in gradients]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_forward_and_backward_are_those_of_the_cpu(name, precision, device):
    network = build(name)
    expected, expected_gradients = forward_and_gradients(network, torch.device("cpu"), "float32")
    found, gradients = forward_and_gradients(network, device, precision)
    assert torch.linalg.vector_norm(found - expected) <= PRECISIONS[precision] * torch.linalg.vector_norm(expected)
    assert len(gradients) == len(expected_gradients)
    assert all(gradient.isfinite().all() for gradient in gradients)
    error, size = (
        torch.sqrt(sum(part.square().sum() for part in parts))
        for parts in ([a - b for a, b in zip(gradients, expected_gradients, strict=True)], expected_gradients)
    )
    assert error <= 10 * PRECISIONS[precision] * size


@pytest.mark.parametrize("name", ["dncnn", "acdnet"])
def test_the_compiled_network_gives_the_same_numbers(name, device):
    if device.type == "cpu":
        pytest.skip("graphs are counted on the CPU in tests/ctmar/training")
    network = build(name).to(device)
    inputs = images().to(device)
    expected = network(inputs)
    expected.square().mean().backward()
    wanted = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()
    found = torch.compile(network)(inputs)
    found.square().mean().backward()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    got = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def convolutions() -> nn.Module:
    """Layers that the certificate knows."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())


def test_the_certificate_is_that_of_the_cpu_and_holds(device):
    network = convolutions()
    shape = {"image_shape": (16, 16), "output_type": "regular"}
    expected = certified_defect_bound(network, GROUP, **shape)
    found = certified_defect_bound(network.to(device), GROUP, **shape)
    assert (found.slope, found.offset) == pytest.approx((expected.slope, expected.offset), rel=1e-6)


def test_the_defect_is_that_of_the_cpu_and_vanishes_for_an_equivariant_network(device):
    network = build("dncnn")
    expected = measured_defect(network, images(), GROUP)
    found = measured_defect(network.to(device), images().to(device), GROUP)
    assert found.maximum == pytest.approx(expected.maximum, rel=1e-3)
    layers = network.layer_types(GROUP)
    project_(network, layers=layers)
    # TF32 in the convolutions would leave 1e-3 here
    assert measured_defect(network, images().to(device), GROUP).maximum < 1e-6
