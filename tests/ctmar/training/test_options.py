"""Options of a step: each changes what it says, and nothing else."""

import copy

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Network, Run, Training
from ctmar.errors import InputError
from ctmar.training import step as step_module
from ctmar.training.patches import PatchSampler
from ctmar.training.schedule import learning_rate
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step
from equiproj.representations import trivial

PLAIN = Run(network="n", method="plain")
RUNS = [
    PLAIN,
    Run(network="n", method="augmentation"),
    Run(network="n", method="projection", norm="spectral", lam_perp=1e-2),
    Run(network="n", method="strict"),
]


@pytest.fixture
def sampler(pair_files):
    return PatchSampler(pair_files[0], 5, 16, seed=0)


def steps(sampler: PatchSampler, run: Run = PLAIN, n_steps: int = 4, **options: object) -> TrainingState:
    """A network whose last layer is not zero, some steps on."""
    state = start(run, NETWORK, TRAINING.model_copy(update=options), "C4")
    last = list(state.network.parameters())[-2]
    with torch.no_grad():
        last.copy_(torch.linspace(-0.02, 0.02, last.numel()).reshape(last.shape))
    state.losses = [training_step(state, sampler.batch(step).to(state.device), step)[0] for step in range(n_steps)]
    return state


def largest_difference(one: TrainingState, other: TrainingState) -> float:
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.method)
@pytest.mark.parametrize("parts", [2, 5, 99])
def test_accumulated_gradients_are_those_of_the_whole_batch(sampler, run, parts):
    gradients = []
    for accumulation in (1, parts):
        state = steps(sampler, run, n_steps=0, accumulation=accumulation)
        step_module.backward(state, sampler.batch(0), 0, state.forward)
        gradients.append([parameter.grad for parameter in state.network.parameters()])
    scale = max(gradient.abs().max().item() for gradient in gradients[0])
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, summed, rtol=1e-4, atol=1e-6 * scale)


def test_masked_means_are_weighted_by_pixels_not_by_parts(sampler):
    batch = sampler.batch(0)
    batch.outside_metal[0] = 0  # one part then holds far fewer pixels than the other
    batch.outside_metal[0, :, :2] = 1
    losses = []
    for accumulation in (1, 2):
        state = steps(sampler, n_steps=0, accumulation=accumulation)
        losses.append(step_module.backward(state, batch, 0, state.forward)[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_accumulation_calls_a_penalty_of_weights_once(sampler):
    projection = RUNS[2]
    _, whole, _ = step_module.backward(*arguments(sampler, projection, 1))
    _, parts, _ = step_module.backward(*arguments(sampler, projection, 3))
    assert whole == pytest.approx(parts, rel=1e-6)


def arguments(sampler, run, accumulation):
    state = steps(sampler, run, n_steps=0, accumulation=accumulation)
    return state, sampler.batch(0), 0, state.forward


@pytest.mark.parametrize("method", ["eqreg", "function_level"])
def test_accumulation_cuts_before_a_method_of_features(sampler, method):
    state = steps(sampler, Run(network="n", method=method, lam_perp=1e-3), accumulation=2)
    assert all(loss > 0 for loss in state.losses)
    whole = steps(sampler, Run(network="n", method=method, lam_perp=0.0))
    parts = steps(sampler, Run(network="n", method=method, lam_perp=0.0), accumulation=2)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-4)  # without its penalty the task loss is the same


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.method)
def test_half_precision_is_near_float32(sampler, run, precision):
    full, half = (steps(sampler, run, n_steps=12, precision=name) for name in ("float32", precision))
    assert half.losses[-1] == pytest.approx(full.losses[-1], rel=0.1)
    assert 0 < largest_difference(full, half) < 0.02
    assert all(parameter.dtype == torch.float32 for parameter in half.network.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_penalties_of_weights_are_computed_in_float32(sampler, precision):
    state = steps(sampler, RUNS[2], n_steps=0, precision=precision)
    expected = state.method.penalty(None, None, 0).item()
    assert step_module.backward(state, sampler.batch(0), 0, state.forward)[1] == expected


def test_float16_scales_the_loss_and_skips_a_step_that_overflows(sampler):
    state = steps(sampler, n_steps=0, precision="float16")
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = copy.deepcopy(state.network.state_dict())
    loss, _ = training_step(state, sampler.batch(0), 0)
    assert loss < 1
    assert state.scaler.get_scale() == 2.0**119
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.network.state_dict().items())


