"""A trained network and the working grid it was trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctmar.errors import InputError
from ctmar.models.scaling import network_input, to_per_cm
from ctmar.prediction.choices import PredictionChoices
from ctmar.store.run_records import Grid

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


def working_grid(recorded: Grid, choices: PredictionChoices) -> WorkingGrid:
    """What was trained on, as the run's description records it; what the user chooses comes first.

    Raises:
        InputError: a value does not fit.
    """
    grid = WorkingGrid(
        recorded.image_size if choices.image_size is None else choices.image_size,
        recorded.pixel_mm if choices.pixel_mm is None else choices.pixel_mm,
        choices.preset or recorded.preset or PRESETS[0],
    )
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
