"""Protocol *official* against scikit-image, a plain reading of its definition, closed forms, and the benchmark."""

import numpy as np
import PIL.Image
import pytest
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ctmar.errors import InputError
from ctmar.evaluation.metrics import psnr_fixed
from ctmar.evaluation.official import encode_png, psnr_official, reduce_image, ssim_official
from ctmar.store.benchmark import read_field

# levels that the authors' PNGs never show, read off the two of their stored slice
LEVELS_NEVER_SEEN = [33, 37, 41, 45, 49, 53, 57, 61, 66, 74, 82, 90, 98, 106, 114, 122, 132, 148, 164, 180, 196]
LEVELS_NEVER_SEEN += [212, 228, 244]


def images(seed: int = 0, shape: tuple[int, int] = (48, 40)):
    random = np.random.default_rng(seed)
    truth = (random.random(shape) * 0.8 - 0.1).astype(np.float32)
    prediction = truth + random.normal(0, 0.05, shape).astype(np.float32)
    return prediction, truth, (random.random(shape) > 0.95).astype(np.uint8)


def pngs(prediction, truth, metal):
    return [np.where(metal, 0, encode_png(image) / 255) for image in (prediction, truth)]


def test_every_level_of_a_ramp():
    levels = encode_png(np.linspace(0, 0.4, 256 * 4).reshape(32, 32)).ravel()
    assert (np.diff(levels.astype(int)) >= 0).all()
    assert (levels[0], levels[-1]) == (0, 255)
    assert sorted(set(range(256)) - set(levels.tolist())) == LEVELS_NEVER_SEEN


def test_levels_round_down_and_stretch_each_image_by_itself():
    # closed form: floor(256 x), of images whose values are multiples of 1/4
    quarters = np.array([[0.0, 0.1, 0.2, 0.3, 0.4]])
    assert encode_png(quarters).tolist() == [[0, 64, 128, 192, 255]]
    np.testing.assert_array_equal(encode_png(0.05 + quarters), encode_png(quarters))
    assert encode_png(np.array([[-3.0, 0.25, 9.0]])).tolist() == [[0, 128, 255]]
    assert not encode_png(np.full((4, 4), 0.3)).any()


def test_one_bright_pixel_darkens_the_rest():
    """The reason why the protocols are never mixed: metal stretches the grey levels although it is zeroed."""
    truth = np.tile(np.linspace(0, 0.25, 64), (64, 1))
    metal = np.zeros(truth.shape, bool)
    metal[3, 3] = True
    bright = np.where(metal, 0.5, truth)
    assert psnr_fixed(bright, truth, metal) == np.inf
    assert psnr_official(bright, truth, metal) == pytest.approx(10 * np.log10(12), abs=0.2)  # ∫ (x/2)² dx = 1/12


@pytest.mark.parametrize("seed", range(3))
def test_psnr_is_that_of_skimage_on_the_pngs(seed):
    p, t = pngs(*images(seed))
    assert psnr_official(*images(seed)) == pytest.approx(peak_signal_noise_ratio(t, p, data_range=1), abs=1e-9)


@pytest.mark.parametrize("shape", [(64, 80), (416, 416), (400, 512)])
def test_ssim_is_that_of_skimage_on_reduced_pngs(shape):
    p, t = pngs(*images(1, shape))
    if min(shape) > 384:
        p, t = (block_reduce(image, 2, np.mean) for image in (p, t))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(t, p, data_range=1, **settings)
    assert ssim_official(*images(1, shape)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("side", "factor"), [(383, 1), (384, 2), (641, 3), (900, 4)])
def test_reduction_is_the_mean_over_a_mirrored_window(side, factor):
    """As in the reference program: an even window reaches one pixel further behind than before its centre."""
    image = np.random.default_rng(side).random((side, side))
    before = (factor + 1) // 2 - 1
    padded = np.pad(image, (before, factor - 1 - before), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (factor, factor))
    np.testing.assert_allclose(reduce_image(image), windows.mean(axis=(2, 3))[::factor, ::factor], atol=1e-12)


def test_metal_counts_in_the_stretch_only():
    prediction, truth, metal = images()
    changed = np.where(metal, 0.3, prediction)  # inside the range: the stretch stays
    assert psnr_official(changed, truth, metal) == psnr_official(prediction, truth, metal)
    assert ssim_official(changed, truth, metal) == ssim_official(prediction, truth, metal)


def test_equal_images():
    _, truth, metal = images()
    assert psnr_official(truth, truth, metal) == np.inf
    assert ssim_official(truth, truth, metal) == pytest.approx(1)


def test_frozen_values():
    measured = [psnr_official(*images(7)), ssim_official(*images(7))]
    assert measured == pytest.approx([22.521760, 0.980712], abs=1e-5)


def test_frozen_values_of_a_stored_slice_of_the_benchmark(shared):
    folder = shared / "syndeeplesion" / "train"
    stored = folder / "train_640geo" / "000195_02_02" / "202"
    mask = PIL.Image.fromarray(np.load(folder / "trainmask.npy")[:, :, 0]).resize((416, 416), PIL.Image.BILINEAR)
    truth = read_field(stored / "gt.h5", "image")
    measured = [
        metric(read_field(stored / "0.h5", field), truth, np.asarray(mask))
        for field in ("ma_CT", "LI_CT")
        for metric in (psnr_official, ssim_official)
    ]
    # the same program gives Input 25.22/0.745 and LI 32.40/0.908 on the slice that the authors publish PNGs of
    assert measured == pytest.approx([28.1535, 0.8026, 33.1860, 0.9098], abs=1e-4)


@pytest.mark.parametrize("metric", [psnr_official, ssim_official])
def test_shapes_that_differ_are_one_line(metric):
    with pytest.raises(InputError, match="one shape"):
        metric(np.zeros((16, 16)), np.zeros((16, 17)), np.zeros((16, 16), bool))
