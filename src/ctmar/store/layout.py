"""What a file of ours holds: names, types and shapes, checked before anything is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from ctmar.errors import InputError
from ctmar.store.hdf5 import check_size

LARGEST_SIDE = 4096  # of an image or a sinogram
_LARGEST_LENGTH = 10_000_000  # slices or pairs of a file


@dataclass(frozen=True)
class Field:
    """A dataset of a file.

    Args:
        kind: numpy's name of the type without byte order, or ``text`` for UTF-8 of a fixed length.
        shape: a name for each axis; axes of one name have one length in the whole file, the first counts entries.
        optional: may be left out; any field may be where there are no entries.
    """

    kind: Literal["f4", "f8", "i8", "u1", "text"]
    shape: tuple[str, ...]
    optional: bool = False


def check_layout(datasets: Mapping[str, h5py.Dataset], layout: Mapping[str, Field], path: Path) -> dict[str, int]:
    """Check the datasets of a file against its layout, and return the length of every axis by its name.

    Raises:
        InputError: a dataset is missing, unknown, of another type or shape, or too large.
    """
    unknown = sorted(set(datasets) - set(layout))
    if unknown:
        raise InputError(f"{path}: expected the datasets {', '.join(layout)}, found '{unknown[0]}' as well")
    lengths: dict[str, int] = {}
    for name, field in sorted(layout.items(), key=lambda item: len(item[1].shape)):  # columns count the entries
        if name in datasets:
            _check_field(datasets[name], name, field, lengths, path)
        elif not field.optional and (len(field.shape) == 1 or lengths[field.shape[0]]):
            raise InputError(f"{path}: expected the dataset '{name}', found {', '.join(sorted(datasets)) or 'none'}")
    return lengths


def _check_field(dataset: h5py.Dataset, name: str, field: Field, lengths: dict[str, int], path: Path) -> None:
    # texts of variable length lie in a heap, and HDF5 reads a damaged heap for ever
    is_text = h5py.check_string_dtype(dataset.dtype) and not dataset.dtype.hasobject
    kind = "text" if is_text else dataset.dtype.str[1:]
    if kind != field.kind:
        raise InputError(f"{path}: {name}: expected {field.kind}, found {dataset.dtype}")
    if dataset.shape is None or len(dataset.shape) != len(field.shape):
        raise InputError(f"{path}: {name}: expected axes {', '.join(field.shape)}, found shape {dataset.shape}")
    for axis, length in zip(field.shape, dataset.shape, strict=True):
        limit = _LARGEST_LENGTH if axis == field.shape[0] else LARGEST_SIDE
        if length > limit:
            raise InputError(f"{path}: {name}: expected at most {limit} along {axis}, found {length}")
        if lengths.setdefault(axis, length) != length:
            raise InputError(f"{path}: {name}: expected {lengths[axis]} along {axis}, found {length}")
    if len(dataset.shape) > 1 and not dataset.is_virtual:
        _check_entry(dataset, path)
    elif len(dataset.shape) == 1:
        check_size(dataset, path)


def _check_entry(dataset: h5py.Dataset, path: Path) -> None:
    """Images are read one by one: a chunk that spans many entries would be unpacked for each."""
    if dataset.chunks and int(np.prod(dataset.chunks[1:], dtype=object)) > 4 * LARGEST_SIDE**2:
        raise InputError(f"{path}: {dataset.name}: expected chunks within an image, found {dataset.chunks}")
    if dataset.chunks and dataset.chunks[0] != 1:
        raise InputError(f"{path}: {dataset.name}: expected chunks of one entry, found {dataset.chunks}")
