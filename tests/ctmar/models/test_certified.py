"""The networks of the study have a certificate, and what is measured on images stays below it."""

import pytest
import torch
from torch import nn

from ctmar.models.acdnet import ACDNet
from ctmar.models.dncnn import DnCNN
from ctmar.models.unet import UNet
from equiproj import certified_defect_bound, project_
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


def test_a_network_that_makes_its_filters_of_the_image_is_refused_by_name() -> None:
    network = ACDNet(n_stages=1, n_maps=4, n_extra_channels=4, n_atoms=4, normalisation="field", declare="all")
    with pytest.raises(ValueError, match=r"cut a summand|no rule|expected"):
        certified_defect_bound(network.eval(), GROUP, image_shape=(8, 8), layers=network.layer_types(GROUP))
