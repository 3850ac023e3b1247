"""Images in the page as numbers: whole steps of HU in 16 bits, which ``explorer_data.js`` unpacks in the browser.

Each image is stored as what it differs by from a like one of the same example, from pixel to pixel, so that deflate has
little to keep; nothing is lost beyond the rounding to steps.
"""

import base64
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError

_FINEST_STEP_HU = 1.0  # that of DICOM
_REACH = 2**15 - 1  # of 16 bits, in steps


def step_for(images_hu: Sequence[NDArray[np.floating]]) -> float:
    """The smallest of 1, 2, 4, … HU whose multiples reach every value with 16 bits.

    Args:
        images_hu: any shapes [HU].

    Raises:
        InputError: a value is not finite.

    Examples:
        >>> step_for([np.array([-1000.0, 3000.0])]), step_for([np.array([-1000.0, 40_000.0])])
        (1.0, 2.0)
    """
    if not all(np.isfinite(image).all() for image in images_hu):
        raise InputError("example images: expected finite values, found NaN or infinity")
    largest = max(float(np.abs(image).max()) for image in images_hu)
    step_hu = _FINEST_STEP_HU
    while largest > step_hu * _REACH:
        step_hu *= 2
    return step_hu


def in_steps(image_hu: NDArray[np.floating], step_hu: float) -> NDArray[np.int16]:
    """The nearest multiples of a step, so that no value is off by more than half a step.

    Examples:
        >>> in_steps(np.array([-1000.0, 40.4, 40.6]), 1.0).tolist()
        [-1000, 40, 41]
    """
    return np.rint(np.asarray(image_hu, np.float64) / step_hu).astype(np.int16)


def pack(images: Sequence[NDArray[np.int16]], bases: Sequence[int | None]) -> str:
    """Images as base64 of deflated bytes.

    With x the image minus its base (modulo 2¹⁶), d_i = x_i − x_{i−1} along the rows; its sign goes into the last bit,
    so that small differences of either sign are small numbers; first come the low bytes of all images, then the high.

    Args:
        images: of one shape, in steps.
        bases: for each image the index of an earlier one that it is like, or None.

    Examples:
        >>> len(pack([np.zeros((64, 64), np.int16)] * 9, [None] + [0] * 8)) < 200  # of 73,728 bytes
        True
    """
    differences = np.stack(
        [
            np.diff(_less(image, None if base is None else images[base]).ravel(), prepend=np.int16(0))
            for image, base in zip(images, bases, strict=True)
        ]
    )
    folded = ((differences << 1) ^ (differences >> 15)).view(np.uint16)
    planes = np.stack([folded & 0xFF, folded >> 8]).astype(np.uint8)
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def _less(image: NDArray[np.int16], base: NDArray[np.int16] | None) -> NDArray[np.int16]:
    return image if base is None else image - base
