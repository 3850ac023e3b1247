"""ACDNet, DICDNet, OSCNet, OSCNet+: counts, symmetry, stages, and the options of training."""

import pytest
import torch

from ctmar.errors import InputError
from ctmar.models import build_network, layer_types
from ctmar.models.build import NETWORKS
from equiproj import project_
from equiproj.groups import CyclicGroup, DihedralGroup

UNROLLED = ["acdnet", "dicdnet", "oscnet", "oscnetplus"]
TINY = {
    "acdnet": {"n_stages": 2, "n_maps": 4, "n_atoms": 8, "n_extra_channels": 8, "n_blocks": 1},
    "dicdnet": {"n_stages": 2, "n_maps": 8, "n_extra_channels": 8, "n_blocks": 1},
    "oscnet": {"n_stages": 2, "n_maps": 2, "n_rotations": 4, "n_extra_channels": 8, "n_blocks": 1},
    "oscnetplus": {"n_stages": 3, "n_maps": 2, "n_rotations": 4, "n_extra_channels": 8, "n_blocks": 1},
}


def network(name, **settings):
    torch.manual_seed(0)
    made = build_network(name, **TINY[name] | settings)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return made


def make_images(*size):
    images = 2 * torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    images[:, 2] = (images[:, 2] > 1.8).float()
    return images


def defect(function, images):
    turned = torch.rot90(function(images), 1, (-2, -1))
    return (function(torch.rot90(images, 1, (-2, -1))) - turned).abs().max().item()


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("acdnet", {}, 1_602_809),
        ("acdnet", {"kernel_size": 5}, 3_107_897),
        ("acdnet", {"n_maps": 8, "n_extra_channels": 35, "kernel_size": 5}, 4_169_814),
        ("dicdnet", {}, 1_277_332),
        ("oscnet", {}, 1_274_841),
        ("oscnetplus", {}, 1_276_215),
    ],
)
def test_published_number_of_parameters(name, settings, expected):
    assert sum(parameter.numel() for parameter in build_network(name, **settings).parameters()) == expected


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(16, 16), (15, 18)])
@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in UNROLLED), ("oscnet", {"n_rotations": 8}), ("oscnetplus", {"n_rotations": 12})],
)
def test_whole_network_commutes_once_every_layer_does(name, settings, size, training):
    made = network(name, normalisation="field", declare="all", **settings).train(training)
    images = make_images(*size)
    assert defect(made, images) > 1e-2
    project_(made, layers=layer_types(made, CyclicGroup(4)))
    assert defect(made, images) < 1e-5
    assert made(images).std() > 0.1


@pytest.mark.parametrize("name", UNROLLED)
def test_published_declaration_makes_its_prox_nets_commute(name):
    """EQ-Reg's widths: image and extra channels together are regular fields, so each prox-net commutes by itself."""
    made = network(name, n_extra_channels=7, normalisation="field")
    types = layer_types(made, CyclicGroup(4))
    prefixes = ("image_net",) if name == "acdnet" else ("image_net", "map_net")
    convolutions = {
        layer_name
        for layer_name, layer in made.named_modules()
        if layer_name.startswith(prefixes) and isinstance(layer, torch.nn.Conv2d)
    }
    assert set(types) == convolutions
    project_(made, layers=types)
    rho = types["image_net_first.blocks.0.0"][0]
    features = torch.randn(2, 8, 10, 10)
    moved = torch.einsum("ij,njhw->nihw", rho(1).float(), torch.rot90(features, 1, (-2, -1)))
    output = torch.einsum("ij,njhw->nihw", rho(1).float(), torch.rot90(made.image_net_last(features), 1, (-2, -1)))
    torch.testing.assert_close(made.image_net_last(moved), output, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="n_extra_channels in multiples of the group order 4, found 7"):
        layer_types(network(name, n_extra_channels=7, declare="all"), CyclicGroup(4))


@pytest.mark.parametrize("name", UNROLLED)
def test_batch_normalisation_does_not_commute(name):
    made = network(name, declare="all")
    project_(made, layers=layer_types(made, CyclicGroup(4)))
    assert defect(made, make_images(16, 16)) > 1e-4


