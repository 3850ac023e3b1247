"""Draw metal masks inside the body of a CT slice.

Sizes are log-uniform from 30 to 2200 pixels of the 416 × 416 grid, in the range of the test masks of SynDeepLesion
(35 to 2061), and scale with the grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctmar.errors import InputError
from ctmar.simulation.geometry import BENCHMARK_SIZE
from ctmar.simulation.shapes import KINDS, ImplantPart, paint, scale_to_area
from ctmar.units import WATER_PER_CM

_SMALLEST_AREA, _LARGEST_AREA = 30.0, 2200.0
_SMALLEST_PART = 8.0
_FARTHEST = 115.0  # anchors from the centre of the body [pixels at 416]
_MIDDLE = 12.0  # half width of the strip that counts as mid-line [pixels at 416]
_TOGETHER = 60.0  # farthest between the parts of one mask [pixels at 416]
_LEAST_HALF_WIDTH = 0.8  # of a stroke [pixels of the grid]: the smallest disc that covers half a pixel wherever it lies
_BONE_PER_CM = 1.25 * WATER_PER_CM
_TISSUE_PER_CM = 0.6 * WATER_PER_CM
_TRIES = 200


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where metal may be: pixels of tissue inside the body, and possible anchors (n, 2) for each place."""

    allowed: NDArray[np.bool_]
    anchors: dict[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Mask:
    """A metal mask: fractional coverage of each pixel, and 1 where at least half of it is metal."""

    kind: str
    coverage: NDArray[np.float32]
    binary: NDArray[np.uint8]


def find_anatomy(image: NDArray[np.float32]) -> Anatomy:
    """Find the body and where in it metal can be.

    Args:
        image: linear attenuation of shape (size, size) [1/cm].

    Raises:
        InputError: there is no body in the slice.
    """
    scale = len(image) / BENCHMARK_SIZE
    smooth = ndimage.gaussian_filter(image, 2 * scale)
    labels, n_labels = ndimage.label(smooth > _TISSUE_PER_CM)
    if n_labels == 0:
        raise InputError("no tissue found to put metal into: expected a CT slice with a body, in 1/cm")
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    body = ndimage.binary_fill_holes(largest)
    inside = ndimage.binary_erosion(body, iterations=max(1, round(5 * scale)))
    allowed = inside & (smooth > _TISSUE_PER_CM)
    centre = ndimage.center_of_mass(body)
    rows, columns = np.indices(image.shape)
    near = allowed & (np.hypot(rows - centre[0], columns - centre[1]) <= _FARTHEST * scale)
    bone = near & (smooth > _BONE_PER_CM)
    middle = near & (np.abs(columns - centre[1]) <= _MIDDLE * scale)
    # the second choice where a slice has no such pixel: near the mid-line for bone, any tissue for the mid-line
    choices = {
        "tissue": [near, allowed],
        "bone": [bone, middle, near, allowed],
        "middle": [middle & bone, middle, allowed],
    }
    return Anatomy(allowed, {place: _first_with_any(masks) for place, masks in choices.items()})


def _first_with_any(masks: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    return next((np.argwhere(mask) for mask in masks if mask.any()), np.empty((0, 2), np.int64))


def draw_mask(anatomy: Anatomy, random: np.random.Generator) -> Mask:
    """Draw a mask: its size, its kind and parts, and where they lie.

    Raises:
        InputError: the body is too small for any metal.

    The kind is drawn once, so that a kind that seldom fits is not replaced by one that does.
    """
    scale = len(anatomy.allowed) / BENCHMARK_SIZE
    area = np.exp(random.uniform(np.log(_SMALLEST_AREA), np.log(_LARGEST_AREA))) * scale**2
    least = max(_SMALLEST_PART * scale**2, np.pi * _LEAST_HALF_WIDTH**2)
    kind = str(random.choice(list(KINDS), p=[kind.probability for kind in KINDS.values()]))
    for attempt in range(_TRIES):
        # what finds no place is drawn anew, and a little smaller after some tries
        wanted = area * 0.8 ** (attempt // 20)
        parts = KINDS[kind].draw_parts(random)[: max(1, int(wanted / least))]
        parts = scale_to_area(parts, wanted, _LEAST_HALF_WIDTH)
        coverage = _place(parts, anatomy.anchors[KINDS[kind].place], anatomy.allowed, random)
        if coverage is not None and _smallest_component(coverage) >= least:
            return Mask(kind, coverage, (coverage >= 0.5).astype(np.uint8))
    raise InputError(
        f"there is no place for metal in a body of {int(anatomy.allowed.sum())} pixels; leave the slice out"
    )


def _smallest_component(coverage: NDArray[np.float32]) -> float:
    """Area of the smallest connected part [pixels]."""
    rows, columns = ndimage.find_objects((coverage > 0).astype(np.uint8))[0]
    painted = coverage[rows, columns]
    labels, n_labels = ndimage.label(painted, np.ones((3, 3)))
    return float(ndimage.sum(painted, labels, range(1, n_labels + 1)).min())


def _place(
    parts: list[ImplantPart], anchors: NDArray[np.int64], allowed: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float32] | None:
    """Paint the parts around drawn anchors; None when a part would leave the tissue."""
    if len(anchors) == 0:
        return None
    scale = len(allowed) / BENCHMARK_SIZE
    coverage = np.zeros(allowed.shape, np.float32)
    first = anchors[random.integers(len(anchors))] + random.uniform(-0.5, 0.5, 2)
    near = anchors[np.hypot(*(anchors - first).T) <= _TOGETHER * scale]
    for part in parts:
        if part.offset is not None:
            anchor = first + scale * np.array(part.offset)
        else:
            anchor = near[random.integers(len(near))] + random.uniform(-0.5, 0.5, 2)
        if not paint(coverage, part, *anchor):
            return None
    return coverage if allowed[coverage > 0].all() and (coverage >= 0.5).any() else None
