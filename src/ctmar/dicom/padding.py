"""What is padding: one reading for all who look at stored values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from ctmar.dicom.headers import text
from ctmar.units import AIR_HU

HIGHEST_HU = 32767.0  # far above the extended scale of any scanner


@dataclass(frozen=True)
class Range:
    """Stored values from ``first`` to ``last``; where numbers are unsigned it may lead from the largest to 0."""

    first: int
    last: int

    def holds(self, values: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Where a value is in the range."""
        above, below = values >= self.first, values <= self.last
        return above & below if self.first <= self.last else above | below


def find_padding(
    raw: NDArray[np.integer], values: NDArray[np.integer], header: Dataset, rescale: tuple[float, float]
) -> tuple[NDArray[np.bool_], Range | None]:
    """Where an image is padding: one stored value, or a range with PixelPaddingRangeLimit, before any rescale.

    The tag may have another sign than the pixels (−2000 beside unsigned values is 63536) and more bits than BitsStored
    counts; it is compared with all bits of a pixel and, where it fits, with those that count. A file whose writer cut
    the padding to the bits that count is read, too. Where tissue or metal can have the value of padding, only what is
    connected to the border of the image is padding: a tag of 0 beside Hounsfield numbers must not erase water.

    Args:
        raw: decoded samples (rows, columns), unused bits included.
        values: the same without the unused bits.
        header: with PixelPaddingValue, or without.
        rescale: slope and intercept.

    Returns:
        Where the image is padding, and the values of padding as ``raw`` holds them.
    """
    if text(header, "PixelPaddingValue") == "":
        return np.zeros(raw.shape, dtype=bool), None
    n_bits, n_stored, signed = 8 * raw.dtype.itemsize, int(header.BitsStored), raw.dtype.kind == "i"
    whole, cut = (_range(header, bits, signed) for bits in (n_bits, n_stored))
    is_padding = whole.holds(raw) | whole.holds(values) if whole == cut else whole.holds(raw)
    if is_padding.any():
        possible = any(AIR_HU < rescale[0] * end + rescale[1] <= HIGHEST_HU for end in (whole.first, whole.last))
        return _at_the_border(is_padding) if possible and whole == cut else is_padding, whole
    is_padding = _at_the_border(cut.holds(values))
    return is_padding, cut if is_padding.any() else whole


def _range(header: Dataset, n_bits: int, signed: bool) -> Range:
    """The tags in ``n_bits``; of the two ways around from one value to the other the shorter."""
    first = last = fold(_integer(header, "PixelPaddingValue"), n_bits, signed)
    if text(header, "PixelPaddingRangeLimit") != "":
        last = fold(_integer(header, "PixelPaddingRangeLimit"), n_bits, signed)
    forwards = (last - first) % (1 << n_bits)
    return Range(first, last) if forwards < 1 << (n_bits - 1) else Range(last, first)


def fold(value: int, n_bits: int, signed: bool) -> int:
    """The number that the lowest ``n_bits`` of a value spell.

    Examples:
        >>> fold(-2000, 16, signed=False), fold(63536, 16, signed=True), fold(63536, 12, signed=False)
        (63536, -2000, 2096)
    """
    offset = 1 << (n_bits - 1) if signed else 0
    return (value + offset) % (1 << n_bits) - offset


def _integer(header: Dataset, keyword: str) -> int:
    """Value of a tag whose representation (SS or US) a damaged file may leave open."""
    value = header[keyword].value
    return int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)


def _at_the_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask that reach the border of the image."""
    labels, _ = ndimage.label(mask)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.isin(labels, border[border > 0])
