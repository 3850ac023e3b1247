"""Methods that compute with weights: what they promise of the finished network, and that a restart keeps it."""

import json
import math

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Run
from ctmar.config.methods import METHODS
from ctmar.models import build_network, layer_types
from ctmar.models.non_equivariance import (
    layer_norms,
    non_equivariance_growth,
    non_equivariance_of_start,
    together,
)
from ctmar.training.patches import PatchSampler
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step
from equiproj import equivariance_report
from equiproj.groups import CyclicGroup
from equiproj.projections import project_conv

GROUP = CyclicGroup(4)
EVERY_METHOD = [
    Run(network="n", method="plain"),
    Run(network="n", method="augmentation"),
    Run(network="n", method="eqreg", lam_perp=1e-3),
    Run(network="n", method="function_level", lam_perp=1e-3),
    Run(network="n", method="projection", norm="spectral", lam_perp=1e-3, lam_equi=1e-4),
    Run(network="n", method="proximal", lam_perp=100.0),
    Run(network="n", method="residual_pathway", lam_perp=1e-2, lam_equi=1e-5),
    Run(network="n", method="strict"),
    Run(network="n", method="train_then_project"),
    Run(network="n", method="annealed"),
    Run(network="n", method="softness", softness=0.3),
    Run(network="n", method="test_time_average"),
]
ADAPTED = [
    Run(network="n", method="projection", norm="frobenius", target=0.02),
    Run(network="n", method="projection", norm="nuclear", balance=0.1, power=2),
    Run(network="n", method="proximal", target=0.02),
    Run(network="n", method="proximal", balance=0.5),
]
EXACT = [run for run in EVERY_METHOD if run.method in ("strict", "train_then_project", "annealed")]


def test_every_method_is_here():
    assert {run.method for run in EVERY_METHOD} == set(METHODS)


def by_method(run: Run) -> str:
    return run.method + "-target" * bool(run.target) + "-balance" * bool(run.balance)


@pytest.fixture
def batch(pair_files):
    return PatchSampler(pair_files[0], 3, 16, seed=0).batch(0)


def trained(run: Run, batch, n_steps: int = 30) -> TrainingState:
    """Some steps with a rate large enough to move every weight, biases too."""
    training = TRAINING.model_copy(update={"learning_rate": 5e-3, "epochs": 1, "steps_per_epoch": n_steps})
    state = start(run, NETWORK, training, "C4")
    for step in range(n_steps):
        training_step(state, batch, step)
    return state


def defect(network, batch) -> float:
    """Maximum over quarter turns of ‖f(g·x) − g·f(x)‖_∞."""
    images = batch.inputs
    with torch.no_grad():
        return max(
            float((network(torch.rot90(images, k, (-2, -1))) - torch.rot90(network(images), k, (-2, -1))).abs().max())
            for k in range(1, 4)
        )


def ratios(network) -> list[float]:
    report = equivariance_report(network, GROUP, layers=layer_types(network, GROUP), include_bias=True)
    return [row.ratio for row in report.rows]


@pytest.mark.parametrize("run", EXACT, ids=by_method)
def test_theorem_strict_and_projected_networks_are_equivariant(batch, run):
    state = trained(run, batch)
    if run.method != "strict":
        assert defect(state.network, batch) > 1e-3
    state.method.finish()
    assert max(ratios(state.network)) <= 1e-6
    assert defect(state.network, batch) <= 1e-5
    assert (state.network(batch.inputs) - batch.inputs[:, 1:2]).abs().max() > 1e-3  # and it is not LI alone


