"""Image quality under the metric protocol *fixed*: pure functions of plain arrays.

Protocol *fixed*: both images are clamped to [0, 0.5] 1/cm and divided by 0.5 1/cm, metal pixels are set to zero in
both, PSNR is taken over all pixels with peak 1, SSIM with an 11 × 11 Gaussian window of σ = 1.5 pixels.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from ctmar.errors import InputError

Image = NDArray[np.float32] | NDArray[np.float64]
Metal = NDArray[np.uint8] | NDArray[np.bool_]

RANGE_PER_CM = 0.5  # both protocols clamp here
SSIM_RADIUS = 5
_SSIM_SIGMA = 1.5
_SSIM_C1 = 0.01**2
_SSIM_C2 = 0.03**2


def psnr_fixed(prediction: Image, truth: Image, metal: Metal) -> float:
    """Peak signal-to-noise ratio in dB, protocol *fixed*: ``−10 log₁₀ mean((p − t)²)``.

    Args:
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Returns:
        dB; infinite for equal images.

    Raises:
        InputError: the three shapes differ.

    Examples:
        >>> truth = np.full((8, 8), 0.2)
        >>> round(psnr_fixed(truth + 0.05, truth, np.zeros((8, 8), bool)), 6)
        20.0
    """
    outside = outside_metal(prediction, truth, metal)
    return ScaledTruth(fixed_scale(truth, outside)).psnr(fixed_scale(prediction, outside))


def ssim_fixed(prediction: Image, truth: Image, metal: Metal) -> float:
    r"""Structural similarity, protocol *fixed*.

    .. math::
        \mathrm{SSIM} = \operatorname{mean}
        \frac{(2μ_pμ_t + c_1)(2σ_{pt} + c_2)}{(μ_p^2 + μ_t^2 + c_1)(σ_p^2 + σ_t^2 + c_2)},
        \quad c_1 = 0.01^2, \; c_2 = 0.03^2

    Means μ, variances σ² and the covariance σ_pt are taken under an 11 × 11 Gaussian window of σ = 1.5 pixels; the
    mean runs over the windows that lie inside the image.

    Args:
        prediction: image in 1/cm, shape (h, w), at least 11 × 11.
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: the shapes differ or are smaller than the window.

    References:
        Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004.

    Examples:
        >>> ssim_fixed(np.ones((16, 16)), np.ones((16, 16)), np.zeros((16, 16), bool))
        1.0
    """
    outside = outside_metal(prediction, truth, metal)
    return ScaledTruth(fixed_scale(truth, outside)).ssim(fixed_scale(prediction, outside))


class ScaledTruth:
    """A true image on the scale [0, 1] of a protocol; what SSIM needs of it alone is found once for all predictions.

    Args:
        image: metal is 0, shape (h, w).
    """

    def __init__(self, image: NDArray[np.float64]) -> None:
        self.image = image

    def psnr(self, prediction: NDArray[np.float64]) -> float:
        """``−10 log₁₀ mean((p − t)²)`` of an image on the same scale; infinite for equal images."""
        mean_square = float(np.mean((prediction - self.image) ** 2))
        return float("inf") if mean_square == 0 else -10 * float(np.log10(mean_square))

    def ssim(self, prediction: NDArray[np.float64]) -> float:
        """The SSIM of an image on the same scale, as `ssim_fixed` defines it.

        Raises:
            InputError: the images are smaller than the window.
        """
        mean_t, variance_t = self._moments
        p, t = prediction, self.image
        mean_p, mean_pp, mean_pt = _window_mean(np.stack([p, p * p, p * t]))
        variances = mean_pp - mean_p**2 + variance_t
        covariance = mean_pt - mean_p * mean_t
        similarity = (2 * mean_p * mean_t + _SSIM_C1) * (2 * covariance + _SSIM_C2)
        return float(np.mean(similarity / ((mean_p**2 + mean_t**2 + _SSIM_C1) * (variances + _SSIM_C2))))

    @cached_property
    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance under the window."""
        height, width = self.image.shape
        if min(height, width) <= 2 * SSIM_RADIUS:
            raise InputError(f"SSIM: expected images of at least 11 × 11 pixels, found {height} × {width}")
        mean, mean_square = _window_mean(np.stack([self.image, self.image**2]))
        return mean, mean_square - mean**2


def fixed_scale(image: Image, outside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """An image (1/cm) as protocol *fixed* compares it: clamped to [0, 0.5] 1/cm, over 0.5 1/cm, 0 where metal is."""
    scaled: NDArray[np.float64] = np.clip(np.asarray(image, np.float64), 0, RANGE_PER_CM) / RANGE_PER_CM * outside
    return scaled


def outside_metal(prediction: Image, truth: Image, metal: Metal) -> NDArray[np.bool_]:
    """Where there is no metal, shape (h, w).

    Raises:
        InputError: the shapes of the three differ, or are not (h, w).
    """
    shapes = [np.shape(array) for array in (prediction, truth, metal)]
    if len(shapes[1]) != 2 or len(set(shapes)) != 1:
        raise InputError(f"metrics: expected prediction, truth and metal of one shape (h, w), found {shapes}")
    outside: NDArray[np.bool_] = np.asarray(metal) == 0
    return outside


def _window_mean(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian mean of (n, h, w) over the windows inside the image, shape (n, h − 10, w − 10)."""
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    window = np.exp(-0.5 * (offsets / _SSIM_SIGMA) ** 2)
    window /= window.sum()
    smooth = correlate1d(correlate1d(images, window, axis=1), window, axis=2)
    return smooth[:, SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]
