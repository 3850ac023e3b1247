"""Random training patches and the fixed validation set, straight from a pair file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ctmar.errors import InputError
from ctmar.models.scaling import network_input, network_target
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.pairs import Pair, PairFile
from ctmar.training.random_streams import numpy_generator
from equiproj.representations.action import send

IMAGES = ("image", "ma_CT", "LI_CT", "mask")
_BYTES_PER_PIXEL = 16  # of one pair: four images of float32
CACHE_BYTES = 2**30  # files up to this size are kept in memory, of larger ones nothing: the numbers are the same


@dataclass(frozen=True)
class Batch:
    """What one step sees: input (n, 3, h, w), target (n, 1, h, w), and 1 outside metal (n, 1, h, w)."""

    inputs: Tensor
    target: Tensor
    outside_metal: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three tensors in the order of the fields."""
        return self.inputs, self.target, self.outside_metal

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device, channels_last: bool = True) -> "Batch":
        """The same batch on ``device``, by default channels last, the layout in which convolutions are fastest."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return Batch(*(send(tensor, device).contiguous(memory_format=layout) for tensor in self.tensors))

    def split(self, n_parts: int) -> list["Batch"]:
        """At most ``n_parts`` batches of as nearly equal size as can be."""
        pieces = zip(*(tensor.tensor_split(min(n_parts, len(self))) for tensor in self.tensors), strict=True)
        return [Batch(*piece) for piece in pieces]


Decoded: TypeAlias = tuple[Tensor, Tensor]  # input (h, w, 3) and target (h, w, 1) of one pair: channels last


class PatchOrigin(NamedTuple):
    """Where a patch comes from: pair of the file, its pseudonymous slice, mask, and first row and column [pixels]."""

    pair: int
    slice_id: str
    mask: int
    row: int
    column: int


def collate(pairs: Sequence[Pair]) -> Batch:
    """Stack pairs or patches of one size into a batch."""
    stacked = {name: np.stack([getattr(pair, name) for pair in pairs]) for name in IMAGES}
    inputs = network_input(stacked["ma_CT"], stacked["LI_CT"], stacked["mask"])
    return Batch(inputs, network_target(stacked["image"]), 1 - inputs[:, 2:3])


class PatchSampler:
    """Random patches: the batch of a step is a function of the seed and the step alone.

    Pairs are drawn without replacement within one pass through the file, positions uniformly. A file that fits in
    ``cache_bytes`` is kept in memory pair by pair as it is read, for all runs of the process; of a larger one only the
    chunks under a patch are decoded. An object that is sent to another process reads there with a handle of its own.

    Args:
        path: pair file.
        batch_size: patches of a batch.
        patch_size: side of a patch in pixels.
        seed: seed of the run.
        pairs: the pairs to draw from; all when left out.
        cache_bytes: memory for pairs.

    Raises:
        InputError: there are no pairs, or the images are smaller than a patch.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        patch_size: int,
        seed: int,
        pairs: Sequence[int] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._file = PairFile(path)
        self._pairs = list(range(self._file.n_pairs) if pairs is None else pairs)
        if not self._pairs:
            raise InputError(f"{path}: expected at least one pair to train on, found none")
        size = self._file.image_size
        if size < patch_size:
            raise InputError(f"training.patch_size: expected at most {size}, the images of {path}, found {patch_size}")
        self._batch_size, self._patch_size, self._seed = batch_size, patch_size, seed
        self._caches = self._file.n_pairs * size**2 * _BYTES_PER_PIXEL <= cache_bytes
        self._written_ns = path.stat().st_mtime_ns
        self._orders: dict[int, list[int]] = {}

    def batch(self, step: int) -> Batch:
        """The batch of step ``step``, counted from 0.

        Raises:
            InputError: the file cannot be read there.
        """
        inputs, targets = zip(*(self._patch(*place) for place in self._places(step)), strict=True)
        images, target = torch.stack(inputs), torch.stack(targets)
        return Batch(*(tensor.permute(0, 3, 1, 2) for tensor in (images, target, 1 - images[..., 2:])))

    def origins(self, step: int) -> list[PatchOrigin]:
        """Which patches the batch of a step holds, in its order."""
        file = self._file
        return [
            PatchOrigin(k, file.slice_id[int(file.slice_index[k])], int(file.mask_index[k]), row, column)
            for k, row, column in self._places(step)
        ]

    def _places(self, step: int) -> list[tuple[int, int, int]]:
        positions = numpy_generator(self._seed, "position", step).integers(
            self._file.image_size - self._patch_size + 1, size=(self._batch_size, 2)
        )
        first = step * self._batch_size
        return [(self._drawn_pair(first + i), row, column) for i, (row, column) in enumerate(positions.tolist())]

    def _drawn_pair(self, draw: int) -> int:
        """Pair of a draw: each pass through the pairs takes every one once, in a new order."""
        passes, position = divmod(draw, len(self._pairs))
        if passes not in self._orders:
            order = numpy_generator(self._seed, "order", passes).permutation(len(self._pairs))
            self._orders = {passes: order.tolist()}
        return self._pairs[self._orders[passes][position]]

    def _patch(self, index: int, row: int, column: int) -> Decoded:
        if not self._caches:
            return _decode(self._file.read_patch(index, row, column, self._patch_size))
        pairs = _decoded_pairs(self._file.path, self._written_ns)
        if index not in pairs:
            pairs[index] = _decode(self._file.read_pair(index))
        rows, columns = slice(row, row + self._patch_size), slice(column, column + self._patch_size)
        inputs, target = pairs[index]
        return inputs[rows, columns], target[rows, columns]


def _decode(pair: Pair) -> Decoded:
    whole = collate([pair])
    return whole.inputs[0].permute(1, 2, 0).contiguous(), whole.target[0].permute(1, 2, 0).contiguous()


@lru_cache(maxsize=1)  # runs that follow each other train on one file
def _decoded_pairs(path: Path, written_ns: int) -> dict[int, Decoded]:
    """The pairs of a file that this process has decoded so far, by their number in it."""
    return {}


def validation_batches(path: Path, n_pairs: int, pairs: Sequence[int] | None = None) -> list[Batch]:
    """Whole slices to validate on, one pair a batch: ``n_pairs``, evenly spaced through the file or through ``pairs``.

    Raises:
        InputError: there are no pairs.
    """
    with PairFile(path) as file:
        pairs = range(file.n_pairs) if pairs is None else pairs
        if not pairs:
            raise InputError(f"{path}: expected at least one pair to validate on, found none")
        chosen = evenly_spaced(len(pairs), n_pairs)
        return [collate([file.read_pair(pairs[int(index)])]) for index in chosen]