@pytest.mark.parametrize("name", ["acdnet", "dicdnet"])
def test_other_groups_are_declared(name):
    made = network(name, declare="all", normalisation="field", group_order=8, n_maps=8)
    project_(made, layers=layer_types(made, DihedralGroup(4)))
    images = make_images(16, 16)
    mirrored = torch.flip(made(images), (-1,))
    torch.testing.assert_close(made(torch.flip(images, (-1,))), mirrored, atol=1e-5, rtol=0)
    assert defect(made, images) < 1e-5


@pytest.mark.parametrize("name", UNROLLED)
def test_published_weights_of_the_stages(name):
    made = network(name)
    images = make_images(12, 12)
    made.eval()
    outputs = made.stage_outputs(images)
    n_stages = TINY[name]["n_stages"]
    fixed = [0.1, 1.0] if name == "acdnet" else []
    assert [weight for weight, _ in outputs.images] == [0.1, *fixed, *[0.1] * n_stages, 1.0]
    assert [weight for weight, _ in outputs.artefacts] == [*fixed, *[0.1] * (n_stages - 1), 1.1]
    assert all(tensor.shape == (2, 1, 12, 12) for _, tensor in [*outputs.images, *outputs.artefacts])
    assert torch.equal(outputs.image, made(images))


@pytest.mark.parametrize("name", UNROLLED)
def test_every_number_that_an_equation_names_gets_a_gradient(name):
    made = network(name)
    outputs = made.stage_outputs(make_images(12, 12))
    sum(weight * tensor.square().mean() for weight, tensor in [*outputs.images, *outputs.artefacts]).backward()
    without = {key for key, parameter in made.named_parameters() if parameter.grad is None}
    unused = {"unused_sparsity", "kernel_nets.0.threshold", "kernel_nets.1.threshold"} if name == "acdnet" else set()
    assert without == unused
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", UNROLLED)
def test_trains_in_bfloat16_and_channels_last(name):
    made, images = network(name), make_images(16, 16)
    expected = made(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = made.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    assert output.dtype == torch.float32  # images keep their precision between convolutions
    torch.testing.assert_close(output, expected, atol=0.1, rtol=0.1)
    output.mean().backward()
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@pytest.mark.slow
def test_compiles_whole():
    made, images = network("acdnet", normalisation="field", n_stages=1), make_images(10, 10)
    compiled = torch.compile(made, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), made(images))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("acdnet", {"n_maps": 6, "normalisation": "field"}, "4 channels per field, and at most the image"),
        ("acdnet", {"n_stages": 0}, "counts of at least 1, found 0"),
        ("dicdnet", {"kernel_size": 4}, "odd kernel_size, found 4"),
        ("dicdnet", {"declare": "some"}, "declare 'proximal' or 'all', found 'some'"),
        ("oscnet", {"normalisation": "layer"}, "normalisation 'batch' or 'field', found 'layer'"),
    ],
)
def test_bad_settings_are_one_line(name, settings, message):
    with pytest.raises(InputError, match=message) as raised:
        build_network(name, **settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("acdnet", {"n_extra_channels": 9}, "at most the image besides, found 10"),
        ("acdnet", {"declare": "all", "n_maps": 6}, "n_maps in multiples of the group order 4, found 6"),
        ("acdnet", {"declare": "all", "n_atoms": 6}, "n_atoms in multiples of the group order 4, found 6"),
        ("oscnet", {"n_rotations": 6}, "n_rotations in multiples of the group order 4, found 6"),
        ("dicdnet", {"normalisation": "field", "group_order": 2}, "found group_order 2"),
    ],
)
def test_channels_that_do_not_fit_the_group_are_one_line(name, settings, message):
    with pytest.raises(InputError, match=message) as raised:
        layer_types(build_network(name, **TINY[name] | settings), CyclicGroup(4))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_dictionary_is_all_that_a_fresh_network_needs(name):
    images = make_images(16, 16)
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(build_network(name, **TINY.get(name, {})).eval())
        for parameter in made[-1].parameters():  # some networks start as the identity
            parameter.data += 0.05 * torch.randn_like(parameter)
    expected = made[0](images)
    assert not torch.equal(made[1](images), expected)
    made[1].load_state_dict(made[0].state_dict())
    torch.testing.assert_close(made[1](images), expected, rtol=0, atol=0)
