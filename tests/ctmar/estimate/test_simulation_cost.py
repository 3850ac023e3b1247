"""The estimate against what a simulation really wrote, and the refusal when it cannot fit."""

from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctmar.cli import app
from ctmar.config import Simulation
from ctmar.errors import InputError
from ctmar.estimate.simulation_cost import (
    PairCost,
    SimulationEstimate,
    check_disk,
    estimate,
    estimate_work,
    measure_pair,
    synthetic_slice,
)
from ctmar.simulation.operators import NUMBA
from ctmar.simulation.subset import Work, simulate_subset
from ctmar.store.slices import Slice, write_slices

COST = PairCost(416, 2.0, 0.5, {"image": 100, "poly_CT": 200, "poly_sinogram": 1000}, {"ma_CT": 300, "metal_trace": 50})
FREE = namedtuple("FREE", "total used free")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    source = synthetic_slice(64)
    slices = [Slice(source.image, "a", "1", f"a/1/{k:04d}", 5.0 * k, source.pixel_mm) for k in range(4)]
    write_slices(tmp_path / "slices.h5", slices)
    (tmp_path / "split.csv").write_text("patient,subset\na,test\n")
    return tmp_path


def simulate(folder: Path, settings: Simulation, **more) -> list[SimulationEstimate]:
    said: list[SimulationEstimate] = []
    output = folder / "pairs.h5"

    def announce(work: Work) -> None:
        said.append(estimate_work(work))
        check_disk(said[-1], output)

    simulate_subset(folder / "slices.h5", folder / "split.csv", "test", output, settings, announce=announce, **more)
    return said


def test_slices_and_pairs_are_multiplied(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    expected = estimate(COST, n_slices=10, n_masks=4, threads=2, store_sinograms=False)
    assert expected.seconds == pytest.approx(10 * (2.0 + 4 * 0.5) / 2)
    assert (expected.image_bytes, expected.sinogram_bytes) == (10 * 300 + 40 * 300, 10 * 1000 + 40 * 50)
    assert expected.n_bytes == 15_000
    assert estimate(COST, 10, 4, 64, True).seconds == expected.seconds
    assert estimate(COST, 10, 4, 64, True).n_bytes == 27_000


def test_it_is_one_line_that_a_person_reads():
    cost = PairCost(416, 0.6, 0.4, {"image": 400_000}, {"ma_CT": 2_000_000, "ma_sinogram": 4_000_000})
    assert str(estimate(cost, 1000, 90, 1, False)) == (
        "1,000 slices × 90 masks = 90,000 pairs of 416 × 416 pixels; 10 h on 1 thread;"
        " 180 GB without sinograms, 540 GB with (180 GB as set)"
    )


@pytest.mark.parametrize("sinograms", [False, True])
def test_disk_is_what_is_written(study: Path, sinograms: bool):
    settings = Simulation(store_sinograms=sinograms, nmar=["test"], masks_per_slice={"test": 5, "train": 1})
    (expected,) = simulate(study, settings)
    assert (expected.n_slices, expected.n_masks, expected.image_size) == (4, 5, 64)
    # the small columns and HDF5's own books are not counted: they matter in a file as small as this one
    assert expected.n_bytes == pytest.approx((study / "pairs.h5").stat().st_size, rel=0.1)


def test_a_shard_is_estimated_by_itself(study: Path):
    settings = Simulation(masks_per_slice={"test": 2})
    assert [said.n_slices for said in simulate(study, settings, shard=1, n_shards=2)] == [2]
    assert simulate(study, settings, shard=0, n_shards=8) == []  # no slice of four in the first of eight


def test_a_full_disk_is_said_before_the_work(study: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: FREE(10**9, 10**9, 5000))
    with pytest.raises(InputError, match=r"pairs\.h5: expected about [0-9.]+ kB of free disk for it, found 5 kB: draw"):
        simulate(study, Simulation(masks_per_slice={"test": 2}))
    assert not (study / "pairs.h5").exists()


def test_room_is_looked_for_where_the_file_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Path] = []
    monkeypatch.setattr("shutil.disk_usage", lambda folder: asked.append(folder) or FREE(1, 1, 10**15))
    check_disk(estimate(COST, 1, 1, 1, False), tmp_path / "not" / "there" / "yet.h5")
    assert asked == [tmp_path]


def test_the_synthetic_slice_costs_like_a_real_one():
    cost = measure_pair(Simulation(), NUMBA, synthetic_slice(96), None, nmar=True)
    assert set(cost.slice_bytes) == {"image", "poly_CT", "poly_sinogram"}
    assert {"ma_CT", "LI_CT", "NMAR_CT", "mask", "ma_sinogram", "LI_sinogram", "metal_trace"} == set(cost.pair_bytes)
    # noise does not compress: an image takes most of its 4 bytes a pixel
    assert 0.5 < cost.pair_bytes["ma_CT"] / (4 * 96 * 96) < 1
    assert cost.slice_seconds > 0
    assert cost.pair_seconds > 0


@pytest.mark.parametrize("preset", ["benchmark", "physical"])
def test_the_command_needs_no_data(preset: str):
    options = ["--slices", "1000", "--masks", "90", "--image-size", "64", "--settings", f"{{preset: {preset}}}"]
    shown = CliRunner().invoke(app, ["estimate-simulation", *options])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("1,000 slices × 90 masks = 90,000 pairs of 64 × 64 pixels; ")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(7199.0, "120 min"), (170_000.0, "47 h"), (119.0, "120 s"), (9e6, "100 days")]
)
def test_times_are_never_powers_of_ten(seconds, shown):
    assert f"; {shown} on 1 thread" in str(SimulationEstimate(10, 1, 64, 1, seconds, 1, 1, False))
