"""Joseph's line integrals and their adjoint for batches of images in torch, on any device.

Positions, rounding and weights are those of :mod:`ctmar.simulation.projector`; only the order of the sums differs, so
the numbers agree to 1e-5 but not bit for bit. Memory is bounded: rays are worked on in portions of at most
``LARGEST_PORTION`` weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.projector import FRACTIONS, MARGIN

# a weight costs about 20 bytes on the way: 10 MB, about the cache of a CPU, and 1.3 GB on a GPU
LARGEST_PORTION = {"cpu": 2**19, "cuda": 2**26}
_FRACTION_BITS = FRACTIONS.bit_length() - 1


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays that step over the pixels along one axis: at step k they cross the other axis at intercept + slope·k.

    Attributes:
        number: place of each ray in the flattened sinogram, shape (n_rays,).
        intercept, slope: in pixels, same shape.
        length_cm: path of one step, same shape.
    """

    number: Tensor
    intercept: Tensor
    slope: Tensor
    length_cm: Tensor

    def __getitem__(self, which: Tensor | slice) -> "Rays":
        return Rays(self.number[which], self.intercept[which], self.slope[which], self.length_cm[which])

    def crossing(self, along: tuple[int, int], across: tuple[int, int]) -> "Rays":
        """The rays that come within a pixel of the box of steps ``along`` and pixels ``across``."""
        ends = torch.stack([self.intercept + self.slope * k for k in (along[0], along[1] - 1)])
        low, high = ends.amin(0), ends.amax(0)
        return self[(high >= across[0] - 2) & (low <= across[1] + 1)]

    def portions(self, n_steps: int) -> Iterator["Rays"]:
        """Cut into portions whose weights fit the memory set aside."""
        n_rays = max(1, portion_size(self.number.device) // (2 * n_steps))
        return (self[slice(first, first + n_rays)] for first in range(0, len(self.number), n_rays))

    def weights(self, along: tuple[int, int], size: int) -> tuple[Tensor, Tensor]:
        """Places in a flattened padded plane and their weights: two neighbours per step, shape (n_rays, 2·n_steps)."""
        steps = torch.arange(*along, device=self.slope.device, dtype=torch.int32)
        width = size + 2 * MARGIN
        start = (self.intercept + MARGIN) * FRACTIONS + 0.5
        position = torch.addcmul(start[:, None], self.slope[:, None] * FRACTIONS, steps.to(torch.float64))
        # beyond the margin there is nothing: there a ray reads zeros of the margin instead
        position = position.clamp_(0, (width - 1) * FRACTIONS - 1).to(torch.int32)
        first = (position >> _FRACTION_BITS).mul_(width).add_(steps + MARGIN)
        share = (position & (FRACTIONS - 1)).mul(1 / FRACTIONS)
        return interleave(first, first + width), interleave(1 - share, share)


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Alternate two tensors (n_rows, n) along their rows: shape (n_rows, 2n)."""
    both = torch.empty((*first.shape, 2), dtype=first.dtype, device=first.device)
    both[..., 0], both[..., 1] = first, second
    return both.flatten(1)


def portion_size(device: torch.device) -> int:
    """Weights worked on at a time."""
    return LARGEST_PORTION["cpu" if device.type == "cpu" else "cuda"]


def as_batch(array: Tensor, shape: tuple[int, int], name: str) -> Tensor:
    """Check that ``array`` is (n, *shape); float64 stays, everything else becomes float32.

    Raises:
        InputError: another shape.
    """
    if array.ndim != 3 or array.shape[1:] != shape:
        raise InputError(f"{name}: expected shape (n, {shape[0]}, {shape[1]}), found {tuple(array.shape)}")
    return array if array.dtype == torch.float64 else array.to(torch.float32)


def weighted_sums(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum rows of ``table`` (n_rows, n): Σ_k weight[j, k] · table[index[j, k]], shape (len(index), n)."""
    return functional.embedding_bag(index, table, per_sample_weights=weight.to(table.dtype), mode="sum")


def project(geometry: FanBeam, images: Tensor) -> Tensor:
    """Integrate a batch of images along every ray by Joseph's method.

    Args:
        geometry: the scan.
        images: shape (n, image_size, image_size); with 1/cm the result has no unit.

    Returns:
        Line integrals of shape (n, n_views, n_bins) on the device of the images.

    Raises:
        InputError: the images have another shape than the geometry.

    Examples:
        >>> from ctmar.simulation.geometry import benchmark_geometry
        >>> project(benchmark_geometry(32), torch.ones(2, 32, 32)).shape
        torch.Size([2, 48, 49])
    """
    images = as_batch(images, (geometry.image_size,) * 2, "images")
    sinograms = images.new_zeros(geometry.n_views * geometry.n_bins, len(images))
    occupied = images.ne(0).any(0)
    if occupied.any():
        padded = functional.pad(images, (MARGIN,) * 4)
        box = [_extent(occupied.any(1)), _extent(occupied.any(0))]
        for along_rows, rays in enumerate(_rays(geometry, images.device)):
            along, across = (box[0], box[1]) if along_rows else (box[1], box[0])
            plane = (padded.mT if along_rows else padded).permute(1, 2, 0).flatten(0, 1).contiguous()
            for part in rays.crossing(along, across).portions(along[1] - along[0]):
                sums = weighted_sums(plane, *part.weights(along, geometry.image_size))
                sinograms[part.number] = sums * part.length_cm.to(sums.dtype)[:, None]
    return sinograms.T.reshape(len(images), *geometry.sinogram_shape).contiguous()


def back_project(geometry: FanBeam, sinograms: Tensor) -> Tensor:
    """Apply the exact adjoint of the projector: ⟨Px, s⟩ = ⟨x, P*s⟩ for every image x and sinogram s.

    Args:
        geometry: the scan.
        sinograms: shape (n, n_views, n_bins).

    Returns:
        Images of shape (n, image_size, image_size).

    Raises:
        InputError: the sinograms have another shape than the geometry.
    """
    sinograms = as_batch(sinograms, geometry.sinogram_shape, "sinograms")
    size, n = geometry.image_size, len(sinograms)
    values = sinograms.flatten(1)
    width, inside, along = size + 2 * MARGIN, slice(MARGIN, -MARGIN), (0, size)
    images = sinograms.new_zeros(n, size, size)
    for along_rows, rays in enumerate(_rays(geometry, sinograms.device)):
        planes = sinograms.new_zeros(n, width * width)
        for part in rays.portions(size):
            index, weight = part.weights(along, size)
            scaled = values[:, part.number] * part.length_cm.to(values.dtype)
            # one image at a time: torch adds at single places fast, but at rows of several numbers slowly
            for plane, value in zip(planes, scaled, strict=True):
                plane.index_add_(0, index.flatten(), (weight.to(value.dtype) * value[:, None]).flatten())
        image = planes.reshape(n, width, width)[:, inside, inside]
        images += image.mT if along_rows else image
    return images


def _extent(occupied: Tensor) -> tuple[int, int]:
    """First and one past the last place that is not empty."""
    places = occupied.nonzero()
    return int(places[0]), int(places[-1]) + 1


@lru_cache(maxsize=8)
def _rays(geometry: FanBeam, device: torch.device) -> tuple[Rays, Rays]:
    """All rays: those whose steps run over the columns, and those whose steps run over the rows."""
    pixel, half = geometry.pixel_cm, (geometry.image_size - 1) / 2
    offset = (np.arange(geometry.n_bins) - (geometry.n_bins - 1) / 2) * geometry.bin_cm
    cosine, sine = np.cos(geometry.angles)[:, None], np.sin(geometry.angles)[:, None]
    x, y = sine * geometry.source_cm / pixel, -cosine * geometry.source_cm / pixel
    across = (cosine * offset - sine * geometry.detector_cm) / pixel - x
    down = (sine * offset + cosine * geometry.detector_cm) / pixel - y
    over_columns = np.abs(across) > np.abs(down)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(over_columns, -down / across, -across / down)
    starts = np.where(over_columns, half - y - (half + x) * slopes, half + x - (half - y) * slopes)
    lengths = pixel * np.sqrt(1 + slopes**2)

    def chosen(where: NDArray[np.bool_]) -> Rays:
        columns: list[NDArray[Any]] = [np.flatnonzero(where), starts[where], slopes[where], lengths[where]]
        return Rays(*(torch.from_numpy(column).to(device) for column in columns))

    return chosen(over_columns), chosen(~over_columns)
