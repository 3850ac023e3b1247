"""Step costs: the table, the arithmetic, and memory counted from allocations."""

import csv

import pytest
import torch
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Study, Timing, parse_settings
from ctmar.errors import InputError
from ctmar.estimate.paired_steps import Paired
from ctmar.estimate.step_cost import (
    compare,
    kept_bytes,
    measure_cost,
    methods_of,
    peak_of_allocator,
    representative_run,
)
from ctmar.evaluation.columns import COST_COLUMNS
from ctmar.models import build_network
from ctmar.training.patches import PatchSampler
from ctmar.training.state import start
from ctmar.training.step import training_step

STUDY = Study(
    networks={"small": NETWORK},
    runs=[
        {"method": "eqreg", "lam_perp": [1e-3]},
        {"method": "projection", "norm": ["frobenius", "spectral"], "lam_perp": [1e-3, 1e-2]},
        {"method": "proximal", "lam_perp": [1e-2]},
        {"method": "residual_pathway", "lam_perp": [1e-2]},
        *({"method": method} for method in ("function_level", "strict", "train_then_project", "annealed")),
        {"method": "softness", "softness": [0.1, 0.5]},
    ],
)
LARGER = {"architecture": "unet", "settings": {"levels": 2}, "batch_size": 1, "patch_size": 8}
# `small` is a network of the study, whose own is timed
TIMING = Timing.model_validate({"repeats": 6, "networks": {"larger": LARGER, "small": LARGER}})


@pytest.fixture(scope="module")
def table(pair_files, tmp_path_factory):
    path = tmp_path_factory.mktemp("cost") / "cost.csv"
    measure_cost(pair_files[0], STUDY, TRAINING, TIMING, path)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_for_each_method_and_norm_the_plain_one_first(table):
    assert list(table[0]) == list(COST_COLUMNS)
    rows = [(row["network"], row["method"], row["norm"]) for row in table]
    methods = [("plain", "none"), ("eqreg", "none"), ("projection", "frobenius"), ("projection", "spectral")]
    others = ("proximal", "residual_pathway", "function_level", "strict", "train_then_project", "annealed", "softness")
    methods += [(method, "none") for method in others]
    assert rows == [(network, *method) for network in ("small", "larger") for method in methods]
    facts = [(row["n_repeats"], row["ratio_coverage"], row["clock"], row["device"]) for row in table]
    assert set(facts) == {("6", "0.9688", "processor", "cpu")}


def test_a_network_that_is_only_timed_has_a_size_and_a_batch_of_its_own(table):
    facts = {row["network"]: (row["n_parameters"], row["batch_size"], row["patch_size"]) for row in table}
    n_parameters = [
        sum(parameter.numel() for parameter in build_network(name, **settings).parameters())
        for name, settings in ((NETWORK.architecture, NETWORK.settings), (LARGER["architecture"], LARGER["settings"]))
    ]
    assert facts == {"small": (str(n_parameters[0]), "2", "16"), "larger": (str(n_parameters[1]), "1", "8")}


def test_by_default_acdnet_is_timed_at_its_published_size():
    (timed,) = Timing().networks.values()
    network = build_network(timed.architecture, **timed.settings)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_602_809


def test_own_code_is_timed_where_it_is_trained():
    with pytest.raises(InputError, match=r"'networks\.mine\.architecture': .* study\.networks, found 'own:Net'"):
        parse_settings(Timing, "networks: {mine: {architecture: 'own:Net'}}")


def test_a_learning_rate_at_which_the_study_diverges_does_not_end_it(pair_files, tmp_path):
    wild = TRAINING.model_copy(update={"learning_rate": 1e38, "warmup_steps": 0})
    measure_cost(pair_files[0], STUDY, wild, TIMING, tmp_path / "cost.csv")
    assert (tmp_path / "cost.csv").is_file()


def test_plain_is_the_unit(table):
    assert [table[0][name] for name in ("ratio_to_plain", "penalty_milliseconds", "penalty_share")] == [
        "1.0",
        "0.0",
        "0.0",
    ]
    assert all(float(row["milliseconds_per_step"]) > 0 for row in table)


def test_eqreg_needs_twice_the_memory_and_more_time(table):
    plain, eqreg = table[:2]
    assert float(eqreg["step_memory_mb"]) > 1.8 * float(plain["step_memory_mb"])
    assert float(eqreg["ratio_to_plain"]) > 1


def test_residual_pathway_keeps_two_sets_of_weights_and_moments(pair_files):
    batch = PatchSampler(pair_files[0], 2, 16, seed=0).batch(0)
    kept = []
    for method in ("plain", "residual_pathway"):
        state = start(representative_run("n", method, "none"), NETWORK, TRAINING, "C4")
        training_step(state, batch, 0)
        kept.append(kept_bytes(state))
    assert kept[1] == pytest.approx(2 * kept[0], rel=0.01)


def test_only_methods_that_a_network_runs_are_timed():
    runs = [{"method": "eqreg", "networks": ["one"]}, {"method": "strict"}]
    study = Study(networks={"one": NETWORK, "two": NETWORK}, runs=runs)
    assert [method for method, _ in methods_of(study, "two")] == ["plain", "strict"]


def test_ratios_are_taken_within_a_repeat():
    # the machine is three times slower in some repeats: ratios stay
    row = compare([Paired(0.011 * slow, 0.010 * slow, 0.001 * slow) for slow in (1, 1, 3, 3, 3, 1)])
    assert [row[name] for name in ("ratio_to_plain", "ratio_low", "ratio_high")] == [1.1] * 3
    assert row["penalty_milliseconds"] == 2.0
    assert row["penalty_share"] == pytest.approx(1 / 11, abs=1e-4)


def test_the_penalty_by_itself_is_what_counts_not_the_difference_of_two_steps():
    row = compare([Paired(own, 0.2, 0.02) for own in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)])
    assert [row[name] for name in ("ratio_to_plain", "ratio_low", "ratio_high")] == [1.1] * 3
    assert (row["milliseconds_per_step"], row["penalty_milliseconds"]) == (350.0, 20.0)


def test_peak_counts_what_is_held_at_once():
    def one_after_another() -> None:
        for _ in range(5):
            torch.zeros(10_000)

    def at_once() -> list[torch.Tensor]:
        return [torch.zeros(10_000) for _ in range(5)]

    assert peak_of_allocator(one_after_another) == 40_000
    assert peak_of_allocator(at_once) == 200_000
