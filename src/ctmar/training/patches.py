"""Random training patches and the fixed validation set, straight from a pair file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ctmar.errors import InputError
from ctmar.models.scaling import network_input, network_target
from ctmar.store.pairs import Pair, PairFile
from ctmar.training.random_streams import numpy_generator

IMAGES = ("image", "ma_CT", "LI_CT", "mask")
CACHE_BYTES = 2**30  # pairs kept in memory; beyond that patches are read from the file, with the same numbers


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

    def to(self, device: torch.device) -> "Batch":
        """The same batch on ``device``, channels last, the layout in which convolutions are fastest."""
        return Batch(*(tensor.to(device, memory_format=torch.channels_last) for tensor in self.tensors))


def collate(pairs: Sequence[Pair]) -> Batch:
    """Stack pairs or patches of one size into a batch."""
    stacked = {name: np.stack([getattr(pair, name) for pair in pairs]) for name in IMAGES}
    inputs = network_input(stacked["ma_CT"], stacked["LI_CT"], stacked["mask"])
    return Batch(inputs, network_target(stacked["image"]), 1 - inputs[:, 2:3])


class PatchSampler:
    """Random patches: the batch of a step is a function of the seed and the step alone.

    Pairs are drawn without replacement within one pass through the file, positions uniformly.

    Args:
        path: pair file.
        batch_size: patches of a batch.
        patch_size: side of a patch in pixels.
        seed: seed of the run.

    Raises:
        InputError: the file holds no pairs, or its images are smaller than a patch.
    """

    def __init__(self, path: Path, batch_size: int, patch_size: int, seed: int) -> None:
        self._file = PairFile(path)
        if self._file.n_pairs == 0:
            raise InputError(f"{path}: expected at least one pair to train on, found none")
        if self._file.image_size < patch_size:
            size = self._file.image_size
            raise InputError(f"training.patch_size: expected at most {size}, the images of {path}, found {patch_size}")
        self._batch_size, self._patch_size, self._seed = batch_size, patch_size, seed
        self._orders: dict[int, list[int]] = {}
        self._cache: dict[int, Pair] = {}
        self._cached_bytes = 0

    def batch(self, step: int) -> Batch:
        """The batch of step ``step``, counted from 0."""
        positions = numpy_generator(self._seed, "position", step).integers(
            self._file.image_size - self._patch_size + 1, size=(self._batch_size, 2)
        )
        first = step * self._batch_size
        return collate(
            [self._patch(self._drawn_pair(first + i), *position) for i, position in enumerate(positions.tolist())]
        )

    def _drawn_pair(self, draw: int) -> int:
        """Pair of a draw: each pass through the file takes every pair once, in a new order."""
        passes, position = divmod(draw, self._file.n_pairs)
        if passes not in self._orders:
            order = numpy_generator(self._seed, "order", passes).permutation(self._file.n_pairs)
            self._orders = {passes: order.tolist()}
        return self._orders[passes][position]

    def _patch(self, index: int, row: int, column: int) -> Pair:
        if index not in self._cache and self._cached_bytes >= CACHE_BYTES:
            return self._file.read_patch(index, row, column, self._patch_size)
        if index not in self._cache:
            self._cache[index] = self._file.read_pair(index)
            self._cached_bytes += sum(getattr(self._cache[index], name).nbytes for name in IMAGES)
        window = (slice(row, row + self._patch_size), slice(column, column + self._patch_size))
        pair = self._cache[index]
        return replace(pair, **{name: getattr(pair, name)[window] for name in IMAGES})


def validation_batches(path: Path, n_pairs: int) -> list[Batch]:
    """Whole slices to validate on, one pair a batch: ``n_pairs`` of them, evenly spaced through the file.

    Raises:
        InputError: the file holds no pairs.
    """
    with PairFile(path) as file:
        if file.n_pairs == 0:
            raise InputError(f"{path}: expected at least one pair to validate on, found none")
        chosen = np.linspace(0, file.n_pairs - 1, min(n_pairs, file.n_pairs)).round().astype(int)
        return [collate([file.read_pair(int(index))]) for index in chosen]
