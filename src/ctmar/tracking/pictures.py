"""Small pictures of the example pairs, without any name of a patient."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean

from ctmar.units import attenuation_to_hu

REFERENCES = ("image", "ma_CT", "LI_CT")
_LARGEST_TILE = 256  # pixels; keeps the images of a run at some hundred kB


def example_images(examples: Path, references: Path, window_hu: tuple[float, float]) -> list[NDArray[np.uint8]]:
    """For each example pair ground truth, input, LI and prediction side by side, without any name of a patient.

    Where ``references`` does not hold the pair, the prediction stands alone.
    """
    known = dict(_read_stacks(references, REFERENCES)) if references.is_file() else {}
    return [
        np.concatenate([tile(image, window_hu) for image in (*known.get(pair, ()), *prediction)], axis=1)
        for pair, prediction in _read_stacks(examples, ("prediction",))
    ]


def _read_stacks(path: Path, names: tuple[str, ...]) -> list[tuple[tuple[str, int], list[NDArray[np.float32]]]]:
    """For each pair of an examples file which pair it is, and its images of the given names [1/cm]."""
    with np.load(path, allow_pickle=False) as file:
        pairs = zip(file["slice_id"].tolist(), file["mask_index"].tolist(), strict=True)
        stacks = [file[name] for name in names]
        return [(pair, [stack[index] for stack in stacks]) for index, pair in enumerate(pairs)]


def tile(image: NDArray[np.float32], window_hu: tuple[float, float]) -> NDArray[np.uint8]:
    """A small 8-bit picture of an image (1/cm) in a CT window."""
    low, high = window_hu
    factor = -(-max(image.shape) // _LARGEST_TILE)
    shown = attenuation_to_hu(downscale_local_mean(image, (factor, factor)))
    return np.round(255 * np.clip((shown - low) / (high - low), 0, 1)).astype(np.uint8)
