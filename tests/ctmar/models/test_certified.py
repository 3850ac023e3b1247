"""The networks of the study have a certificate, and what is measured on images stays below it."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from ctmar.models.acdnet import ACDNet
from ctmar.models.dicdnet import DICDNet
from ctmar.models.dncnn import DnCNN
from ctmar.models.unet import UNet
from equiproj import certified_defect_bound, project_
from equiproj.certificates import local_defect_bound
from equiproj.groups import CyclicGroup

GROUP = CyclicGroup(4)


def trained_somehow(network: nn.Module) -> nn.Module:
    """Weights as training might leave them: the last layer starts at zero, and statistics at 0 and 1."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.mark.parametrize("network", [DnCNN(fields=1, depth=3), UNet(fields=1, levels=2)], ids=["dncnn", "unet"])
def test_measured_defects_stay_below_the_certificate(network: nn.Module) -> None:
    torch.manual_seed(0)
    trained_somehow(network)
    bound = certified_defect_bound(network, GROUP, image_shape=(8, 8), layers=network.layer_types(GROUP))
    images = torch.randn(8, 3, 8, 8)
    with torch.no_grad():
        defects = (network(images.rot90(1, (2, 3))) - network(images).rot90(1, (2, 3))).flatten(1).norm(dim=1)
    limits = torch.tensor([bound.at(size) for size in images.flatten(1).norm(dim=1).tolist()])
    assert (defects > 0.01).all()
    assert (defects <= limits).all()
    projected = project_(network.double(), GROUP, layers=network.layer_types(GROUP))
    exact = certified_defect_bound(projected, GROUP, image_shape=(8, 8), layers=network.layer_types(GROUP))
    assert exact.slope < 1e-6 * bound.slope


@pytest.mark.parametrize("build", [partial(ACDNet, n_atoms=8), DICDNet], ids=["acdnet", "dicdnet"])
def test_unrolled_networks_are_certified_near_their_images(build: Callable[..., ACDNet | DICDNet]) -> None:
    """Masks, and filters that are made from the image, multiply features: no bound for every image covers that."""
    torch.manual_seed(0)
    network = build(n_stages=1, n_maps=4, n_extra_channels=4, n_blocks=1, normalisation="field", declare="all")
    network, radius = network.double().eval(), 1e-8
    types = network.layer_types(GROUP)
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    image[:, 2] = (image[:, 2] > 0.9).double()
    bound = local_defect_bound(network, GROUP, image, radius, layers=types, input_type="trivial")
    steps = nn.functional.normalize(torch.randn(16, 3 * 64, dtype=torch.float64)).reshape(16, 3, 8, 8)
    near = image + radius * steps
    with torch.no_grad():
        turned = [network(near.rot90(k, (2, 3))) - network(near).rot90(k, (2, 3)) for k in (1, 2, 3)]
    found = max(difference.flatten(1).norm(dim=1).max().item() for difference in turned)
    assert 0.1 < found <= bound.value < 1.1 * found
    if isinstance(network, DICDNet):
        return  # all its operations are those of ACDNet too
    projected = project_(network, GROUP, layers=types)
    exact = local_defect_bound(projected, GROUP, image, radius, layers=types, input_type="trivial")
    assert exact.value < 1e-6 * bound.value
