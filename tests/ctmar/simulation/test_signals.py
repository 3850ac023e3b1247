"""Images with discs and without: where the discs are, what else is equal, and what is not."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from ctmar.config import Signals, Simulation
from ctmar.errors import InputError
from ctmar.simulation.signals import discs, draw_places, region_half_side, simulate_signals
from ctmar.store.pairs import PairFile
from ctmar.store.slices import Slice, write_slices
from ctmar.units import WATER_PER_CM

SETTINGS = Simulation(
    seed=3,
    masks_per_slice={"train": 3, "validation": 1, "test": 3},
    signals=Signals(images_per_patient=4, contrast_hu=50.0, diameter_mm=8.0, reach_mm=40.0),
)
RADIUS, REACH = 2.0, 10.0


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three slices of soft tissue of patient a, two of b, of whom the second fold tests b alone; c is trained on."""
    y, x = np.mgrid[:96, :96] / 47.5 - 1
    body = np.where(x**2 / 0.8 + y**2 / 0.6 < 1, WATER_PER_CM, 0.0).astype(np.float32)
    slices = [
        Slice(body * np.float32(1 + 0.01 * k), patient, "1", f"{patient}/1/{k:04d}", 5.0 * k, 2.0)
        for k, patient in enumerate("aaabbc")
    ]
    write_slices(tmp_path / "slices.h5", slices)
    rows = ["0,a,test,3", "0,b,test,2", "0,c,train,1", "1,a,train,3", "1,b,test,2", "1,c,train,1"]
    (tmp_path / "split.csv").write_text("fold,patient,subset,n_slices\n" + "\n".join(rows) + "\n")
    return tmp_path


def simulate(folder: Path, output: str = "signals.h5", settings: Simulation = SETTINGS, **more) -> Path:
    simulate_signals(folder / "slices.h5", folder / "split.csv", folder / output, settings, **more)
    return folder / output


def test_two_entries_are_one_image_without_discs_and_with_them(study):
    with PairFile(simulate(study)) as file:
        assert file.n_pairs == file.n_slices == 16
        assert (
            file.patient == ["a"] * 8 + ["b"] * 8
        )  # the slices of a, one of them again with another mask; b twice each
        assert file.slice_index.tolist() == list(range(16))
        names = list(zip(file.slice_id, file.mask_index.tolist(), strict=True))
        assert names[::2] == names[1::2]
        assert len(set(names)) == 8
        for first in range(0, 16, 2):
            without, with_discs = file.read_pair(first), file.read_pair(first + 1)
            np.testing.assert_array_equal(without.mask, with_discs.mask)
            raised = 1000 / WATER_PER_CM * (with_discs.image - without.image)
            assert raised.max() == pytest.approx(50.0, rel=1e-4)
            assert raised.min() == 0.0
            assert not (raised * without.mask).any()
            # the discs are what the images differ by, beside noise of their own
            change = 1000 / WATER_PER_CM * (with_discs.ma_CT - without.ma_CT)
            assert change[raised == raised.max()].mean() == pytest.approx(50.0, abs=20.0)
            assert change[raised == 0].std() > 0.1


def test_any_number_of_threads_gives_the_same_bytes(study):
    paths = [simulate(study, f"{threads}.h5", threads=threads) for threads in (1, 3)]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_places_are_in_soft_tissue_near_the_metal_and_apart(seed):
    random = np.random.default_rng(seed)
    image = np.full((96, 96), WATER_PER_CM, np.float32)
    image[:, 60:] = 2 * WATER_PER_CM  # bone
    mask = np.zeros((96, 96), np.uint8)
    mask[40:48, 48:54] = 1
    places = draw_places(image, mask, RADIUS, REACH, random)
    assert 1 <= len(places) <= 4
    covered = discs(96, places, RADIUS) > 0
    assert not (covered & ((mask == 1) | (image > 1.25 * WATER_PER_CM))).any()
    distance = distance_transform_edt(mask == 0)
    assert max(distance[place] for place in places) <= REACH
    half = region_half_side(RADIUS)
    for row, column in places:
        region = covered[row - half : row + half + 1, column - half : column + half + 1]
        assert region.shape == (2 * half + 1, 2 * half + 1)
        alone = discs(96, [(row, column)], RADIUS) > 0
        assert region.sum() == alone.sum()  # no other disc looks in


def test_where_there_is_no_soft_tissue_there_is_no_place():
    nothing = np.zeros((96, 96), np.float32)
    mask = np.zeros((96, 96), np.uint8)
    mask[40:48, 40:48] = 1
    assert draw_places(nothing, mask, RADIUS, REACH, np.random.default_rng(0)) == []


def test_a_study_without_a_place_is_one_line(study):
    far = SETTINGS.model_copy(update={"signals": Signals(reach_mm=0.1)})
    with pytest.raises(InputError, match="expected soft tissue near the metal of a test image, found none"):
        simulate(study, settings=far)
    assert not (study / "signals.h5").exists()


def test_a_split_that_tests_nobody_is_one_line(study):
    (study / "split.csv").write_text("fold,patient,subset,n_slices\n0,a,train,3\n")
    with pytest.raises(InputError, match="expected images to put signals into, found no test patient"):
        simulate(study)
