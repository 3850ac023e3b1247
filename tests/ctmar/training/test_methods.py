"""Each method adds to the plain step what its formula says, and nothing else."""

import copy

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING
from tests.ctmar.training.test_methods_of_weights import EVERY_METHOD

from ctmar.config import Network, Run
from ctmar.config.methods import METHODS
from ctmar.errors import InputError
from ctmar.models import layer_types
from ctmar.training.methods import attach_method
from ctmar.training.patches import Batch, PatchSampler
from ctmar.training.state import start
from ctmar.training.step import training_step
from equiproj.groups import CyclicGroup
from equiproj.norms import matrix_norm
from equiproj.projections import project_bias, project_conv
from equiproj.regularisers import project_initial_

GROUP = CyclicGroup(4)


@pytest.fixture
def batch(pair_files) -> Batch:
    return PatchSampler(pair_files[0], 3, 16, seed=0).batch(0)


def started(method: str, **settings: object):
    return start(Run(network="n", method=method, **settings), NETWORK, TRAINING, "C4")


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
    run = Run(network="n", method="projection", norm=norm, lam_perp=0.5, lam_equi=0.25, power=power)
    network = start(run, NETWORK, TRAINING, "C4").network
    torch.nn.init.normal_(network.layers[-1].weight)
    for layer in network.layers:
        torch.nn.init.normal_(layer.bias)
    penalty = attach_method(network, run, CyclicGroup(4)).penalty
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
    network = start(run, NETWORK, TRAINING, "C4").network
    torch.nn.init.normal_(network.layers[-1].weight)
    with torch.no_grad():
        for name, (rho_in, rho_out) in layer_types(network, GROUP).items():
            layer = network.get_submodule(name)
            layer.weight.copy_(project_conv(layer.weight, rho_in, rho_out))
            layer.bias.copy_(project_bias(torch.randn_like(layer.bias), rho_out))
    assert attach_method(network, run, CyclicGroup(4)).penalty(batch, batch.target, 0).item() < 1e-5
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


@pytest.mark.parametrize("run", EVERY_METHOD, ids=lambda run: run.method)
def test_a_group_that_does_not_fit_is_one_line_before_the_first_step(run):
    with pytest.raises(InputError, match="group order 4"):
        start(run, Network(settings={"fields": 1, "group_order": 3}), TRAINING, "C4")


@pytest.mark.parametrize("run", EVERY_METHOD, ids=lambda run: run.method)
def test_a_group_between_pixels_is_one_line_before_the_first_step(run):
    with pytest.raises(InputError, match=r"study\.group: expected a group that moves pixels onto pixels, found Cyclic"):
        start(run, Network(settings={"group_order": 3}), TRAINING, "C3")


def test_every_method_starts_from_the_same_weights_and_sees_the_same_patches(train_run, monkeypatch):
    drawn: dict[str, list[torch.Tensor]] = {}
    starts: dict[str, list[torch.Tensor]] = {}
    read = PatchSampler.batch

    def remembered(sampler: PatchSampler, step: int) -> Batch:
        batch = read(sampler, step)
        drawn.setdefault(name, []).append(batch.inputs.clone())
        return batch

    monkeypatch.setattr(PatchSampler, "batch", remembered)
    for run in EVERY_METHOD:
        name = run.method
        network = start(run, NETWORK, TRAINING, "C4").network
        # a parametrised layer keeps the weight it started with; of two pathways the sum is that weight
        weights = network.state_dict()
        two = {
            key[: -len("0")]: weights[key] + weights[key[: -len("0")] + "1"]
            for key in weights
            if key[-9:] == "original0"
        }
        one = [value for key, value in weights.items() if key[-9:-1] != "original" and not key.endswith("softness")]
        starts[name] = [*two.values(), *one]
        train_run(name, run)
    equivariant = start(EVERY_METHOD[0].model_copy(update={"start": "drawn"}), NETWORK, TRAINING, "C4").network
    project_initial_(equivariant, layers=layer_types(equivariant, GROUP))
    assert all(map(torch.equal, equivariant.state_dict().values(), starts["plain"]))
    for name in drawn:
        assert len(drawn[name]) == TRAINING.epochs * TRAINING.steps_per_epoch
        assert all(map(torch.equal, drawn[name], drawn["plain"]))
        same = starts["plain"]
        shapes = {tuple(weight.shape): weight for weight in same}
        assert len(starts[name]) == len(starts["plain"])
        for weight in starts[name]:
            torch.testing.assert_close(
                weight, shapes[tuple(weight.shape)], rtol=0, atol=1e-7 * (name == "residual_pathway")
            )


