"""A trained network and the working grid it was trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctmar.errors import InputError
from ctmar.models.scaling import network_input, to_per_cm

# (slice, slice after linear interpolation, metal mask) -> change of the slice, all (size, size), images in 1/cm
Correction = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float32]]
PRESETS = ("benchmark", "physical")


@dataclass(frozen=True)
class WorkingGrid:
    """The grid of the training images, and the preset of the scan that its sinograms follow."""

    size: int
    pixel_mm: float | None  # None fits the longer side of each slice to the grid
    preset: str

    def __str__(self) -> str:
        pixel = "the longer side fitted" if self.pixel_mm is None else f"{self.pixel_mm:g} mm"
        return f"{self.size} x {self.size} pixels, {pixel}, scan of preset {self.preset}"


def working_grid(
    description: dict[str, Any], size: int | None, pixel_mm: float | None, preset: str | None, run_file: Path
) -> WorkingGrid:
    """The grid of the training data: what is given, else what the key `grid` of the run's description records.

    Raises:
        InputError: the size is neither given nor recorded, or a value does not fit.
    """
    recorded = description.get("grid") or {}
    try:
        size = int(recorded["image_size"]) if size is None else size
        pixel_mm = recorded.get("pixel_mm") if pixel_mm is None else pixel_mm
        pixel_mm = None if pixel_mm is None else float(pixel_mm)
        grid = WorkingGrid(size, pixel_mm, preset or recorded.get("preset") or PRESETS[0])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InputError(
            f"{run_file}: does not say on which grid the network was trained; give --image-size, and --pixel-mm and"
            " --preset where the training data had them"
        ) from None
    if not 16 <= grid.size <= 4096 or not (grid.pixel_mm is None or 0.01 <= grid.pixel_mm <= 100):
        raise InputError(f"working grid: expected 16 to 4096 pixels of 0.01 to 100 mm, found {grid}")
    if grid.preset not in PRESETS:
        raise InputError(f"--preset: expected one of {', '.join(PRESETS)}, found '{grid.preset}'")
    return grid


def correction_of(network: nn.Module, device: str) -> Correction:
    """What ``network`` would change in a slice: output minus input, both on the network's scale."""

    def correct(
        image: NDArray[np.float32], interpolated: NDArray[np.float32], mask: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        with torch.inference_mode():
            seen = network_input(image[None], interpolated[None], mask[None])
            output = network(seen.to(device)).cpu()
        return to_per_cm(output)[0] - to_per_cm(seen[:, :1])[0]

    return correct
