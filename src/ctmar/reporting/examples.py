"""The image comparisons as still pictures: the panels of every example pair, which need no script."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Report
from ctmar.reporting.example_images import ExampleImage, ExamplePair
from ctmar.reporting.images import data_address, error_image, window_image

FEWEST_EXAMPLES = 2
_SHRINKS = (1, 2, 4)
_ERROR_STEPS = (
    64  # from no error to the limit; up to 256 colours WebP keeps a palette: half the bytes, a tenth of the time
)


@dataclass(frozen=True)
class Picture:
    """One picture of an example: its addresses, its metrics, and a text for those who cannot see it."""

    name: str
    picture: str
    alt: str
    error: str | None = None
    error_alt: str = ""
    psnr: str = ""
    ssim: str = ""
    rmse: str = ""


@dataclass(frozen=True)
class Example:
    """One test pair with a panel for the truth, the references and every model shown."""

    title: str
    n_metal: int
    metal_mm2: float
    size: int
    outline: str
    panels: list[Picture]

    @property
    def n_bytes(self) -> int:
        """Bytes its pictures add to the page."""
        return sum(len(panel.picture) + len(panel.error or "") for panel in self.panels)


@dataclass(frozen=True)
class Examples:
    """The examples shown, and how many were left out for the size of the page."""

    shown: list[Example]
    n_left_out: int


def build_examples(pairs: Sequence[ExamplePair], settings: Report, max_bytes: int) -> Examples:
    """Panels of the example pairs of one network, as many pairs as fit into ``max_bytes``.

    Where not even `FEWEST_EXAMPLES` fit, pictures have half the resolution, down to a quarter.
    """
    wanted = min(FEWEST_EXAMPLES, len(pairs))
    examples: list[Example] = []
    for shrink in _SHRINKS:
        examples = _fitting(pairs, settings, max_bytes, shrink)
        if len(examples) >= wanted:
            break
    return Examples(examples, len(pairs) - len(examples))


def _fitting(pairs: Sequence[ExamplePair], settings: Report, max_bytes: int, shrink: int) -> list[Example]:
    examples: list[Example] = []
    n_bytes = 0
    for pair in pairs:
        example = _build_example(pair, settings, shrink)
        n_bytes += example.n_bytes
        if n_bytes > max_bytes:
            break
        examples.append(example)
    return examples


def _build_example(pair: ExamplePair, settings: Report, shrink: int) -> Example:
    truth = data_address(window_image(pair.truth_hu, settings.window_hu), shrink=shrink)
    panels = [Picture("Ground truth", truth, f"Ground truth: CT image without metal, {pair.title}")]
    panels += [_panel(image, pair.truth_hu, pair.mask, settings, shrink) for image in pair.images]
    return Example(pair.title, pair.n_metal, pair.metal_mm2, pair.size, pair.outline, panels)


def _panel(
    image: ExampleImage, truth_hu: NDArray[np.floating], mask: NDArray[np.uint8], settings: Report, shrink: int = 1
) -> Picture:
    # metal does not count in any metric, so its error is not shown either
    error_hu = np.where(mask != 0, 0.0, image.image_hu - truth_hu)
    step_hu = settings.error_hu / _ERROR_STEPS
    return Picture(
        name=image.name,
        picture=data_address(window_image(image.image_hu, settings.window_hu), shrink=shrink),
        alt=f"{image.name}: CT image, {image.quality}",
        error=data_address(error_image(step_hu * np.rint(error_hu / step_hu), settings.error_hu), shrink=shrink),
        error_alt=f"{image.name}: error against the ground truth, {image.quality}",
        psnr=image.quality.psnr,
        ssim=image.quality.ssim,
        rmse=image.quality.rmse,
    )
