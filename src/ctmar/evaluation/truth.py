"""What every metric needs of the artefact-free image and the metal alone, found once for all predictions of a pair."""

from ctmar.evaluation.metrics import Image, Metal, ScaledTruth, fixed_scale, outside_metal
from ctmar.evaluation.official import official_scale, reduce_image
from ctmar.evaluation.regions import counted_pixels, errors_in


class Truth:
    """An artefact-free image that predictions are measured against.

    Args:
        image: attenuation in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: the shapes differ, or every pixel is metal.
    """

    def __init__(self, image: Image, metal: Metal) -> None:
        self.image, self.metal = image, metal
        self.outside = outside_metal(image, image, metal)
        self.pixels = counted_pixels(image, self.outside)
        self.fixed = ScaledTruth(fixed_scale(image, self.outside))
        self.official = ScaledTruth(official_scale(image, self.outside))
        self.reduced = ScaledTruth(reduce_image(self.official.image))

    def metrics(self, prediction: Image) -> dict[str, float]:
        """Every metric of one prediction (1/cm) by the name of its column.

        Raises:
            InputError: its shape is another, or smaller than the window of SSIM.
        """
        outside = outside_metal(prediction, self.image, self.metal)
        fixed, official = fixed_scale(prediction, outside), official_scale(prediction, outside)
        protocols = {
            "psnr_db": self.fixed.psnr(fixed),
            "ssim": self.fixed.ssim(fixed),
            "psnr_official_db": self.official.psnr(official),
            "ssim_official": self.reduced.ssim(reduce_image(official)),
        }
        return protocols | errors_in(self.pixels, prediction, self.image)

    def psnr(self, prediction: Image) -> float:
        """PSNR [dB] of one prediction (1/cm), protocol *fixed*."""
        return self.fixed.psnr(fixed_scale(prediction, self.outside))


def image_metrics(prediction: Image, truth: Image, metal: Metal) -> dict[str, float]:
    """Every metric of one image by the name of its column.

    Args:
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: the shapes differ or are smaller than the window of SSIM, or every pixel is metal.

    Examples:
        >>> import numpy as np
        >>> image_metrics(np.full((16, 16), 0.25), np.full((16, 16), 0.2), np.zeros((16, 16), bool))["psnr_db"]
        20.0
    """
    return Truth(truth, metal).metrics(prediction)
