"""Strict layers, train-then-project, softness, annealing and residual pathways."""

import copy

import pytest
import torch
from torch import nn

from equiproj.baselines import (
    AnnealedRelaxation,
    ResidualPathway,
    Softness,
    StrictEquivariance,
    TrainThenProject,
    triangle,
)
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_bias, project_conv
from equiproj.regularisers import project_initial_
from equiproj.representations import regular, trivial
from equiproj.representations.action import act

C2, C4 = CyclicGroup(2), CyclicGroup(4)


def network_and_layers(group=C4, dtype=torch.float64):
    torch.manual_seed(0)
    rho = 2 * regular(group)
    network = nn.Sequential(
        nn.Conv2d(1, rho.dim, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(rho.dim, 1, 3, padding=1)
    ).to(dtype)
    return network, {"0": (trivial(group), rho), "2": (rho, trivial(group))}


def defect(network, group=C4):
    images = torch.randn(2, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    moved = [(network(act(images, g, group)) - act(network(images), g, group)).abs().max() for g in group.elements]
    return torch.stack(moved).max().item()


def fit(network, parameters, n_steps=5, each_step=lambda step: None):
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    images = torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    for step in range(n_steps):
        each_step(step)
        optimiser.zero_grad()
        (network(images) - images.cumsum(-1)).square().mean().backward()
        optimiser.step()


ATTACH = {
    "strict": StrictEquivariance,
    "softness": lambda module, layers: Softness(module, layers, softness=0.3),
    "annealed": AnnealedRelaxation,
    "residual": ResidualPathway,
}


@pytest.mark.parametrize("group", [C4, DihedralGroup(4)], ids=repr)
def test_theorem_strict_layers_stay_equivariant_through_training(group):
    network, layers = network_and_layers(group)
    assert defect(network, group) > 1e-2
    StrictEquivariance(network, layers)
    assert defect(network, group) < 1e-13
    before = network[0].weight.clone()
    fit(network, network.parameters())
    assert (network[0].weight - before).abs().max() > 1e-3
    assert defect(network, group) < 1e-13


@pytest.mark.parametrize("name", ATTACH)
def test_removal_keeps_the_function_and_leaves_plain_trainable_parameters(name):
    network, layers = network_and_layers()
    names = set(network.state_dict())
    attached = ATTACH[name](network, layers)
    images = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    before = network(images)
    attached.remove()
    torch.testing.assert_close(network(images), before, atol=1e-15, rtol=0)
    assert set(network.state_dict()) == names
    assert type(network[0]) is nn.Conv2d
    assert all(
        isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad for layer in (network[0], network[2])
    )
    fit(network, network.parameters(), n_steps=1)


@pytest.mark.parametrize("name", ATTACH)
def test_checkpoints_load_into_the_same_attachment_and_copies_are_independent(name):
    network, layers = network_and_layers()
    ATTACH[name](network, layers)
    fit(network, network.parameters(), n_steps=2)
    other, _ = network_and_layers()
    ATTACH[name](other, layers)
    other.load_state_dict(network.state_dict())
    images = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    assert torch.equal(network(images), other(images))
    twin = copy.deepcopy(network)
    fit(network, network.parameters(), n_steps=1)
    assert torch.equal(twin(images), other(images))


@pytest.mark.parametrize("name", ATTACH)
def test_a_refused_layer_leaves_the_module_unchanged(name):
    network, layers = network_and_layers()
    names = set(network.state_dict())
    with pytest.raises(ValueError, match=r"layer '1': expected a linear, .* layer, found ReLU"):
        ATTACH[name](network, {**layers, "1": layers["0"]})
    assert set(network.state_dict()) == names


def test_softness_closed_form_and_distance_to_the_projection():
    network, layers = network_and_layers()
    free, free_bias = network[0].weight.detach().clone(), network[0].bias.detach().clone()
    soft = Softness(network, layers, softness=0.25)
    projected = project_conv(free, *layers["0"])
    torch.testing.assert_close(network[0].weight, 0.75 * projected + 0.25 * free)
    torch.testing.assert_close(network[0].bias, 0.75 * project_bias(free_bias, layers["0"][1]) + 0.25 * free_bias)
    found = network[0].weight
    torch.testing.assert_close((found - project_conv(found, *layers["0"])).norm(), 0.25 * (free - projected).norm())
    soft.softness = 1.0
    torch.testing.assert_close(network[0].weight, free, atol=1e-15, rtol=0)
    soft.softness = 0.0
    assert torch.equal(network[0].weight, projected)
    assert defect(network) < 1e-13


def test_softness_rises_with_the_measured_defect():
    network, layers = network_and_layers()
    soft = Softness(network, layers, softness=0.0)
    defects = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        soft.softness = value
        defects.append(defect(network))
    assert defects == sorted(defects)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_softness_and_progress_outside_the_unit_interval(value):
    network, layers = network_and_layers()
    with pytest.raises(ValueError, match="expected softness from 0 to 1, found"):
        Softness(network, layers, softness=value)
    soft = Softness(network, layers, softness=0.5)
    with pytest.raises(ValueError, match="expected softness from 0 to 1, found"):
        soft.softness = value
    with pytest.raises(ValueError, match="expected progress from 0 to 1, found"):
        triangle(value)


def test_annealed_training_leaves_equivariance_and_returns_to_it():
    network, layers = network_and_layers()
    annealed = AnnealedRelaxation(network, layers)
    seen = []

    def each_step(step):
        annealed.step(step / 10)
        seen.append((annealed.softness, defect(network)))

    fit(network, network.parameters(), n_steps=11, each_step=each_step)
    assert [softness for softness, _ in seen] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0], abs=1e-6
    )
    assert seen[0][1] < 1e-13
    assert seen[5][1] > 1e-2
    assert defect(network) < 1e-13