def test_theorem_the_test_time_average_of_a_plain_network_is_equivariant(batch):
    plain, averaged = (trained(Run(network="n", method=method), batch) for method in ("plain", "test_time_average"))
    for one, other in zip(plain.network.parameters(), averaged.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert defect(averaged.predictor, batch) <= 1e-6 < 1e-3 < defect(plain.predictor, batch)


@pytest.mark.slow
@pytest.mark.parametrize("run", EVERY_METHOD, ids=by_method)
def test_finished_weights_load_into_a_plain_network(batch, run):
    state = trained(run, batch)
    state.method.finish()
    fresh = build_network(NETWORK.architecture, group_order=4, **NETWORK.settings)
    fresh.load_state_dict(state.network.state_dict())
    torch.testing.assert_close(fresh(batch.inputs), state.network(batch.inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("run", EVERY_METHOD, ids=by_method)
def test_the_norms_of_the_start_are_those_of_the_weights_that_every_method_is_given(run):
    drawn = start(run.model_copy(update={"start": "drawn"}), NETWORK, TRAINING, "C4").start_norms
    projected = start(run.model_copy(update={"start": "equivariant"}), NETWORK, TRAINING, "C4").start_norms
    plain = start(Run(network="n", method="plain", start="drawn"), NETWORK, TRAINING, "C4")
    assert drawn == plain.start_norms == together(layer_norms(plain.network, GROUP))
    assert drawn.ratio == pytest.approx(math.sqrt(3 / 4), rel=0.05)  # a quarter of the dimensions is equivariant
    assert projected.ratio < 1e-6
    assert non_equivariance_growth(drawn, drawn) == non_equivariance_growth(projected, projected) == 0.0
    assert non_equivariance_of_start(drawn, drawn) == 1.0
    assert math.isnan(non_equivariance_of_start(projected, projected))


def test_what_is_projected_after_training_has_lost_all_that_was_drawn(batch):
    run = Run(network="n", method="train_then_project", start="drawn")
    state = trained(run, batch)
    state.method.finish()
    end = together(layer_norms(state.network, GROUP))
    assert non_equivariance_growth(state.start_norms, end) == pytest.approx(-state.start_norms.ratio, abs=1e-6)
    assert non_equivariance_of_start(state.start_norms, end) < 1e-6


@pytest.mark.parametrize("softness", [0.0, 0.3, 1.0])
def test_softness_scales_what_is_not_equivariant(batch, softness):
    state = trained(Run(network="n", method="softness", softness=softness, start="drawn"), batch)
    raw = {
        name.replace("parametrizations.", "").replace(".original", ""): value.clone()
        for name, value in state.network.state_dict().items()
        if name.endswith(".original")
    }
    state.method.finish()
    free = build_network(NETWORK.architecture, group_order=4, **NETWORK.settings)
    free.load_state_dict(raw)
    reports = [
        equivariance_report(network, GROUP, layers=layer_types(network, GROUP), include_bias=True).rows
        for network in (state.network, free)
    ]
    for soft, whole in zip(*reports, strict=True):
        assert soft.norm_perpendicular == pytest.approx(softness * whole.norm_perpendicular, rel=1e-4, abs=1e-6)
        assert soft.norm_equivariant == pytest.approx(whole.norm_equivariant, rel=1e-4)
    assert sum(whole.norm_perpendicular for whole in reports[1]) > 0.1


def test_annealed_relaxes_up_to_half_time_and_comes_back(batch):
    state = start(Run(network="n", method="annealed"), NETWORK, TRAINING, "C4")
    assert max(ratios(state.network)) <= 1e-6
    with torch.no_grad():  # as training does once the softness lets a gradient through
        for parameter in state.network.parameters():
            parameter.add_(torch.randn(parameter.shape))
    seen = []
    for progress in (0.0, 0.25, 0.5, 0.75):
        state.method.begin_step(progress)
        seen.append(max(ratios(state.network)))
    assert seen[0] <= 1e-6
    assert seen[2] > 0.5
    assert seen[1] == pytest.approx(seen[3])
    assert seen[0] < seen[1] < seen[2]


def test_proximal_ends_equivariant_under_a_strong_weight_and_not_without_one(batch):
    free, bound = (trained(Run(network="n", method="proximal", lam_perp=weight), batch) for weight in (0.0, 100.0))
    assert max(ratios(bound.network)) <= 1e-6
    assert defect(bound.network, batch) <= 1e-5
    assert max(ratios(free.network)) > 0.05
    assert defect(free.network, batch) > 1e-3


@pytest.mark.parametrize("run", [run for run in ADAPTED if run.target], ids=by_method)
def test_a_target_is_reached_without_a_weight(batch, run):
    """A plain network goes far beyond it from the equivariant start, and stays at √¾ from what was drawn."""
    found = [
        together(layer_norms(trained(each.model_copy(update={"start": begin}), batch, 300).network, GROUP)).ratio
        for each in (run, Run(network="n", method="plain"))
        for begin in ("equivariant", "drawn")
    ]
    assert found[0] == pytest.approx(run.target, rel=0.25)
    assert found[1] < 2 * run.target
    assert min(found[2:]) > 4 * run.target


def test_residual_pathway_decays_each_pathway_by_its_weight_beside_the_optimiser():
    run = Run(network="n", method="residual_pathway", lam_perp=0.5, lam_equi=0.125, start="drawn")
    state = start(run, NETWORK, TRAINING, "C4")
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    assert all(group["weight_decay"] == 0 for group in state.optimiser.param_groups)
    state.method.end_step(0.1)
    for name, parameter in state.network.named_parameters():
        decay = {"original0": 0.125, "original1": 0.5}[name.rsplit(".", 1)[1]]
        torch.testing.assert_close(parameter.detach(), before[name] / (1 + 0.1 * decay))


@pytest.mark.parametrize("begin", ["equivariant", "drawn"])
def test_theorem_methods_of_one_start_are_one_function_before_the_first_step(batch, begin):
    """From an equivariant start all twelve; from drawn weights all but those that project or blend what was drawn."""
    outputs = {}
    for run in [*EVERY_METHOD, *ADAPTED]:
        state = start(run.model_copy(update={"start": begin}), NETWORK, TRAINING, "C4")
        layer, types = list(layer_types(state.network, GROUP).items())[-1]
        weight = torch.randn(1, state.network.n_hidden, 3, 3, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():  # the last layer starts at zero, where every network would be the same
            for name, parameter in state.network.named_parameters():
                if name.startswith(layer) and parameter.ndim == 4 and not name.endswith("original1"):
                    parameter.copy_(project_conv(weight, *types))
            outputs[by_method(run)] = state.network(batch.inputs)
    others = {"strict", "annealed", "softness"} if begin == "drawn" else set()
    for name, output in outputs.items():
        same = torch.allclose(output, outputs["plain"], rtol=1e-4, atol=1e-5)
        assert same == (name not in others), name


@pytest.mark.slow
def test_residual_pathway_with_a_strong_decay_of_the_free_pathway_becomes_equivariant(batch):
    free, bound = (
        trained(Run(network="n", method="residual_pathway", lam_perp=decay, start="drawn"), batch, 300)
        for decay in (0.0, 1000.0)
    )
    for state in (free, bound):
        state.method.finish()
    assert min(ratios(free.network)[::2]) > 0.5  # of the kernels; the last bias is always equivariant
    assert max(ratios(bound.network)) < 0.01
    assert defect(bound.network, batch) < 0.05 * defect(free.network, batch)


@pytest.mark.slow
@pytest.mark.parametrize("run", EVERY_METHOD[5:] + ADAPTED, ids=by_method)
def test_stopped_between_epochs_goes_on_to_the_same_bits(train_run, run):
    class StoppedError(Exception):
        pass

    def stop_after_two(done: int, *_: object) -> None:
        if done == 8:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_run("stopped", run, progress=stop_after_two)
    resumed, whole = train_run("stopped", run), train_run("whole", run)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()


@pytest.mark.parametrize("run", EXACT, ids=by_method)
def test_a_trained_run_describes_the_finished_weights(train_run, run):
    layers = json.loads(train_run("run", run).run.read_text())["layers"]
    assert len(layers) == 6
    assert max(layer["ratio"] for layer in layers) <= 1e-6
