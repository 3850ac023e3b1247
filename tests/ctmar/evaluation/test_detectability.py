"""Detectability of predictions that are known: right, blind, shifted, noisy."""

from pathlib import Path

import numpy as np
import pytest

from ctmar.errors import InputError
from ctmar.evaluation.detectability import SignalImages
from ctmar.simulation.signals import discs
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairFile, PairRecord, SliceRecord
from ctmar.units import WATER_PER_CM

SIZE, CONTRAST_HU = 48, 30.0
PLACES = [(12, 12), (12, 36), (36, 14)]
N_IMAGES = 12  # six of each of two patients


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    slices, pairs = [], []
    for k in range(N_IMAGES):
        plain = random.uniform(0.15, 0.25, (SIZE, SIZE)).astype(np.float32)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[22:26, 22:26] = 1
        for shown in (0, 1):
            image = plain + shown * np.float32(CONTRAST_HU / 1000 * WATER_PER_CM) * discs(SIZE, PLACES, 2.0)
            noise = random.normal(0, 0.02, (2, SIZE, SIZE)).astype(np.float32)
            name = f"patient-{k % 2}"
            slices.append(SliceRecord(image, image, name, f"{name}/1/{k:04d}", 3.0))
            ma_CT, LI_CT = image + noise[0], image + 0.01 * noise[1]
            pairs.append(PairRecord(ma_CT, LI_CT, mask, len(slices) - 1, 0, "titanium"))
    path = tmp_path_factory.mktemp("signals") / "signals.h5"
    write_pairs(path, slices, pairs, "test", {"seed": 0})
    return path


def test_of_a_right_image_nothing_is_missing(path):
    found = SignalImages(path).measure(lambda pair: pair.image)["prediction"]
    assert found.auc == 1.0
    assert found.bias_hu == pytest.approx(0.0, abs=1e-4)
    assert found.contrast_share == pytest.approx(1.0, rel=1e-5)
    assert (found.n_signals, found.n_images) == (3 * N_IMAGES, N_IMAGES)


def test_what_an_image_does_not_show_cannot_be_found(path):
    found = SignalImages(path).measure(lambda pair: np.full_like(pair.image, 0.2))["prediction"]
    assert found.auc == pytest.approx(0.5, abs=1e-9)
    assert found.contrast_share == 0.0


@pytest.mark.parametrize("shift_hu", [-25.0, 40.0])
def test_a_shift_is_a_bias_and_no_loss_of_contrast(path, shift_hu):
    shift = np.float32(shift_hu / 1000 * WATER_PER_CM)
    found = SignalImages(path).measure(lambda pair: pair.image + shift)["prediction"]
    assert found.bias_hu == pytest.approx(shift_hu, rel=1e-4)
    assert found.contrast_share == pytest.approx(1.0, rel=1e-4)


def test_half_the_contrast_is_half_its_share(path):
    with PairFile(path) as file:
        without = {file.slice_id[k]: file.read_pair(k).image for k in range(0, 2 * N_IMAGES, 2)}
    found = SignalImages(path).measure(lambda pair: (pair.image + without[pair.slice_id]) / 2)["prediction"]
    assert found.contrast_share == pytest.approx(0.5, rel=1e-4)


def test_noise_hides_signals_from_the_uncorrected_image_more_than_from_li(path):
    found = SignalImages(path).measure(lambda pair: pair.ma_CT)
    assert found["prediction"] == found["Input"]
    assert 0.5 < found["Input"].auc < 0.95 < found["LI"].auc
    assert 0 < found["Input"].auc_standard_error < 0.1


def test_metal_does_not_count(path):
    images = SignalImages(path)
    one = images.measure(lambda pair: pair.ma_CT + 100 * pair.mask)["prediction"]
    assert one == images.measure(lambda pair: pair.ma_CT)["prediction"]


def test_patients_are_chosen_and_those_without_signals_left_out(path):
    images = SignalImages(path)
    one = images.measure(lambda pair: pair.ma_CT, ["patient-1", "nobody"])
    assert one["prediction"].n_images == N_IMAGES // 2
    assert one["Input"] != images.measure(lambda pair: pair.ma_CT)["Input"]
    assert images.measure(lambda pair: pair.ma_CT, ["nobody"]) is None


def test_no_pair_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="file not found"):
        SignalImages(tmp_path / "signals.h5")