def test_train_then_project_is_the_projection_and_is_undone():
    network, layers = network_and_layers()
    trained = copy.deepcopy(network.state_dict())
    baseline = TrainThenProject(network, layers)
    baseline.project()
    torch.testing.assert_close(network[2].weight, project_conv(trained["2.weight"], *layers["2"]))
    torch.testing.assert_close(network[0].bias, project_bias(trained["0.bias"], layers["0"][1]))
    assert defect(network) < 1e-13
    with pytest.raises(ValueError, match="projected already"):
        baseline.project()
    baseline.undo()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in trained.items())
    with pytest.raises(ValueError, match="to undo, found none"):
        baseline.undo()


def test_residual_pathway_starts_as_the_layer_it_replaces():
    network, layers = network_and_layers()
    images = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    before = network(images)
    ResidualPathway(network, layers)
    torch.testing.assert_close(network(images), before, atol=1e-14, rtol=0)


def test_adding_pathway_weights_is_adding_pathway_outputs():
    network, layers = network_and_layers()
    ResidualPathway(network, layers)
    fit(network, network.parameters(), n_steps=3)
    pathways = network[0].parametrizations.weight
    images = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    equivariant = torch.conv2d(images, project_conv(pathways.original0, *layers["0"]), padding=1)
    free = torch.conv2d(images, pathways.original1, network[0].bias, padding=1)
    torch.testing.assert_close(network[0](images), equivariant + free)


def test_closed_form_decays_are_decoupled_and_reach_their_own_pathway():
    """With no gradient a step with rate η divides a pathway by 1 + η λ, whatever the optimiser has adapted to."""
    network, layers = network_and_layers()
    pathways = ResidualPathway(network, {"0": layers["0"]}, weight_decay_equivariant=0.1, weight_decay_free=2.0)
    tensors = network[0].parametrizations.weight
    before = tensors.original0.detach().clone(), tensors.original1.detach().clone(), network[2].weight.detach().clone()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    pathways.step(0.1)
    torch.testing.assert_close(tensors.original0, before[0] / 1.01)
    torch.testing.assert_close(tensors.original1, before[1] / 1.2)
    assert torch.equal(network[2].weight, before[2])


