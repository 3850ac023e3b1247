"""What jobs are asked for: how it grows, what a site changes, and that it is remembered."""

import json

import pytest

from ctmar.config import Config, Run, Site
from ctmar.estimate import counts_memory, step_counts
from ctmar.estimate.counts_memory import counts_of_networks
from ctmar.estimate.data_demand import DataDemand
from ctmar.estimate.training_demand import TrainingDemand
from ctmar.estimate.work_counts import Counts, NetworkCounts

STEP = Counts(flops=6e11, calls=100, bytes_moved=8e9, peak_bytes=2e9)  # 11 s of one core
COUNTS = {"n": NetworkCounts(state_bytes=4e6, step=STEP, prediction=Counts(6e9, 30, 8e7, 1e8))}
PLAIN = Run(network="n", method="plain")


def study(**sections: dict) -> Config:
    base = {
        "source": {"patients": ["a", "b", "c"]},
        "ingest": {"image_size": 128, "maximum_slices_per_patient": 10},
        "training": {"epochs": 2, "steps_per_epoch": 50, "batch_size": 8},
        "study": {"networks": {"n": {}}, "runs": [{"method": "plain"}, {"method": "strict"}]},
    }
    return Config.model_validate({key: base.get(key, {}) | sections.get(key, {}) for key in base | sections})


def model(site: Site | None = None, **sections: dict) -> TrainingDemand:
    return TrainingDemand(study(**sections), site or Site(), COUNTS)


def test_time_is_that_of_the_steps_and_memory_that_of_what_lives_at_once():
    one, two = model().job([PLAIN], 0), model(training={"epochs": 4}).job([PLAIN], 0)
    assert two.minutes - 10 == pytest.approx(2 * (one.minutes - 10), rel=0.1)
    assert two.memory_mb == one.memory_mb
    assert 2e9 * 1.35 / 1e6 < one.memory_mb < 2 * 2e9 * 1.35 / 1e6
    ten = model().job([PLAIN.model_copy(update={"seed": seed}) for seed in range(10)], 0)
    assert ten.minutes - 10 == pytest.approx(10 * (one.minutes - 10), rel=0.1)
    assert ten.memory_mb == one.memory_mb


def test_a_method_that_doubles_the_batch_takes_twice_the_working_memory():
    both = Run(network="n", method="eqreg", lam_perp=1e-3)
    assert model().run_memory_mb(both) - model().run_memory_mb(PLAIN) == pytest.approx(2e9 * 1.35 / 1e6, rel=0.01)


def test_workers_take_their_memory_each_and_share_the_time():
    runs = [PLAIN.model_copy(update={"seed": seed}) for seed in range(8)]
    alone, four = model().job(runs, 0), model(Site(trainings_per_cpu_job=4)).job(runs, 0)
    assert four.memory_mb == pytest.approx(4 * alone.memory_mb, rel=0.1)
    assert four.minutes - 10 == pytest.approx((alone.minutes - 10) / 4, rel=0.1)


def test_no_more_trainings_share_a_gpu_than_fit_into_its_memory():
    runs = [PLAIN.model_copy(update={"seed": seed}) for seed in range(40)]
    gpu = {"device": "cuda", "epochs": 2, "steps_per_epoch": 50}
    need = model(training=gpu).run_gpu_memory_mb(PLAIN)
    for memory, expected in ((None, 16), (10 * need, 16), (1.5 * need, 8), (0.5 * need, 8)):
        site = Site(trainings_per_gpu=2, gpus_per_job=8, gpu_memory_mb=memory and round(memory))
        assert model(site, training=gpu).workers(runs, 8) == expected
    assert model(Site(trainings_per_gpu=2), training=gpu).workers(runs[:3], 8) == 3


def test_a_slower_core_and_a_slower_gpu_get_more_time():
    assert model(Site(slowness=3)).run_seconds(PLAIN) > 2.5 * model().run_seconds(PLAIN)
    gpu = {"device": "cuda", "epochs": 2, "steps_per_epoch": 5000}
    slow, fast = (model(Site(teraflops=value), training=gpu).run_seconds(PLAIN) for value in (1, 10))
    assert slow > 8 * fast


def test_simulation_shards_share_the_time_and_larger_slices_take_longer():
    def minutes(**sections: dict) -> int:
        large = {"masks_per_slice": {"train": 90}} | sections.pop("simulation", {})
        return DataDemand(study(simulation=large, **sections), Site()).simulation("train", threads=1).minutes - 10

    assert minutes() == pytest.approx(10 * minutes(simulation={"shards": 10}), rel=0.2)
    assert minutes(ingest={"image_size": 416}) > 8 * minutes()


def test_counts_are_remembered_until_something_changes(tmp_path, monkeypatch):
    counted = []

    def count(network, training, group, image_size):
        counted.append(network.settings)
        return COUNTS["n"]

    monkeypatch.setattr(step_counts, "count_network", count)
    memory = [tmp_path / "folder" / "counts.json"]
    for _ in range(2):
        assert counts_of_networks(study(), "code", memory) == COUNTS
    assert len(counted) == 1
    counts_of_networks(study(training={"epochs": 7, "steps_per_epoch": 3, "batch_size": 8}), "code", memory)
    assert len(counted) == 1  # nothing that a step consists of
    counts_of_networks(study(training={"batch_size": 9}), "code", memory)
    counts_of_networks(study(), "other code", memory)
    counts_of_networks(study(ingest={"image_size": 64, "maximum_slices_per_patient": 10}), "code", memory)
    counts_of_networks(study(study={"networks": {"n": {"settings": {"depth": 3}}}}), "code", memory)
    assert len(counted) == 5


def test_counts_go_into_the_first_memory_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(step_counts, "count_network", lambda *arguments: COUNTS["n"])
    (tmp_path / "file").write_text("")
    memories = [tmp_path / "file" / "counts.json", tmp_path / "own.json", tmp_path / "other.json"]
    counts_of_networks(study(), "code", memories)
    counts_of_networks(study(training={"batch_size": 9}), "code", memories[1:])
    assert len(counts_memory._read(memories[1])) == 2
    assert not memories[2].exists()
    monkeypatch.setattr(counts_memory, "_KEPT", 2)
    counts_of_networks(study(), "new code", memories)
    assert len(counts_memory._read(memories[1])) == 2
    monkeypatch.delattr(step_counts, "count_network")
    assert counts_of_networks(study(), "new code", memories) == COUNTS  # the newest stay


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', json.dumps({"a": [1, 2, 3]})])
def test_a_memory_that_is_none_of_ours_is_made_again(tmp_path, monkeypatch, content):
    monkeypatch.setattr(step_counts, "count_network", lambda *arguments: COUNTS["n"])
    memory = tmp_path / "counts.json"
    memory.write_text(content)
    assert counts_of_networks(study(), "code", [memory]) == COUNTS
    assert counts_memory._read(memory)
