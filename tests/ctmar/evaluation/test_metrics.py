"""Metrics against torchmetrics and scikit-image, closed forms, frozen values, and the published protocol."""

import numpy as np
import PIL.Image
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim

from ctmar.errors import InputError
from ctmar.evaluation.metrics import psnr_fixed, ssim_fixed
from ctmar.store.benchmark import read_field


def images(seed: int = 0, shape: tuple[int, int] = (48, 40)):
    """Truth with values beyond the clamp on both sides, a noisy prediction, and some metal."""
    random = np.random.default_rng(seed)
    truth = (random.random(shape) * 0.8 - 0.1).astype(np.float32)
    prediction = truth + random.normal(0, 0.05, shape).astype(np.float32)
    return prediction, truth, (random.random(shape) > 0.95).astype(np.uint8)


def fixed_scale(prediction, truth, metal):
    return [np.where(metal, 0, np.clip(image.astype(np.float64), 0, 0.5) / 0.5) for image in (prediction, truth)]


@pytest.mark.parametrize("seed", range(3))
def test_psnr_is_that_of_skimage_and_torchmetrics(seed):
    p, t = fixed_scale(*images(seed))
    assert psnr_fixed(*images(seed)) == pytest.approx(peak_signal_noise_ratio(t, p, data_range=1), abs=1e-9)
    theirs = torch_psnr(torch.from_numpy(p), torch.from_numpy(t), data_range=1.0).item()
    assert psnr_fixed(*images(seed)) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_is_that_of_skimage_and_torchmetrics(seed):
    p, t = fixed_scale(*images(seed))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert ssim_fixed(*images(seed)) == pytest.approx(structural_similarity(t, p, data_range=1, **settings), abs=1e-9)
    batch = (torch.from_numpy(image)[None, None] for image in (p, t))
    # torchmetrics reflects the images at the border and averages over windows that reach beyond it: leave those out
    _, whole = torch_ssim(*batch, data_range=1.0, kernel_size=11, sigma=1.5, return_full_image=True)
    theirs = whole[..., 5:-5, 5:-5].mean().item()
    assert ssim_fixed(*images(seed)) == pytest.approx(theirs, abs=1e-6)


def test_closed_forms():
    truth, nothing = np.full((16, 16), 0.3), np.zeros((16, 16), bool)
    assert psnr_fixed(truth, truth, nothing) == float("inf")
    assert psnr_fixed(truth + 0.005, truth, nothing) == pytest.approx(40)
    # constant images: SSIM is the term of the means alone
    a, b = 0.8, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim_fixed(np.full((16, 16), 0.4), truth, nothing) == pytest.approx(expected)


def test_metal_does_not_count():
    prediction, truth, metal = images()
    changed = np.where(metal, 9.0, prediction)
    assert psnr_fixed(changed, truth, metal) == psnr_fixed(prediction, truth, metal)
    assert ssim_fixed(changed, truth, metal) == ssim_fixed(prediction, truth, metal)


def test_half_an_image_of_metal_gains_three_decibels():
    # zeroed pixels stay in the mean of PSNR
    truth = np.full((16, 16), 0.2)
    half = np.zeros((16, 16), np.uint8)
    half[:8] = 1
    nothing = np.zeros_like(half)
    gain = psnr_fixed(truth + 0.01, truth, half) - psnr_fixed(truth + 0.01, truth, nothing)
    assert gain == pytest.approx(10 * np.log10(2))


def test_the_protocol_clamps():
    truth, nothing = np.full((16, 16), 0.5), np.zeros((16, 16), bool)
    assert psnr_fixed(truth + 1, truth, nothing) == float("inf")


def test_frozen_values():
    measured = [metric(*images(7)) for metric in (psnr_fixed, ssim_fixed)]
    assert measured == pytest.approx([22.53741, 0.980707], rel=1e-6)


def test_frozen_values_of_a_stored_slice_of_the_benchmark(shared):
    folder = shared / "syndeeplesion" / "train"
    stored = folder / "train_640geo" / "000195_02_02" / "202"
    mask = PIL.Image.fromarray(np.load(folder / "trainmask.npy")[:, :, 0]).resize((416, 416), PIL.Image.BILINEAR)
    truth = read_field(stored / "gt.h5", "image")
    measured = [
        metric(read_field(stored / "0.h5", field), truth, np.asarray(mask))
        for field in ("ma_CT", "LI_CT")
        for metric in (psnr_fixed, ssim_fixed)
    ]
    assert measured == pytest.approx([30.5232, 0.6180, 37.3641, 0.8761], abs=1e-4)


@pytest.mark.parametrize("metric", [psnr_fixed, ssim_fixed])
def test_shapes_that_differ_are_one_line(metric):
    with pytest.raises(InputError, match="one shape"):
        metric(np.zeros((16, 16)), np.zeros((16, 15)), np.zeros((16, 16)))
    with pytest.raises(InputError, match="one shape"):
        metric(np.zeros(16), np.zeros(16), np.zeros(16))


def test_images_too_small_are_one_line():
    with pytest.raises(InputError, match="at least 11 × 11 pixels, found 10 × 16"):
        ssim_fixed(np.zeros((10, 16)), np.zeros((10, 16)), np.zeros((10, 16)))
