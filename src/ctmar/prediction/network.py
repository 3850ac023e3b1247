"""A trained network and the working grid it was trained on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ctmar.config import Network
from ctmar.errors import InputError
from ctmar.models import build_network, load_weights
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


def read_run_file(path: Path) -> dict[str, Any]:
    """The description of a run.

    Raises:
        InputError: the file is missing or is not a description of a run.
    """
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        Network.model_validate(description["network"])
        int(description["group_order"])
        return description
    except OSError:
        raise InputError(f"{path}: run description not found; give the run.json of `ctmar train`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a run description of `ctmar train` ({type(error).__name__})") from None


def load_network(weights: Path, description: dict[str, Any], device: str) -> nn.Module:
    """The network of a run with its weights, or with those its authors published, ready to predict.

    Raises:
        InputError: the weights are missing, unreadable, or of another network; or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device found; use --device cpu")
    network = Network.model_validate(description["network"])
    module = build_network(network.architecture, **{"group_order": description["group_order"], **network.settings})
    return load_weights(module, weights).eval().to(device)


def working_grid(
    description: dict[str, Any], size: int | None, pixel_mm: float | None, preset: str | None, run_file: Path
) -> WorkingGrid:
    """What was trained on: the key `grid` of the run's description where it is recorded; what is given comes first.

    Raises:
        InputError: the size is neither given nor recorded, or a value does not fit.
    """
    recorded = description.get("grid") or {}
    try:
        size = size or int(recorded["image_size"])
        pixel_mm = pixel_mm or recorded.get("pixel_mm")
        pixel_mm = None if pixel_mm is None else float(pixel_mm)
        grid = WorkingGrid(size, pixel_mm, preset or recorded.get("preset", PRESETS[0]))
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
