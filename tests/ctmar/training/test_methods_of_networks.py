"""Every method on every network: stages, normalisation, and filters whose weights are read but not called."""

import pytest
import torch
from tests.ctmar.training.conftest import TRAINING
from tests.ctmar.training.test_methods_of_weights import EVERY_METHOD, EXACT, by_method, defect

from ctmar.config import Network, Run
from ctmar.models import build_network, layer_types
from ctmar.training.patches import PatchSampler
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step
from equiproj import equivariance_report
from equiproj.groups import CyclicGroup

GROUP = CyclicGroup(4)
UNROLLED = {"n_stages": 1, "n_blocks": 1, "n_extra_channels": 4}
ALL = {"declare": "all", "normalisation": "field"}
SIZES = {
    "unet": {"fields": 2, "levels": 2, "normalisation": "field"},
    "acdnet": UNROLLED | ALL | {"n_maps": 4, "n_atoms": 4},
    "dicdnet": UNROLLED | ALL | {"n_maps": 4},
    "oscnet": UNROLLED | ALL | {"n_maps": 2, "n_rotations": 4},
    "oscnetplus": UNROLLED | ALL | {"n_maps": 2, "n_rotations": 4},
}
EQUIVARIANT = {name: Network(architecture=name, settings=settings) for name, settings in SIZES.items()}
PUBLISHED = Network(architecture="acdnet", settings=UNROLLED | {"n_maps": 4, "n_atoms": 4})


@pytest.fixture
def batch(pair_files):
    return PatchSampler(pair_files[0], 2, 16, seed=0).batch(0)


def trained(network: Network, run: Run, batch) -> TrainingState:
    loss = "masked_mse" if network.architecture == "unet" else "stages"
    changed = {"epochs": 1, "steps_per_epoch": 3, "learning_rate": 1e-3, "loss": loss}
    state = start(run, network, TRAINING.model_copy(update=changed), "C4")
    for step in range(3):
        training_step(state, batch, step)
    return state


def by_name(network: Network) -> str:
    return network.architecture if network is not PUBLISHED else "published"


@pytest.mark.slow
@pytest.mark.parametrize("network", [PUBLISHED, *EQUIVARIANT.values()], ids=by_name)
@pytest.mark.parametrize("run", EVERY_METHOD, ids=by_method)
def test_trains_and_ends_as_a_plain_network(batch, network, run):
    state = trained(network, run, batch)
    state.method.finish()
    fresh = build_network(network.architecture, group_order=4, **network.settings)
    fresh.load_state_dict(state.network.state_dict())
    images = batch.inputs
    torch.testing.assert_close(fresh.eval()(images), state.network.eval()(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", EQUIVARIANT)
@pytest.mark.parametrize("run", EXACT, ids=by_method)
def test_theorem_every_layer_projected_and_shared_statistics_make_the_network_equivariant(batch, architecture, run):
    state = trained(EQUIVARIANT[architecture], run, batch)
    state.method.finish()
    network = state.network.eval()
    report = equivariance_report(network, GROUP, layers=layer_types(network, GROUP), include_bias=True)
    assert max(row.ratio for row in report.rows) <= 1e-6
    assert defect(network, batch) <= 1e-5


def test_projected_layers_alone_do_not(batch):
    state = trained(PUBLISHED, EXACT[0], batch)
    state.method.finish()
    assert defect(state.network.eval(), batch) > 1e-4  # as documented: normalisation and filters are free


def test_eqreg_leaves_layers_without_features_out(batch):
    state = trained(EQUIVARIANT["acdnet"], Run(network="n", method="eqreg", lam_perp=1e-3), batch)
    _, penalty = training_step(state, batch, 2)
    assert penalty > 0  # the dictionary of ACDNet is read, not called
    # and finding those out did not touch the statistics of normalisation
    fresh = start(Run(network="n", method="eqreg", lam_perp=1e-3), EQUIVARIANT["acdnet"], TRAINING, "C4")
    assert fresh.network.training
    counters = [value for name, value in fresh.network.named_buffers() if name.endswith("num_batches_tracked")]
    assert counters
    assert not any(counters)
