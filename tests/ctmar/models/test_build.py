"""Networks by name."""

import pytest
import torch

from ctmar.errors import InputError
from ctmar.models import build_network, layer_types
from ctmar.models.build import NETWORKS
from equiproj.groups import CyclicGroup


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_corrects_images_and_declares_its_layers(name):
    network = build_network(name)
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 1, 16, 16)
    for layer_name, (rho_in, rho_out) in layer_types(network, CyclicGroup(4)).items():
        weight = network.get_submodule(layer_name).weight
        assert weight.shape[:2] == (rho_out.dim, rho_in.dim)


def test_weights_follow_the_global_seed():
    def first_weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return build_network("dncnn").layers[0].weight

    assert torch.equal(first_weight(0), first_weight(0))
    assert not torch.equal(first_weight(0), first_weight(1))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet", {}, "expected one of dncnn, .*, oscnetplus, or module:name, found 'resnet'"),
        ("dncnn", {"widht": 3}, "unknown setting 'widht', expected one of fields"),
        ("dncnn", {"fields": "many"}, "network dncnn"),
        ("dncnn", {"depth": 2.5}, "network dncnn: expected depth to be a whole number, found 2.5"),
        ("dncnn", {"dilations": "wide"}, "network dncnn"),
        ("acdnet", {"n_blocks": True}, "expected n_blocks to be a whole number, found True"),
        ("acdnet", {"n_stages": None}, "expected n_stages to be a whole number, found None"),
        ("acdnet", {"normalisation": 3}, "expected normalisation to be a text, found 3"),
        ("oscnet", {"n_frequencies": 0}, "expected n_frequencies of at least 1, found 0"),
        ("oscnetplus", {"n_frequencies": -1}, "expected n_frequencies of at least 1, found -1"),
        ("oscnetplus", {"filter_divisor": "ten"}, "expected filter_divisor to be a number, found 'ten'"),
        ("oscnetplus", {"filter_divisor": 0}, "expected a finite filter_divisor above 0, found 0"),
        ("dncnn", {"fields": 10**15}, "network dncnn"),
        (["dncnn"], {}, "expected one of dncnn"),
    ],
)
def test_bad_settings_are_one_line(name, settings, message):
    with pytest.raises(InputError, match=message) as raised:
        build_network(name, **settings)
    assert "\n" not in str(raised.value)