def test_oracle_a_small_decay_is_that_of_adamw():
    ends = []
    for ours in (True, False):
        network, layers = network_and_layers()
        decays = {"weight_decay_equivariant": 0.5, "weight_decay_free": 0.5}
        pathways = ResidualPathway(network, layers, **(decays if ours else {}))
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0 if ours else 0.5)
        images = torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
        network(images).square().mean().backward()
        optimiser.step()
        if ours:
            pathways.step(1e-4)
        ends.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    free = torch.cat([parameter.detach().flatten() for parameter in network_with_pathways().parameters()])
    assert (ends[0] - ends[1]).norm() < 1e-3 * (ends[0] - free).norm()


def network_with_pathways():
    network, layers = network_and_layers()
    ResidualPathway(network, layers)
    return network


def test_a_strong_prior_on_the_free_pathway_lowers_the_defect():
    found = []
    for weight_decay_free in (0.0, 100.0):
        network, layers = network_and_layers()
        pathways = ResidualPathway(network, layers, weight_decay_free=weight_decay_free)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        images = torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
        for _ in range(150):
            optimiser.zero_grad()
            (network(images) - images.cumsum(-1)).square().mean().backward()
            optimiser.step()
            pathways.step(1e-2)
        found.append(defect(network))
    assert found[1] < 0.4 * found[0]


def test_negative_decay_leaves_the_module_unchanged():
    network, layers = network_and_layers()
    names = set(network.state_dict())
    with pytest.raises(ValueError, match=r"expected weight decays of at least 0, found 0.0 and -1.0"):
        ResidualPathway(network, layers, weight_decay_free=-1.0)
    assert set(network.state_dict()) == names


@pytest.mark.parametrize("softness", [0.0, 0.3, 1.0])
def test_softness_starts_at_the_scale_of_what_was_drawn(softness):
    network, layers = network_and_layers()
    drawn = copy.deepcopy(network)
    soft = Softness(network, layers, softness)
    soft.rescale_initial_()
    for name in ("0", "2"):
        weight, free = network.get_submodule(name).weight, drawn.get_submodule(name).weight
        projected = project_conv(free, *layers[name])
        blended = projected + softness * (free - projected)
        torch.testing.assert_close(weight, blended * free.norm() / blended.norm())
    expected = project_bias(drawn[0].bias, layers["0"][1]).lerp(drawn[0].bias, softness)
    torch.testing.assert_close(network[0].bias, expected)


def test_rescaling_leaves_equivariant_weights_and_zeros():
    network, layers = network_and_layers()
    project_initial_(network, layers=layers)
    torch.nn.init.zeros_(network[2].weight)
    before = copy.deepcopy(network)
    Softness(network, layers, 0.3).rescale_initial_()
    for name in ("0", "2"):
        torch.testing.assert_close(network.get_submodule(name).weight, before.get_submodule(name).weight)


def test_frozen_values():
    assert [triangle(step / 8) for step in range(9)] == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
    soft = Softness(layer, {"": (regular(C2), regular(C2))}, softness=0.5)
    assert layer.weight.tolist() == [[2.0, 2.5], [3.5, 4.0]]
    soft.remove()
    ResidualPathway(layer, {"": (regular(C2), regular(C2))})
    assert layer.parametrizations.weight.original0.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert layer.parametrizations.weight.original1.tolist() == [[-1.0, -0.5], [0.5, 1.0]]


def test_layer_by_layer_gradient_of_a_strict_weight_is_projected():
    network, layers = network_and_layers()
    plain = copy.deepcopy(network)
    with torch.no_grad():
        for name in ("0", "2"):
            layer = plain.get_submodule(name)
            layer.weight.copy_(project_conv(layer.weight, *layers[name]))
            layer.bias.copy_(project_bias(layer.bias, layers[name][1]))
    StrictEquivariance(network, layers)
    images = torch.randn(2, 1, 5, 5, dtype=torch.float64)
    for each in (network, plain):
        each(images).square().sum().backward()
    expected = project_conv(plain[0].weight.grad, *layers["0"])
    torch.testing.assert_close(network[0].parametrizations.weight.original.grad, expected)
