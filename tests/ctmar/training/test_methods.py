"""Each method adds to the plain step what its formula says, and nothing else."""

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Network, Run
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.methods import attach_method
from ctmar.training.patches import Batch, PatchSampler
from ctmar.training.step import start
from equiproj.groups import CyclicGroup
from equiproj.norms import matrix_norm
from equiproj.projections import project_bias, project_conv

GROUP = CyclicGroup(4)


@pytest.fixture
def batch(pair_files) -> Batch:
    return PatchSampler(pair_files[0], 3, 16, seed=0).batch(0)


def started(method: str, **settings: object):
    return start(Run(network="n", method=method, **settings), NETWORK, TRAINING, 4, 1)


def test_plain_changes_nothing(batch):
    method = started("plain").method
    assert method.batch(batch, 0) is batch
    assert method.penalty(batch, batch.target, 0) == 0
    assert method.state() == {}


def test_augmentation_turns_all_tensors_of_a_patch_alike(batch):
    method = started("augmentation").method
    turns = set()
    for step in range(4):
        turned = method.batch(batch, step)
        for sample in range(3):
            own = [
                k
                for k in range(4)
                if all(
                    torch.equal(torch.rot90(before[sample], k, (-2, -1)), after[sample])
                    for before, after in zip(batch.tensors, turned.tensors, strict=True)
                )
            ]
            assert len(own) == 1
            turns |= set(own)
    assert turns == {0, 1, 2, 3}
    assert torch.equal(method.batch(batch, 2).inputs, method.batch(batch, 2).inputs)


def test_eqreg_doubles_the_batch_and_weighs_the_mismatch_of_every_layer(batch):
    state = started("eqreg", lam_perp=0.25)
    features = {}
    for name in layer_types(state.network, GROUP):
        layer = state.network.get_submodule(name)
        layer.register_forward_hook(lambda _, __, output, name=name: features.update({name: output.detach().clone()}))
    torch.nn.init.normal_(state.network.layers[-1].weight)
    for step in range(4):
        doubled = state.method.batch(batch, step)
        assert torch.equal(doubled.inputs[:3], batch.inputs)
        (turn,) = (k for k in range(4) if torch.equal(doubled.inputs[3:], torch.rot90(batch.inputs, k, (-2, -1))))
        output = state.network(doubled.inputs)
        expected = 0.0
        for feature in features.values():
            first, second = torch.rot90(feature[:3], turn, (-2, -1)), feature[3:]
            if second.shape[1] > 1:  # fields of four regular channels shift back by the turn
                second = second.unflatten(1, (-1, 4)).roll(-turn, dims=2).flatten(1, 2)
            expected += float((first - second).square().sum().sqrt())
        assert state.method.penalty(doubled, output, step).item() == pytest.approx(0.25 * expected, rel=1e-5)


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "entrywise:1", "mixed:2,1"])
@pytest.mark.parametrize("power", [1, 2])
def test_projection_is_the_objective_of_the_paper(batch, norm, power):
    run = Run(network="n", method="projection", norm=norm, lam_perp=0.5, lam_equi=0.25)
    network = start(run, NETWORK, TRAINING, 4, 1).network
    torch.nn.init.normal_(network.layers[-1].weight)
    for layer in network.layers:
        torch.nn.init.normal_(layer.bias)
    penalty = attach_method(network, run, 4, power).penalty
    for _ in range(30):  # the power iteration of the spectral norm warms up
        value = penalty(batch, batch.target, 0).item()
    expected = 0.0
    for name, (rho_in, rho_out) in layer_types(network, GROUP).items():
        layer = network.get_submodule(name)
        parts = [(layer.weight, project_conv(layer.weight, rho_in, rho_out))]
        parts += [(layer.bias[:, None], project_bias(layer.bias, rho_out)[:, None])]
        for weight, projected in parts:
            perpendicular, equivariant = ((x.detach().flatten(1)) for x in (weight - projected, projected))
            expected += 0.5 * float(matrix_norm(perpendicular, norm)) ** power
            expected += 0.25 * float(matrix_norm(equivariant, norm)) ** power
    assert value == pytest.approx(expected, rel=1e-3 if norm == "spectral" else 1e-5)


def test_without_a_perpendicular_part_the_network_is_equivariant(batch):
    run = Run(network="n", method="projection", norm="frobenius", lam_perp=1.0)
    network = start(run, NETWORK, TRAINING, 4, 1).network
    torch.nn.init.normal_(network.layers[-1].weight)
    with torch.no_grad():
        for name, (rho_in, rho_out) in layer_types(network, GROUP).items():
            layer = network.get_submodule(name)
            layer.weight.copy_(project_conv(layer.weight, rho_in, rho_out))
            layer.bias.copy_(project_bias(torch.randn_like(layer.bias), rho_out))
    assert attach_method(network, run, 4, 1).penalty(batch, batch.target, 0).item() < 1e-5
    expected = torch.rot90(network(batch.inputs), 1, (-2, -1))
    torch.testing.assert_close(network(torch.rot90(batch.inputs, 1, (-2, -1))), expected, atol=1e-5, rtol=0)


def test_all_methods_start_from_the_same_weights():
    states = [started("plain"), started("augmentation"), started("eqreg", lam_perp=1.0)]
    states.append(started("projection", norm="spectral", lam_perp=1.0))
    networks = [state.network for state in states]
    for network in networks[1:]:
        for one, other in zip(network.parameters(), networks[0].parameters(), strict=True):
            assert torch.equal(one, other)
    other_seed = started("plain", seed=1).network
    assert not torch.equal(other_seed.layers[0].weight, networks[0].layers[0].weight)


@pytest.mark.parametrize("method", ["eqreg", "projection"])
def test_a_group_that_does_not_fit_is_one_line(method):
    norm = "frobenius" if method == "projection" else "none"
    run = Run(network="n", method=method, norm=norm, lam_perp=1.0)
    three = Network(settings={"fields": 1, "group_order": 3})
    network = start(Run(network="n", method="plain"), three, TRAINING, 4, 1).network
    with pytest.raises(InputError, match="group order 4"):
        attach_method(network, run, 4, 1)


def test_a_group_between_pixels_is_one_line():
    run = Run(network="n", method="projection", norm="frobenius", lam_perp=1.0)
    with pytest.raises(InputError, match="method 'projection' of network 'n' with CyclicGroup"):
        start(run, NETWORK, TRAINING, 3, 1)
