"""Estimates: operations against a closed form, what is scaled how, and the sums."""

import pytest
from tests.ctmar.training.conftest import NETWORK, TRAINING

from ctmar.config import Config, Network, RunGroup
from ctmar.estimate import training_cost as estimate
from ctmar.estimate.training_cost import StepCost, TrainingEstimate, estimate_training

RUNS = [
    {"method": "eqreg", "lam_perp": [1e-3, 1e-2]},
    {"method": "projection", "norm": ["frobenius", "spectral"], "lam_perp": [1e-3]},
    {"method": "strict"},
]
PATCH = 32


@pytest.fixture(scope="module")
def config() -> Config:
    training = TRAINING.model_copy(update={"patch_size": PATCH, "device": "cuda", "precision": "bfloat16"})
    return Config.model_validate(
        {
            "ingest": {"image_size": 64},
            "training": training.model_dump(),
            "study": {"networks": {"small": NETWORK.model_dump()}, "seeds": [0, 1], "runs": RUNS},
        }
    )


@pytest.fixture(scope="module")
def rows(config) -> dict[tuple[str, str], TrainingEstimate]:
    return {(row.method, row.norm): row for row in estimate_training(config, "cpu")}


def flops_of_a_step(n_images: int, n_pixels: int) -> int:
    """Multiplications and additions of three 3×3 convolutions 3→8→8→1, forward and backward.

    The backward pass costs a forward pass for the weights and one for the inputs, of which the first layer has none.
    """
    per_pixel = [2 * 9 * n_in * n_out for n_in, n_out in ((3, 8), (8, 8), (8, 1))]
    return n_images * n_pixels * (2 * sum(per_pixel) + sum(per_pixel[1:]))


def test_every_method_and_norm_of_the_study_and_no_other(rows):
    assert [(*key, row.n_runs, row.n_steps) for key, row in rows.items()] == [
        ("eqreg", "none", 4, 48),
        ("projection", "frobenius", 2, 24),
        ("projection", "spectral", 2, 24),
        ("strict", "none", 2, 24),
    ]
    assert all(row.step.seconds > 0 and row.network == "small" for row in rows.values())


def test_operations_are_those_of_the_convolutions(rows):
    plain = flops_of_a_step(TRAINING.batch_size, PATCH**2)
    assert rows["eqreg", "none"].step.flops == 2 * plain
    assert rows["projection", "frobenius"].step.flops == plain
    assert rows["strict", "none"].step.flops == plain


def test_validation_is_a_third_of_a_step_for_the_pixels_of_a_slice(rows):
    # 3 epochs × 2 slices of 64² are 12 batches of 2 patches of 32²
    assert rows["strict", "none"].validation.flops == pytest.approx(12 * flops_of_a_step(2, PATCH**2) / 3)


def test_a_method_that_averages_validates_once_for_each_element(config, rows):
    study = config.study.model_copy(update={"runs": [RunGroup(method="test_time_average")]})
    (row,) = estimate_training(config.model_copy(update={"study": study}), "cpu")
    assert row.validation.flops == pytest.approx(4 * rows["strict", "none"].validation.flops)
    assert row.step.flops == rows["strict", "none"].step.flops


def test_a_slow_network_is_measured_on_one_patch_and_scaled(config, rows, monkeypatch):
    monkeypatch.setattr(estimate, "FULL_SIZE_SECONDS", 0.0)
    monkeypatch.setattr(estimate, "SMALL_PATCH", PATCH // 2)
    for row in estimate_training(config, "cpu"):
        assert row.step.flops == pytest.approx(rows[row.method, row.norm].step.flops, rel=1e-9)
        assert row.step.seconds > 0


def test_sums_are_over_runs_steps_and_validations():
    row = TrainingEstimate("n", "plain", "none", 3, 30, StepCost(2.0, 20.0), StepCost(5.0, 50.0))
    assert (row.seconds, row.flops) == (75.0, 750.0)


def test_a_learning_rate_at_which_the_study_diverges_does_not_end_it(config):
    wild = config.training.model_copy(update={"learning_rate": 1e38, "warmup_steps": 0})
    assert estimate_training(config.model_copy(update={"training": wild}), "cpu")


def test_published_weights_need_not_be_there(config):
    network = Network.model_validate(NETWORK.model_dump() | {"weights": "nowhere.pt"})
    study = config.study.model_copy(update={"networks": {"small": network}})
    assert estimate_training(config.model_copy(update={"study": study}), "cpu")


def test_progress_counts_every_measurement(config):
    seen: list[tuple[int, int]] = []
    estimate_training(config, "cpu", lambda done, total, text: seen.append((done, total)))
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]  # the plain step is measured too