def test_layout_of_memory_changes_only_rounding(sampler):
    last, first = (steps(sampler, channels_last=value) for value in (True, False))
    assert last.network.layers[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert first.network.layers[1].weight.is_contiguous()
    assert largest_difference(last, first) < 1e-4


@pytest.mark.slow
def test_compiled_is_the_same_network(sampler):
    compiled, eager = (steps(sampler, RUNS[2], n_steps=2, compile=value) for value in (True, False))
    assert largest_difference(compiled, eager) < 1e-4
    assert compiled.network.state_dict().keys() == eager.network.state_dict().keys()


def test_milestones_halve_the_rate_after_their_epochs():
    training = Training(
        epochs=300, steps_per_epoch=10, learning_rate=2e-4, schedule="milestones", milestones=[50, 100], warmup_steps=0
    )
    rates = [learning_rate(training, step) for step in (0, 499, 500, 999, 1000, 2999)]
    assert rates == [2e-4, 2e-4, 1e-4, 1e-4, 5e-5, 5e-5]
    torch_rates = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=2e-4)
    oracle = torch.optim.lr_scheduler.MultiStepLR(torch_rates, milestones=[50, 100], gamma=0.5)
    for epoch in range(120):
        assert learning_rate(training, 10 * epoch) == pytest.approx(oracle.get_last_lr()[0])
        torch_rates.step()
        oracle.step()


def test_stages_need_a_network_that_has_them():
    with pytest.raises(InputError, match=r"training\.loss: expected 'masked_mse' for DnCNN.*found 'stages'"):
        start(PLAIN, NETWORK, TRAINING.model_copy(update={"loss": "stages"}), "C4")


STAGES = Network(architecture="acdnet", settings={"n_stages": 2, "n_maps": 4, "n_extra_channels": 3, "n_blocks": 1})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_published_loss_trains_an_unrolled_network(sampler, precision):
    training = TRAINING.model_copy(update={"loss": "stages", "betas": (0.5, 0.999), "precision": precision})
    state = start(PLAIN, STAGES, training, "C4")
    batch = sampler.batch(0).to(state.device)
    losses = [training_step(state, batch, 0)[0] for _ in range(6)]
    assert losses[-1] < losses[0]
    with torch.no_grad():
        outputs = start(PLAIN, STAGES, training, "C4").forward(batch.inputs)
    mask, n_pixels = batch.outside_metal, batch.target.numel()
    errors = [(weight, 127.5 * mask * (image - batch.target)) for weight, image in outputs.images]
    artefact = batch.inputs[:, :1] - batch.target
    residues = [(weight, 127.5 * mask * (image - artefact)) for weight, image in outputs.artefacts]
    expected = sum(w * (e.square().sum() / n_pixels + 5e-4 * e.abs().sum()) for w, e in errors)
    expected += sum(w * 5e-4 * e.abs().sum() for w, e in residues)
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5 if precision == "float32" else 0.05)


def test_layers_that_draw_do_so_as_a_function_of_the_step(sampler, monkeypatch):
    def with_dropout(*_: object, **__: object) -> torch.nn.Module:
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 3, padding=1), torch.nn.Dropout(0.5))
        network.layer_types = lambda group: {"0": (3 * trivial(group), trivial(group))}
        return network

    monkeypatch.setattr("ctmar.training.state.build_network", with_dropout)
    losses = []
    for _ in range(2):
        state = start(PLAIN.model_copy(update={"start": "drawn"}), Network(), TRAINING, "C4")
        torch.rand(7)  # the generator's state is nobody's business
        losses.append([training_step(state, sampler.batch(step).to(state.device), step)[0] for step in (4, 5)])
    assert losses[0] == losses[1]
