"""Image quality under the metric protocol *official* of SynDeepLesion: what its published tables state.

The authors save each image as an 8-bit PNG and evaluate the PNGs. So an image is clamped to [0, 0.5] 1/cm, stretched
*by its own smallest and largest value* to 256 grey levels and rounded down; both PNGs are divided by 255 and zeroed
where there is metal. PSNR is taken over all pixels with peak 1, SSIM (11 × 11 Gaussian window of σ = 1.5, L = 1) after
images are reduced by a whole factor to about 256 pixels. Values differ by 3-6 dB from protocol *fixed*: never mix them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ctmar.evaluation.metrics import RANGE_PER_CM, Image, Metal, ScaledTruth, outside_metal

_SSIM_SIDE = 256  # pixels that the shorter side is reduced to
# The authors' plotting library stores the grey table as floating point and truncates, so 24 levels are one too dark.
_GREY_LEVELS = (255 * np.linspace(0, 1, 256) / 255 * 255).astype(np.uint8)


def encode_png(image: Image) -> NDArray[np.uint8]:
    """Grey levels of the authors' PNG of an image.

    ``level = floor(256 (x − min x) / (max x − min x))``, at most 255, with x the image clamped to [0, 0.5] 1/cm.

    Args:
        image: attenuation in 1/cm, shape (h, w).

    Returns:
        Levels 0 to 255; all 0 for a constant image.

    Examples:
        >>> encode_png(np.array([[0.0, 0.1, 0.2, 0.4]])).tolist()
        [[0, 64, 128, 255]]
    """
    x = np.clip(np.asarray(image, np.float32), 0, np.float32(RANGE_PER_CM)) / np.float32(RANGE_PER_CM)
    low, high = x.min(), x.max()
    if low == high:
        return np.zeros(x.shape, np.uint8)
    levels = (256 * ((x - low) / (high - low))).astype(np.int64)
    return _GREY_LEVELS[np.minimum(levels, 255)]


def psnr_official(prediction: Image, truth: Image, metal: Metal) -> float:
    """Peak signal-to-noise ratio in dB, protocol *official*: ``−10 log₁₀ mean((p − t)²)`` of the PNGs over 255.

    Args:
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Returns:
        dB; infinite for equal PNGs.

    Raises:
        InputError: the three shapes differ.

    References:
        Wang et al., OSCNet: orientation-shared convolutional network for CT metal artifact learning, TMI 2023
        (the evaluation published with it).

    Examples:
        A common factor is lost in the PNGs:

        >>> ramp = np.linspace(0, 0.4, 256).reshape(16, 16)
        >>> psnr_official(ramp / 2, ramp, np.zeros((16, 16), bool))
        inf
    """
    outside = outside_metal(prediction, truth, metal)
    return ScaledTruth(official_scale(truth, outside)).psnr(official_scale(prediction, outside))


def ssim_official(prediction: Image, truth: Image, metal: Metal) -> float:
    """Structural similarity, protocol *official*: the SSIM of `ssim_fixed` of the reduced PNGs over 255.

    Images are averaged over f × f pixels and every f-th is kept, f = max(1, round(shorter side / 256)): 2 at 416².

    Args:
        prediction: image in 1/cm, shape (h, w), at least 11 × 11 after the reduction.
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: the shapes differ or are smaller than the window.

    References:
        Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004, and the
        down-sampling that its authors suggest with their reference program.

    Examples:
        >>> ramp = np.linspace(0, 0.4, 256).reshape(16, 16)
        >>> ssim_official(ramp, ramp, np.zeros((16, 16), bool))
        1.0
    """
    outside = outside_metal(prediction, truth, metal)
    p, t = (reduce_image(official_scale(image, outside)) for image in (prediction, truth))
    return ScaledTruth(t).ssim(p)


def reduce_image(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over f × f pixels, images mirrored at the border, and every f-th pixel of that in each direction.

    Examples:
        >>> reduce_image(np.ones((416, 512))).shape, reduce_image(np.ones((128, 128))).shape
        ((208, 256), (128, 128))
    """
    factor = max(1, int(min(image.shape) / _SSIM_SIDE + 0.5))
    if factor == 1:
        return image
    # an even window starts at the pixel that is kept and reaches one further to the right than to the left
    smooth: NDArray[np.float64] = uniform_filter(image, factor, mode="reflect", origin=-1 if factor % 2 == 0 else 0)
    return smooth[::factor, ::factor]


def official_scale(image: Image, outside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """An image (1/cm) as protocol *official* compares it: its PNG over 255, 0 where metal is."""
    return encode_png(image) / 255 * outside