@torch.no_grad()
def test_function_level_is_the_distance_between_turned_outputs(batch):
    state = started("function_level", lam_perp=0.5)
    torch.nn.init.normal_(state.network.layers[-1].weight)
    output = state.network(batch.inputs)
    expected = [
        0.5
        * float(
            (state.network(torch.rot90(batch.inputs, k, (2, 3))) - torch.rot90(output, k, (2, 3)))
            .flatten(1)
            .norm(dim=1)
            .mean()
        )
        for k in range(4)
    ]
    found = [state.method.penalty(batch, output, step).item() for step in range(12)]
    assert all(any(value == pytest.approx(one, rel=1e-5, abs=1e-6) for one in expected) for value in found)
    assert len({round(value, 4) for value in found}) > 2  # several elements are drawn


def test_eqreg_step_is_the_published_objective(batch):
    """Task loss on both halves + λ Σ ‖rot(conv(x)) − cyclic_shift(conv(rot x))‖₂, written in plain torch."""
    state = started("eqreg", lam_perp=0.25)
    torch.nn.init.normal_(state.network.layers[-1].weight)
    plain = copy.deepcopy({name: value.detach() for name, value in state.network.state_dict().items()})
    turned = state.method.batch(batch, 5)
    (turn,) = (k for k in range(4) if torch.equal(turned.inputs[3:], torch.rot90(batch.inputs, k, (2, 3))))

    def features(images: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for layer in range(3):
            images = torch.conv2d(images, plain[f"layers.{layer}.weight"], plain[f"layers.{layer}.bias"], padding=1)
            maps.append(images)
            images = images.relu()
        return maps

    first, second = features(batch.inputs), features(torch.rot90(batch.inputs, turn, (2, 3)))
    penalty = 0.0
    for one, other in zip(first, second, strict=True):
        total = 0.0
        for channel in range(one.shape[1]):
            field, place = divmod(channel, 4)
            source = 4 * field + (place + turn) % 4 if one.shape[1] > 1 else channel
            total += float((torch.rot90(one[:, channel], turn, (1, 2)) - other[:, source]).square().sum())
        penalty += 0.25 * total**0.5
    target, kept = (torch.cat([x, torch.rot90(x, turn, (2, 3))]) for x in (batch.target, batch.outside_metal))
    images = torch.cat([batch.inputs[:, 1:2], torch.rot90(batch.inputs[:, 1:2], turn, (2, 3))])
    error = (images + torch.cat([first[-1], second[-1]]) - target) ** 2 * kept
    task = float(error.sum() / kept.sum())
    assert training_step(state, batch, 5) == (pytest.approx(task + penalty, rel=1e-5), pytest.approx(penalty, rel=1e-5))


def test_eqreg_compares_half_precision_features_in_float32(batch):
    state = started("eqreg", lam_perp=1.0)
    features = []
    for layer in state.network.layers:
        layer.register_forward_hook(lambda _, __, output: features.append(output.detach().clone()))
    torch.nn.init.normal_(state.network.layers[-1].weight)
    seen = state.method.batch(batch, 5)
    (turn,) = (k for k in range(4) if torch.equal(seen.inputs[3:], torch.rot90(batch.inputs, k, (2, 3))))
    with torch.autocast("cpu", torch.bfloat16):
        penalty = state.method.penalty(seen, state.network(seen.inputs), 5)
    assert penalty.dtype == torch.float32
    expected = 0.0
    for feature in features:
        assert feature.dtype == torch.bfloat16
        first, second = torch.rot90(feature[:3].double(), turn, (2, 3)), feature[3:].double()
        if second.shape[1] > 1:
            second = second.unflatten(1, (-1, 4)).roll(-turn, dims=2).flatten(1, 2)
        expected += float((first - second).norm())
    assert penalty.item() == pytest.approx(expected, rel=1e-5)


def test_projection_penalty_is_the_same_under_autocast(batch):
    penalty = started("projection", norm="nuclear", lam_perp=1.0).method.penalty
    exact = penalty(batch, batch.target, 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(penalty(batch, batch.target, 0), exact)


@pytest.mark.parametrize("method", [name for name, facts in METHODS.items() if facts.turns_samples])
def test_methods_that_only_turn_images_refuse_turns_between_pixels(method):
    run = Run(network="n", method=method, lam_perp=float(METHODS[method].reads_lam_perp))
    with pytest.raises(InputError, match=r"study\.group: expected a group that moves pixels onto pixels, found Cyclic"):
        start(run, Network(settings={"fields": 2, "group_order": 3}), TRAINING, "C3")
